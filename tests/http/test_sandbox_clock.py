"""`POST /sandbox/clock` moves the time of gateway, platforms and partners; the reset brings it back."""

import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.kernel.callers import ChannelId
from core.kernel.clock import SECOND
from core.kernel.settings import Settings
from gateway.app import create_app
from sandbox.clock import Clock
from sandbox.paths import clock_file
from tests.conftest import ADDRESS, running
from tests.core.test_audit import found
from tests.core.test_audit_tampering import late_in
from tests.front_end import FrontEnd, World
from tests.live import serving
from tests.services.parts import fault

BAD = [
    {},
    {"advance": None},
    {"advance": 7},
    {"advance": ""},
    {"advance": "P"},
    {"advance": "7D"},
    {"advance": "P7"},
    {"advance": "P1W"},
    {"advance": "P1M"},
    {"advance": "P1Y"},
    {"advance": "PT"},
    {"advance": "P7D "},
    {"advance": "P٧D"},
    {"advance": "PT0S"},
    {"advance": "PT0.0001S"},
    {"advance": "-P7D"},
    {"advance": "P3661D"},
    {"advance": "P99999999999D"},
    {"advance": "P7D", "persona": "active"},
]
_SAVE = "mutation($d: ApplicationDraftInput!) { saveApplicationDraft(input: $d) { __typename } }"


async def move(world: World, duration: str) -> dict[str, Any]:
    response = await world.http.post("/sandbox/clock", json={"advance": duration})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def clock(http: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await http.get("/sandbox/clock")).json()
    return answer


def ahead(shown: dict[str, Any]) -> float:
    """Seconds from this machine's clock to the one that is shown."""
    return datetime.fromisoformat(shown["now"]).timestamp() - time.time()


async def test_a_code_expires(world: World, active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    before = await world.rows()

    await move(world, "PT4M30S")
    cancelled = await active.do("cancelLoss", phone=phone, cardNumber="000000000", code=code)
    await move(world, "PT31S")
    late = await active.do("reportLoss", phone=phone, code=code)

    assert cancelled["code"] != "CODE_EXPIRED"
    assert fault(late) == ("CODE_EXPIRED", "code")
    assert await world.rows() == before


async def test_a_code_of_four_minutes_is_valid(world: World, active: FrontEnd) -> None:
    """The control: the clock alone makes it expire."""
    phone, code = active.person.phone, await active.code("REPORT_LOSS")

    await move(world, "PT4M30S")

    answer = await active.do("reportLoss", phone=phone, code=code)
    assert answer["__typename"] == "LossReported"


@pytest.mark.parametrize("channel", list(ChannelId))
async def test_a_temporary_loss_lapses_after_seven_days(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    await world.advance("active", event="TEMPORARY_LOSS")

    await move(world, "P6DT23H59M")
    await citizen.enter()
    on_the_seventh_day = (await citizen.status())["state"]
    shown = await move(world, "PT2M")
    await citizen.enter()

    assert on_the_seventh_day == "TEMPORARILY_LOST"
    assert (await citizen.status())["state"] == "ACTIVE"
    assert shown["moved"] == "P7DT60S"


async def test_a_draft_ends(world: World) -> None:
    citizen = await world.enter("no-card")
    saved = await citizen.ask(_SAVE, d={"postalCode": "610041"})

    await move(world, "P29D")
    kept = (await world.rows("application_drafts"))["application_drafts"]
    await move(world, "P1DT1H")

    assert saved["__typename"] == "ApplicationDraftSaved"
    assert len(kept) == 1
    assert (await world.rows("application_drafts"))["application_drafts"] == []


async def test_what_the_platforms_and_the_issuer_say_is_of_the_same_time(world: World) -> None:
    """Signatures, tokens and events are refused where the clocks differ by five minutes."""
    await move(world, "P400D")

    for channel in ChannelId:
        citizen = await world.enter("in-production", channel)
        assert (await citizen.progress())["__typename"] == "ProductionProgress"
    await world.make_card("in-production")
    progress = await citizen.progress()
    assert {node["result"] for node in progress["nodes"]} == {"DONE"}
    (sms, *_) = await citizen.inbox()
    assert abs(datetime.fromisoformat(sms["at"]).timestamp() - time.time() - 400 * 86_400) < 120


async def test_the_audit_log_stays_intact(world: World, active: FrontEnd) -> None:
    """Its entries wait for no anchor while days pass in an instant."""
    await active.do("changeContact", residentialPostalCode="610000")

    await move(world, "P7D")
    await active.sign_in()
    await move(world, "P1D")

    assert await found(world) == []
    assert await late_in(world) == []


async def test_the_reset_brings_it_back_to_now(world: World) -> None:
    await move(world, "P7D")
    citizen = await world.enter("active")
    await citizen.code("REPORT_LOSS")

    await world.http.post("/sandbox/reset")

    assert abs(ahead(await clock(world.http))) < 60
    assert (await clock(world.http))["moved"] == "P0D"
    for channel in ChannelId:
        citizen = await world.enter("active", channel)
        answer = await citizen.do(
            "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
        )
        assert answer["__typename"] == "LossReported"
        await world.http.post("/sandbox/reset")


@pytest.mark.parametrize("given", BAD, ids=str)
async def test_another_duration_is_refused_and_moves_nothing(
    world: World, given: dict[str, Any]
) -> None:
    await move(world, "PT5M")

    response = await world.http.post("/sandbox/clock", json=given)

    assert response.status_code == 400
    assert "such as P7D, PT5M or P1DT12H" in response.json()["error"]
    assert (await clock(world.http))["moved"] == "PT300S"


async def test_not_more_than_ten_years_in_all(world: World) -> None:
    await move(world, "P3660D")

    response = await world.http.post("/sandbox/clock", json={"advance": "PT1S"})

    assert response.status_code == 400
    assert (await clock(world.http))["moved"] == "P3660D"
    assert (await world.enter("active")).headers


async def test_every_process_goes_by_it(settings: Settings, world: World, active: FrontEnd) -> None:
    """A second application on the same data, which was there before the clock was moved."""
    async with running(settings) as other:
        transport = httpx.ASGITransport(other)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as elsewhere:
            code = await active.code("REPORT_LOSS")
            await move(world, "PT6M")
            there = FrontEnd(elsewhere, active.channel, active.person)
            there.headers = active.headers

            answer = await there.do("reportLoss", phone=active.person.phone, code=code)

            assert fault(answer) == ("CODE_EXPIRED", "code")
            assert abs(ahead(await clock(elsewhere)) - 360) < 60
            await elsewhere.post("/sandbox/reset")
            assert (await clock(world.http))["moved"] == "P0D"


@pytest.mark.server
def test_processes_of_one_server_go_by_it(tmp_path: Path) -> None:
    """Each answer comes from either of two workers."""
    with serving(tmp_path, workers="2") as server:
        for day in range(1, 11):
            with httpx.Client(base_url=server.url, trust_env=False) as http:
                http.post("/sandbox/clock", json={"advance": "P1D"}).raise_for_status()
            for _ in range(5):
                with httpx.Client(base_url=server.url, trust_env=False) as http:
                    assert http.get("/sandbox/clock").json()["moved"] == f"P{day}D"


async def test_without_the_sandbox_there_is_no_such_door(settings: Settings) -> None:
    """Nor does a clock that the sandbox has moved move that of a gateway on the same folder."""
    Clock(clock_file(settings)).advance(timedelta(days=7))
    app = create_app(replace(settings, sandbox=False))
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=ADDRESS
        ) as outside:
            response = await outside.post("/sandbox/clock", json={"advance": "P7D"})

        assert response.status_code == 404
        assert abs(app.state.application.clock() / SECOND - time.time()) < 60
