"""After repeated failures a partner is not called for a while; operators see the state of each."""

import asyncio

import httpx
import pytest
import respx

from core.kernel.breaker import FAILURES_TO_OPEN, REST
from core.partners import NotAccepted, OutcomeUnknown, Partners, Rejected
from tests.front_end import World
from tests.partners.test_partners import KEY, MESSAGE, NAME, NUMBER, partners_of

URL = "https://sms.test/messages"
TAKEN = {"taken": True}


class LoopClock:
    """The event loop's clock, set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._real = self._loop.time
        self._ahead = 0.0
        monkeypatch.setattr(self._loop, "time", lambda: self._real() + self._ahead)

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


async def send(partners: Partners) -> None:
    await partners.sms.send(MESSAGE, KEY)


async def fail(partners: Partners, times: int) -> None:
    for _ in range(times):
        with pytest.raises(OutcomeUnknown):
            await send(partners)


def state(partners: Partners, name: str = "sms") -> str:
    return next(health.state for health in partners.health if health.name == name)


async def test_a_partner_that_fails_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock(monkeypatch)
    async with partners_of() as partners:
        with respx.mock() as wire:
            route = wire.post(URL).respond(500)
            before = state(partners)
            await fail(partners, FAILURES_TO_OPEN)
            with pytest.raises(NotAccepted, match="circuit open"):
                await send(partners)
            while_open = (route.call_count, state(partners))
            route.respond(json=TAKEN)
            clock.forward(REST / 1000)
            await send(partners)
            await send(partners)

    assert (before, while_open) == ("not asked yet", (FAILURES_TO_OPEN, "unavailable"))
    assert route.call_count == FAILURES_TO_OPEN + 2
    assert state(partners) == "ok"
    assert state(partners, "issuer") == "not asked yet"


async def test_a_probe_that_fails_begins_another_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock(monkeypatch)
    async with partners_of() as partners:
        with respx.mock() as wire:
            route = wire.post(URL).respond(500)
            await fail(partners, FAILURES_TO_OPEN)
            clock.forward(REST / 1000)
            await fail(partners, 1)
            with pytest.raises(NotAccepted):
                await send(partners)

    assert route.call_count == FAILURES_TO_OPEN + 1


async def test_one_that_says_no_is_well() -> None:
    """The control: as many rejections open nothing."""
    async with partners_of() as partners:
        with respx.mock() as wire:
            route = wire.post(URL).respond(422, json={"code": "NO_SUCH_TEMPLATE"})
            for _ in range(2 * FAILURES_TO_OPEN):
                with pytest.raises(Rejected):
                    await send(partners)

    assert route.call_count == 2 * FAILURES_TO_OPEN
    assert state(partners) == "ok"


async def test_a_lookup_that_is_left_alone_asks_nobody() -> None:
    async with partners_of() as partners:
        with respx.mock() as wire:
            route = wire.post("https://population.test/match").mock(
                side_effect=httpx.ConnectError("no")
            )
            for _ in range(FAILURES_TO_OPEN + 3):
                with pytest.raises(NotAccepted):
                    await partners.population_registry.matches(NAME, NUMBER)

    assert route.call_count == 2 * FAILURES_TO_OPEN, "each of the first is tried twice"


async def test_operators_see_each_partner(world: World) -> None:
    citizen = await world.enter("active")
    await citizen.code("REPORT_LOSS")

    ready = (await world.http.get("/readyz")).json()
    metrics = (await world.http.get("/metrics")).text.splitlines()

    assert ready["database"] == "ok"
    assert ready["partners"] == {
        "sms": "ok",
        "population-registry": "not asked yet",
        "insurance-registry": "not asked yet",
        "card-registry": "not asked yet",
        "issuer": "not asked yet",
        "service-ratings": "not asked yet",
    }
    assert 'card_gateway_partner_up{partner="sms"} 1' in metrics
    called = 'card_gateway_partner_calls_total{partner="sms",call="/messages",result="done"} 2'
    assert called in metrics
    assert 'card_gateway_effects{kind="SMS_CODE",state="waiting"} 0' in metrics
    assert 'card_gateway_issuer_events{outcome="CONTRADICTION"} 0' in metrics


async def test_a_partner_that_is_down_takes_no_server_out_of_service(world: World) -> None:
    citizen = await world.enter("active")
    given = {"partner": "sms", "path": "/messages", "fault": "BUSY", "times": 9}
    await world.http.post("/sandbox/partners/fault", json=given)
    await citizen.send_code("REPORT_LOSS")
    await world.application.worker.drained()

    ready = await world.http.get("/readyz")

    assert (ready.status_code, ready.json()["partners"]["sms"]) == (200, "failing")
    metrics = (await world.http.get("/metrics")).text
    assert 'card_gateway_effects{kind="SMS_CODE",state="waiting"} 1' in metrics
    assert 'result="not_accepted"} 1' in metrics
