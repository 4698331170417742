"""服务评价: a service is rated once, and the rating goes to the 好差评 platform without a name."""

from typing import Any

import pytest

from core.services.rate_service import MAX_COMMENT
from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, history, later, problems
from tests.services.test_notices import report_loss

HISTORY = "{ serviceHistory { edges { node { id action result canRate score } } } }"


async def entries(citizen: FrontEnd) -> list[dict[str, Any]]:
    return [edge["node"] for edge in (await citizen.ask(HISTORY))["edges"]]


async def history_entry(citizen: FrontEnd, action: str = "REPORT_LOSS") -> str:
    found = next(entry for entry in await entries(citizen) if entry["action"] == action)
    return str(found["id"])


async def rate(citizen: FrontEnd, entry: str, score: int = 5, **given: Any) -> dict[str, Any]:
    return await citizen.do("rateService", "at", historyEntryId=entry, score=score, **given)


async def forwarded(world: World) -> list[dict[str, Any]]:
    await world.application.worker.drained()
    found: list[dict[str, Any]] = (await world.http.get("/sandbox/ratings")).json()
    return found


@pytest.mark.parametrize("channel", ["WECHAT", "UNIONPAY", "PING_AN"])
async def test_a_service_is_rated_once_and_forwarded(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    await report_loss(citizen)
    entry, can = await history_entry(citizen), [one["canRate"] for one in await entries(citizen)]

    answer = await rate(citizen, entry, 4, comment=" 很快，谢谢 ")
    sent = await forwarded(world)
    before = await world.rows()
    again = await rate(citizen, entry, 1)

    assert answer["__typename"] == "ServiceRated"
    assert can.count(True) == (2 if channel == "WECHAT" else 1)
    (told,) = sent
    assert {name: told[name] for name in ("service", "serviceName", "channel", "score")} == {
        "service": "REPORT_LOSS",
        "serviceName": "挂失",
        "channel": channel,
        "score": 4,
    }
    assert told["comment"] == "很快，谢谢"
    assert not any(
        number in str(sent)
        for number in (citizen.person.name, citizen.person.phone, citizen.person.card_number or "-")
    )
    rated = next(one for one in await entries(citizen) if one["id"] == entry)
    assert (rated["canRate"], rated["score"]) == (False, 4)
    assert fault(again) == ("ALREADY_RATED", "historyEntryId")
    assert await world.rows() == before
    assert await forwarded(world) == sent
    assert (await history(world, citizen.person))[-1] == "RATE_SERVICE"


async def test_rates_nobody_elses_and_nothing_that_is_no_service(
    world: World, active: FrontEnd
) -> None:
    await report_loss(active)
    theirs = await history_entry(active)
    other = await world.enter("lost")
    own_sign_in = await history_entry(other, "SIGN_IN")
    before = await world.rows()

    answers = [
        await rate(other, entry)
        for entry in (str(int(theirs) + 50), own_sign_in, "0", "", "x", "9" * 19)
    ]

    assert {fault(answer) for answer in answers} == {("NO_SUCH_HISTORY_ENTRY", "historyEntryId")}
    assert await world.rows() == before
    assert await forwarded(world) == []


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"score": 0}, [("score", "INVALID_FORMAT")]),
        ({"score": 6}, [("score", "INVALID_FORMAT")]),
        ({"comment": "好" * (MAX_COMMENT + 1)}, [("comment", "TOO_LONG")]),
        (
            {"score": -1, "comment": "好\u0000"},
            [("score", "INVALID_FORMAT"), ("comment", "INVALID_CHARACTERS")],
        ),
    ],
)
async def test_refuses_what_is_no_rating(
    world: World, active: FrontEnd, given: dict[str, Any], wrong: list[tuple[str, str]]
) -> None:
    await report_loss(active)
    entry = await history_entry(active)
    before = await world.rows()

    answer = await rate(active, entry, **given)
    with english(active):
        in_english = await rate(active, entry, **given)

    assert problems(answer) == problems(in_english) == wrong
    assert await world.rows() == before
    assert await forwarded(world) == []


async def test_an_unbound_visitor_rates_nothing(world: World) -> None:
    visitor = world.front_end("lost", "WECHAT")
    await visitor.sign_in()
    before = await world.rows()

    assert fault(await rate(visitor, "1")) == ("NOT_BOUND", None)
    assert await world.rows() == before


@pytest.mark.parametrize("kind", ["LOST_ANSWER", "BUSY"])
async def test_a_platform_that_fails_gets_it_later_and_once(
    world: World, active: FrontEnd, kind: str
) -> None:
    await report_loss(active)
    next_call = {"partner": "service-ratings", "path": "/ratings", "fault": kind}
    ordered = await world.http.post("/sandbox/partners/fault", json=next_call)
    assert ordered.status_code == 200, ordered.text

    assert (await rate(active, await history_entry(active)))["__typename"] == "ServiceRated"
    first = await forwarded(world)
    with later(minutes=6):
        await world.application.worker.deliver_due()
        sent = await forwarded(world)

    assert len(first) == (1 if kind == "LOST_ANSWER" else 0)
    assert len(sent) == 1
