"""What the card issuer reports: signed, sometimes twice, late or in another order."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from core.issuer import event_store
from sandbox.issuer import signed_headers
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import fault, history, later, notices, reissue_of

_ORDER = PERSONAS["in-production"].open_order
_IDS = count(1)
_UNDOING = ("applications", "cards", "production_orders", "production_nodes", "production_changes")
"""What undoing an order changes."""


async def test_takes_a_node_result_once(world: World) -> None:
    citizen = await world.enter("in-production")
    event = node_result("MANUFACTURE")

    first = await outcomes(world, event)
    before = await world.rows()
    repeated = await outcomes(world, *[event] * 1_000)

    assert (first, repeated) == (["TAKEN"], ["REPEATED"] * 1_000)
    assert await world.rows() == before
    assert (await history(world, citizen.person)).count("ISSUER_EVENT") == 1


async def test_a_node_result_that_comes_early_waits(world: World) -> None:
    citizen = await world.enter("in-production")
    ready_at = datetime(2025, 1, 20, 9, tzinfo=UTC)
    events = [
        node_result("READY_FOR_PICKUP", at=ready_at.isoformat()),
        node_result("KEY_LOADING"),
        node_result("MANUFACTURE", cardNumber="SAMPLE77X", batchNumber="SAMPLE-B2"),
    ]

    early = await outcomes(world, *events)
    while_open = await citizen.progress()
    last = await outcomes(world, node_result("STOCK_TRANSFER"))

    assert (early, last) == (["WAITING", "TAKEN", "TAKEN"], ["TAKEN"])
    assert [node["result"] for node in while_open["nodes"]] == [
        "DONE",
        "DONE",
        "DONE",
        "DONE",
        "IN_PROGRESS",
        "PENDING",
    ]
    shown = await citizen.status()
    assert (shown["state"], shown["cardNumber"], shown["issueDate"]) == (
        "SEALED",
        "SAMPLE77X",
        "2025-01-20",
    )
    assert await open_events(world) == []


async def test_a_failure_and_its_retry_may_change_places(world: World) -> None:
    citizen = await world.enter("in-production")
    failed_at = datetime.now(UTC) - timedelta(hours=2)

    answered = await outcomes(
        world,
        node_result("MANUFACTURE"),
        node_result("MANUFACTURE", result="FAILED", reason="照片", at=failed_at.isoformat()),
    )

    assert answered == ["TAKEN", "TAKEN"]
    assert [node["result"] for node in (await citizen.progress())["nodes"]][2:4] == [
        "DONE",
        "IN_PROGRESS",
    ]


async def test_a_node_fails_and_is_done_again(world: World) -> None:
    citizen = await world.enter("in-production")

    await outcomes(world, node_result("MANUFACTURE", result="FAILED", reason="照片模糊"))
    failed = (await citizen.progress())["nodes"][2]
    await outcomes(world, node_result("MANUFACTURE"))

    assert failed["result"] == "FAILED"
    assert "照片模糊" in failed["message"]
    assert (await citizen.progress())["nodes"][2]["result"] == "DONE"


async def test_what_fails_after_it_was_done_contradicts_in_either_order(world: World) -> None:
    done_at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    failed = node_result("MANUFACTURE", result="FAILED")

    early = await outcomes(world, failed)
    await outcomes(world, node_result("MANUFACTURE", at=done_at))

    assert early == ["TAKEN"]
    assert await open_events(world) == [(failed["id"], "CONTRADICTION")]
    assert (await history(world, PERSONAS["in-production"]))[-2:] == [
        "ISSUER_EVENT",
        "ISSUER_EVENT NOT FAILED",
    ]


@pytest.mark.parametrize("in_order", [True, False])
async def test_of_two_results_of_one_moment_the_later_id_stands(
    world: World, in_order: bool
) -> None:
    citizen = await world.enter("in-production")
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    failed = node_result("MANUFACTURE", result="FAILED", at=at) | {"id": "moment-1"}
    resumed = node_result("MANUFACTURE", result="IN_PROGRESS", at=at) | {"id": "moment-2"}

    for event in (failed, resumed) if in_order else (resumed, failed):
        assert await outcomes(world, event) == ["TAKEN"]

    assert (await citizen.progress())["nodes"][2]["result"] == "IN_PROGRESS"


async def test_an_id_that_is_used_for_something_else_contradicts(world: World) -> None:
    event = node_result("MANUFACTURE")
    await outcomes(world, event)
    before = await world.rows()

    assert await outcomes(world, event | {"node": "KEY_LOADING"}) == ["CONTRADICTION"]
    assert await world.rows() == before


async def test_an_order_that_moves_is_confirmed(world: World) -> None:
    """The issuer's answer to the order was lost, and its first event came before we asked."""
    citizen = await world.enter("lost")
    await fail_orders(world, "LOST_ANSWER", times=1)
    given = reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    answer = await citizen.do("reissueCard", "applicationNumber", **given)

    await outcomes(world, node_result("INTAKE", orderNumber=answer["applicationNumber"]))

    shown = await citizen.ask(
        "{ productionProgress { ... on ProductionProgress { confirmation } } }"
    )
    assert shown == {"confirmation": "CONFIRMED"}


async def test_a_rejection_after_an_order_moved_undoes_nothing(world: World) -> None:
    """The issuer makes the card, and then says of the order that went out again that it will not."""
    citizen = await world.enter("lost")
    await fail_orders(world, "BUSY")
    given = reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    answer = await citizen.do("reissueCard", "applicationNumber", **given)
    number = answer["applicationNumber"]
    await outcomes(world, node_result("INTAKE", orderNumber=number))
    before = await world.rows(*_UNDOING)
    told, entries = await notices(citizen), await history(world, citizen.person)
    await fail_orders(world, "REJECTED")

    with later(minutes=6):
        await world.application.worker.deliver_due()

        assert await world.rows(*_UNDOING) == before
        assert await notices(citizen) == told
        assert await history(world, citizen.person) == entries
    sent = [row for row in (await world.rows("outbox"))["outbox"] if "ISSUER_ORDER" in row]
    assert [row for row in sent if "refused: SAMPLE_REJECTION" in row] == sent
    assert len(sent) == 1


async def test_card_events_may_change_places(world: World, active: FrontEnd) -> None:
    now = datetime.now(UTC)
    locked_at, unlocked_at = now - timedelta(minutes=2), now - timedelta(minutes=1)

    unlocked = await outcomes(world, card_event("UNLOCK", "active", at=unlocked_at.isoformat()))
    meanwhile = await active.status()
    locked = await outcomes(world, card_event("LOCK", "active", at=locked_at.isoformat()))

    assert (unlocked, locked) == (["CONTRADICTION"], ["TAKEN"])
    assert meanwhile["state"] == "ACTIVE"
    assert (await active.status())["state"] == "ACTIVE"
    assert await open_events(world) == []
    assert (await history(world, active.person))[-2:] == [
        "ISSUER_EVENT LOCK",
        "ISSUER_EVENT UNLOCK",
    ]


async def test_what_the_citizen_did_since_is_not_undone(world: World, active: FrontEnd) -> None:
    """A lock of yesterday arrives after today's loss report."""
    await active.do("reportLoss", phone=active.person.phone, code=await active.code("REPORT_LOSS"))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    answered = await outcomes(world, card_event("LOCK", "active", at=yesterday))

    assert answered == ["CONTRADICTION"]
    assert (await active.status())["state"] == "LOST"


async def test_what_came_before_the_citizen_acted_is_not_looked_at_again(
    world: World, active: FrontEnd
) -> None:
    """An unlock came before its lock; meanwhile the citizen cancelled a temporary loss."""
    now = datetime.now(UTC)

    async def happened(kind: str, minutes_ago: int) -> tuple[str, str]:
        at = (now - timedelta(minutes=minutes_ago)).isoformat()
        told = await outcomes(world, card_event(kind, "active", at=at))
        return told[0], (await active.status())["state"]

    before = [await happened("TEMPORARY_LOSS", 4), await happened("UNLOCK", 2)]
    given = {"phone": active.person.phone, "cardNumber": active.person.card_number or ""}
    await active.do("cancelLoss", **given, code=await active.code("CANCEL_LOSS"))
    since = [await happened("LOCK", 3), *[await happened("TEMPORARY_LOSS", 0) for _ in "12"]]

    assert before == [("TAKEN", "TEMPORARILY_LOST"), ("CONTRADICTION", "TEMPORARILY_LOST")]
    assert since == [
        ("CONTRADICTION", "ACTIVE"),
        ("TAKEN", "TEMPORARILY_LOST"),
        ("CONTRADICTION", "TEMPORARILY_LOST"),
    ]
    assert [outcome for _, outcome in await open_events(world)] == ["CONTRADICTION"] * 3


async def test_of_two_events_dated_alike_one_may_come_after_the_citizen_acted(
    world: World, active: FrontEnd
) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await outcomes(world, card_event("TEMPORARY_LOSS", "active", at=at))
    given = {"phone": active.person.phone, "cardNumber": active.person.card_number or ""}
    await active.do("cancelLoss", **given, code=await active.code("CANCEL_LOSS"))

    answered = await outcomes(world, card_event("LOCK", "active", at=at))

    assert answered == ["TAKEN"]
    assert (await active.status())["state"] == "LOCKED"


async def test_what_lies_ahead_contradicts(world: World, active: FrontEnd) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    answered = await outcomes(
        world,
        card_event("LOCK", "active", at=tomorrow),
        node_result("MANUFACTURE", at=tomorrow),
    )

    assert answered == ["CONTRADICTION", "CONTRADICTION"]
    assert (await active.status())["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("minutes", "outcome", "state"), [(4, "TAKEN", "LOCKED"), (6, "CONTRADICTION", "ACTIVE")]
)
async def test_the_issuers_clock_may_be_five_minutes_ahead(
    world: World, active: FrontEnd, minutes: int, outcome: str, state: str
) -> None:
    at = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()

    assert await outcomes(world, card_event("LOCK", "active", at=at)) == [outcome]
    assert (await active.status())["state"] == state


async def test_what_lies_ahead_holds_nothing_up(world: World, active: FrontEnd) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await outcomes(world, card_event("LOCK", "active", at=tomorrow))
    await active.do("reportLoss", phone=active.person.phone, code=await active.code("REPORT_LOSS"))

    answered = await outcomes(world, card_event("CANCEL", "active"))

    assert answered == ["TAKEN"]
    assert (await active.status())["state"] == "CANCELLED"


async def test_takes_one_event_without_a_batch(world: World, active: FrontEnd) -> None:
    body = json.dumps(card_event("LOCK", "active")).encode()

    response = await send(world, body, headers_of(world, body))

    assert [event["outcome"] for event in response.json()["events"]] == ["TAKEN"]
    assert (await active.status())["state"] == "LOCKED"


async def test_takes_a_thousand_at_once_and_no_more(world: World) -> None:
    events = [card_event("UNLOCK", "active", cardNumber="SAMPLE999") for _ in range(1001)]
    before = await world.rows()

    body = body_of(*events)
    refused = await send(world, body, headers_of(world, body))
    assert await world.rows() == before
    taken = await outcomes(world, *events[:1000])

    assert (refused.status_code, taken) == (400, ["UNKNOWN_SUBJECT"] * 1000)


async def test_keeps_aside_what_contradicts_the_order(world: World) -> None:
    before = await world.rows("production_orders", "production_nodes", "cards", "applications")

    answered = await outcomes(
        world,
        node_result("INTAKE"),
        node_result("INTAKE", result="FAILED"),
        node_result("MANUFACTURE", orderNumber="SBK209901010000000000"),
        node_result("MANUFACTURE", orderNumber=None),
    )

    assert answered == ["CONTRADICTION", "CONTRADICTION", "UNKNOWN_SUBJECT", "UNKNOWN_SUBJECT"]
    after = await world.rows("production_orders", "production_nodes", "cards", "applications")
    assert after == before


@pytest.mark.parametrize("card_number", [None, "SAMPLE01X"])
async def test_issues_no_card_without_a_number_of_its_own(
    world: World, card_number: str | None
) -> None:
    citizen = await world.enter("in-production")
    others = [node_result(node) for node in ("MANUFACTURE", "KEY_LOADING", "STOCK_TRANSFER")]
    await outcomes(world, *others)

    answered = await outcomes(world, node_result("READY_FOR_PICKUP", cardNumber=card_number))

    assert answered == ["CONTRADICTION"]
    assert fault(await citizen.status()) == ("APPLICATION_OPEN", None)
    assert (await citizen.progress())["nodes"][5]["result"] == "IN_PROGRESS"


async def test_a_temporary_loss_lapses_after_seven_days(world: World, active: FrontEnd) -> None:
    await world.advance("active", event="TEMPORARY_LOSS")
    lost = await active.status()
    with later(days=6, hours=23):
        await active.sign_in()
        still_lost = await active.status()
    with later(days=7, seconds=5):
        await active.sign_in()
        lapsed = await active.status()
        await active.do(
            "reportLoss", phone=active.person.phone, code=await active.code("REPORT_LOSS")
        )

    assert [card["state"] for card in (lost, still_lost, lapsed)] == [
        "TEMPORARILY_LOST",
        "TEMPORARILY_LOST",
        "ACTIVE",
    ]
    assert "ISSUER_EVENT TEMPORARY_LOSS" in await history(world, active.person)
    with later(days=7, seconds=10):
        await active.sign_in()
        assert (await active.status())["state"] == "LOST"


async def test_a_loss_that_expired_can_be_reported_again_by_phone(
    world: World, active: FrontEnd
) -> None:
    await world.advance("active", event="TEMPORARY_LOSS")

    with later(days=8):
        await world.advance("active", event="TEMPORARY_LOSS")
        await active.sign_in()

        assert (await active.status())["state"] == "TEMPORARILY_LOST"


async def test_a_loss_reported_long_ago_has_lapsed_when_it_arrives(
    world: World, active: FrontEnd
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9)

    answered = await outcomes(
        world, card_event("TEMPORARY_LOSS", "active", at=long_ago.isoformat())
    )

    assert answered == ["TAKEN"]
    assert (await active.status())["state"] == "ACTIVE"


async def test_locks_and_unlocks_a_card(world: World, active: FrontEnd) -> None:
    await world.advance("active", event="LOCK")
    locked = await active.status()
    await world.advance("active", event="UNLOCK")

    assert locked["state"] == "LOCKED"
    assert (await active.status())["state"] == "ACTIVE"
    assert (await history(world, active.person))[-2:] == [
        "ISSUER_EVENT LOCK",
        "ISSUER_EVENT UNLOCK",
    ]


@pytest.mark.parametrize("persona", ["active", "sealed", "lost", "temporarily-lost", "locked"])
async def test_cancels_a_card_in_any_state_for_good(world: World, persona: str) -> None:
    citizen = await world.enter(persona)

    answered = await outcomes(world, card_event("CANCEL", persona))
    before = await world.rows("cards")
    again = [
        await outcomes(world, card_event(event, persona))
        for event in ("CANCEL", "UNLOCK", "LOCK", "TEMPORARY_LOSS")
    ]

    assert answered == ["TAKEN"]
    assert (await citizen.status())["state"] == "CANCELLED"
    assert again == [["CONTRADICTION"]] * 4
    assert await world.rows("cards") == before
    services = await citizen.ask("{ viewer { services { service available } } }")
    assert services["services"][0] == {"service": "APPLY_CARD", "available": True}


async def test_a_cancelled_new_card_makes_way_for_another_reissue(world: World) -> None:
    citizen = await world.enter("lost")
    given = reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    await citizen.do("reissueCard", **given)
    await world.make_card("lost")

    await world.advance("lost", event="CANCEL")

    assert (await citizen.status())["state"] == "LOST"
    with later(seconds=61):
        answer = await citizen.do(
            "reissueCard", **(given | {"code": await citizen.code("REISSUE_CARD")})
        )
        assert answer["__typename"] == "CardReissued"


async def test_keeps_aside_what_contradicts_the_card(world: World) -> None:
    contradictions = [
        ("active", "UNLOCK"),
        ("sealed", "LOCK"),
        ("sealed", "TEMPORARY_LOSS"),
        ("lost", "TEMPORARY_LOSS"),
        ("lost", "UNLOCK"),
        ("temporarily-lost", "TEMPORARY_LOSS"),
        ("locked", "LOCK"),
        ("locked", "TEMPORARY_LOSS"),
        ("cancelled", "CANCEL"),
        ("cancelled", "UNLOCK"),
    ]
    before = await world.rows("cards", "applications", "audit_entries")

    answered = await outcomes(
        world, *(card_event(kind, persona) for persona, kind in contradictions)
    )

    assert answered == ["CONTRADICTION"] * 10
    assert await world.rows("cards", "applications", "audit_entries") == before


async def test_takes_no_event_for_a_card_of_somebody_else(world: World) -> None:
    number = PERSONAS["lost"].social_security_number
    before = await world.rows("cards", "audit_entries")

    answered = await outcomes(
        world,
        card_event("CANCEL", "active", socialSecurityNumber=number),
        card_event("CANCEL", "active", socialSecurityNumber="510104198001011236"),
        card_event("CANCEL", "active", cardNumber="SAMPLE999"),
        card_event("CANCEL", "active", cardNumber=None, socialSecurityNumber=None),
    )

    assert answered == ["UNKNOWN_SUBJECT"] * 4
    assert await world.rows("cards", "audit_entries") == before


async def test_takes_the_longest_texts_that_its_document_promises(world: World) -> None:
    citizen = await world.enter("in-production")
    failed_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    answered = await outcomes(
        world,
        node_result(
            "MANUFACTURE", id="长" * 64, result="FAILED", reason="照片不合格" * 50, at=failed_at
        ),
        node_result("MANUFACTURE", id="e" * 64, batchNumber="B" * 64, cardNumber="SAMPLE77X"),
    )

    assert answered == ["TAKEN", "TAKEN"]
    assert (await citizen.progress())["batchNumber"] == "B" * 64


async def test_refuses_what_the_issuer_did_not_sign(world: World) -> None:
    body = body_of(card_event("CANCEL", "active"))
    good = headers_of(world, body)
    before = await world.rows()

    refused = [
        await send(world, body, good | {"X-Issuer-Signature": "0" * 64}),
        await send(world, body, good | {"X-Issuer-Signature": "签"}),
        await send(world, body, good | {"X-Issuer-Timestamp": "soon"}),
        await send(world, body, {}),
        await send(world, body + b" ", good),
        await send(world, body, signed_headers(b"another key", body, int(time.time()))),
        await send(world, body, headers_of(world, body, -301)),
        await send(world, body, headers_of(world, body, 301)),
    ]

    assert [response.status_code for response in refused] == [401] * 8
    assert await world.rows() == before


async def test_takes_a_signature_within_five_minutes(world: World) -> None:
    body = body_of(card_event("LOCK", "active"))

    response = await send(world, body, headers_of(world, body, -290))

    assert response.status_code == 200
    assert response.json()["events"][0]["outcome"] == "TAKEN"


async def test_refuses_what_cannot_be_read(world: World) -> None:
    unreadable = [
        b'{"events":' + b"[" * 100_000,
        b"{",
        b"[]",
        b'{"events": [{"id": "1"}]}',
        b'{"events": [{"id": "1", "type": "RAIN", "at": "2025-01-20T09:00:00Z"}]}',
        b'{"events": [{"id": "1", "type": "LOCK", "at": "2025-01-20T09:00:00"}]}',
        b'{"events": [{"id": "' + b"1" * 65 + b'", "type": "LOCK", "at": "2025-01-20T09:00:00Z"}]}',
        body_of(node_result("MANUFACTURE", id="a\0b")),
        body_of(node_result("MANUFACTURE", orderNumber="a\0b")),
        body_of(node_result("MANUFACTURE", batchNumber="a\0b")),
        body_of(node_result("MANUFACTURE", batchNumber="B" * 65)),
    ]
    before = await world.rows()

    refused = [await send(world, body, headers_of(world, body)) for body in unreadable]

    assert [response.status_code for response in refused] == [400] * len(unreadable)
    assert await world.rows() == before


async def fail_orders(world: World, kind: str, times: int = 99) -> None:
    given = {"partner": "issuer", "path": "/orders", "fault": kind, "times": times}
    response = await world.http.post("/sandbox/partners/fault", json=given)
    assert response.status_code == 200, response.text


def node_result(node: str, **changes: Any) -> dict[str, Any]:
    return event(
        "NODE_RESULT", **({"orderNumber": _ORDER, "node": node, "result": "DONE"} | changes)
    )


def card_event(kind: str, persona: str, **changes: Any) -> dict[str, Any]:
    person = PERSONAS[persona]
    own = {
        "cardNumber": person.card_number,
        "socialSecurityNumber": person.social_security_number,
    }
    return event(kind, **(own | changes))


def event(kind: str, **facts: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"id": f"event-{next(_IDS):04}", "type": kind, "at": at} | facts


def body_of(*events: dict[str, Any]) -> bytes:
    return json.dumps({"events": events}).encode()


def headers_of(world: World, body: bytes, seconds: int = 0) -> dict[str, str]:
    """Signed by the issuer so many seconds from now."""
    key = world.application.dependencies.settings.issuer_event_key.reveal().encode()
    return signed_headers(key, body, int(time.time()) + seconds)


async def open_events(world: World) -> list[tuple[str, str]]:
    rows = await event_store.open_events(world.application.database, 100)
    return [(row["id"], row["outcome"]) for row in rows]


async def send(world: World, body: bytes, headers: dict[str, str]) -> httpx.Response:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return await world.http.post("/issuer/events", content=body, headers=encoded)


async def outcomes(world: World, *events: dict[str, Any]) -> list[str]:
    body = body_of(*events)
    response = await send(world, body, headers_of(world, body))
    assert response.status_code == 200, response.text
    return [taken["outcome"] for taken in response.json()["events"]]
