import hashlib
import hmac
import re
import time
from datetime import datetime
from typing import Any

import httpx
import pytest
import respx

from core.kernel.settings import Settings
from core.partners import build_partners
from sandbox.issuer import NODES
from sandbox.personas import PERSONAS
from tests.sandbox.orders import order

IN_PRODUCTION = "SBK202501060000000007"


@pytest.fixture
def events(gateway: respx.MockRouter) -> respx.Route:
    return gateway.post("/issuer/events").respond(202, json={})


async def advance(sandbox: httpx.AsyncClient, persona: str, **more: str) -> httpx.Response:
    return await sandbox.post("/issuer/advance", json={"persona": persona, **more})


def reported(events: respx.Route) -> list[dict[str, Any]]:
    bodies = [httpx.Response(200, content=call.request.content).json() for call in events.calls]
    return [event for body in bodies for event in body["events"]]


async def place_order(settings: Settings, sandbox: httpx.AsyncClient, number: str) -> None:
    await build_partners(settings, sandbox).issuer.order(order(number), f"key-{number}")


async def test_reports_the_nodes_in_order(
    settings: Settings, sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    await place_order(settings, sandbox, "SBK1")

    answers = [(await advance(sandbox, "no-card")).json() for _ in NODES]

    assert answers == [{"node": node, "result": "DONE", "orderNumber": "SBK1"} for node in NODES]
    assert [event["node"] for event in reported(events)] == list(NODES)
    over = await advance(sandbox, "no-card")
    assert over.status_code == 409
    assert over.json() == {"error": "The persona no-card has no unfinished order."}


async def test_a_batch_number_comes_first_and_a_card_number_with_manufacture(
    settings: Settings, sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    await place_order(settings, sandbox, "SBK1")

    for _ in NODES:
        await advance(sandbox, "no-card")

    found = reported(events)
    [batch_number] = {event["batchNumber"] for event in found}
    [card_number] = {event["cardNumber"] for event in found[2:]}
    assert re.fullmatch(r"SAMPLE-[0-9]{10}", batch_number)
    assert re.fullmatch(r"[A-Z0-9]{8}[0-9X]", card_number)
    assert [event["cardNumber"] for event in found[:2]] == [None, None]


async def test_goes_on_with_the_order_that_is_in_production(
    sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    response = await advance(sandbox, "in-production")

    assert response.json() == {
        "node": "MANUFACTURE",
        "result": "DONE",
        "orderNumber": IN_PRODUCTION,
    }
    [event] = reported(events)
    assert re.fullmatch(r"[0-9a-f]{32}", event.pop("id"))
    assert datetime.fromisoformat(event.pop("at")).utcoffset() is not None
    assert len(event.pop("cardNumber")) == 9
    assert event == {
        "type": "NODE_RESULT",
        "orderNumber": IN_PRODUCTION,
        "node": "MANUFACTURE",
        "result": "DONE",
        "reason": None,
        "batchNumber": PERSONAS["in-production"].batch_number,
    }


async def test_signs_its_events(
    settings: Settings, sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    await advance(sandbox, "in-production")

    request = events.calls.last.request
    timestamp = request.headers["X-Issuer-Timestamp"]
    key = settings.issuer_event_key.reveal().encode()
    signed = f"{timestamp}.".encode() + request.content
    assert abs(int(timestamp) - time.time()) < 60
    assert request.headers["X-Issuer-Signature"] == (
        hmac.new(key, signed, hashlib.sha256).hexdigest()
    )
    assert request.headers["Content-Type"] == "application/json"


async def test_a_failed_node_comes_again(sandbox: httpx.AsyncClient, events: respx.Route) -> None:
    first = await advance(sandbox, "in-production", result="FAILED", reason="照片不清晰")
    second = await advance(sandbox, "in-production", result="FAILED")
    third = await advance(sandbox, "in-production")

    answers = [response.json() for response in (first, second, third)]
    assert [(answer["node"], answer["result"]) for answer in answers] == [
        ("MANUFACTURE", "FAILED"),
        ("MANUFACTURE", "FAILED"),
        ("MANUFACTURE", "DONE"),
    ]
    found = reported(events)
    assert [event["reason"] for event in found] == [
        "照片不清晰",
        "示例原因：该环节未通过，制卡中心将重新办理",
        None,
    ]
    assert len({event["cardNumber"] for event in found}) == 1
    assert len({event["id"] for event in found}) == 3


async def test_the_newest_unfinished_order_goes_first(
    settings: Settings, sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    await place_order(settings, sandbox, "SBK1")
    await place_order(settings, sandbox, "SBK2")

    response = await advance(sandbox, "no-card")

    assert response.json()["orderNumber"] == "SBK2"
    assert events.call_count == 1


@pytest.mark.parametrize("trouble", [httpx.Response(500), httpx.ConnectError("down")])
async def test_a_report_that_does_not_arrive_is_made_again(
    sandbox: httpx.AsyncClient, gateway: respx.MockRouter, trouble: httpx.Response | Exception
) -> None:
    route = gateway.post("/issuer/events").mock(side_effect=[trouble, httpx.Response(200)])

    first = await advance(sandbox, "in-production")
    second = await advance(sandbox, "in-production")

    assert first.status_code == 502
    assert second.json()["node"] == "MANUFACTURE"
    assert len({event["cardNumber"] for event in reported(route)}) == 1


@pytest.mark.parametrize("event", ["TEMPORARY_LOSS", "LOCK", "UNLOCK", "CANCEL"])
async def test_reports_what_happened_to_a_card(
    sandbox: httpx.AsyncClient, events: respx.Route, event: str
) -> None:
    response = await advance(sandbox, "active", event=event)

    assert response.json() == {"event": event, "cardNumber": "SAMPLE01X"}
    [found] = reported(events)
    assert found.pop("id")
    assert found.pop("at")
    assert found == {
        "type": event,
        "cardNumber": "SAMPLE01X",
        "socialSecurityNumber": "510104199104151236",
    }


async def test_reports_on_the_card_that_it_made(
    sandbox: httpx.AsyncClient, events: respx.Route
) -> None:
    for _ in NODES[2:]:
        await advance(sandbox, "in-production")
    made = reported(events)[-1]["cardNumber"]

    response = await advance(sandbox, "in-production", event="LOCK")

    assert response.json()["cardNumber"] == made


@pytest.mark.parametrize("persona", ["no-card", "other-city"])
async def test_has_nothing_to_report_on_who_has_no_card_of_chengdu(
    sandbox: httpx.AsyncClient, events: respx.Route, persona: str
) -> None:
    response = await advance(sandbox, persona, event="LOCK")

    assert response.status_code == 409
    assert response.json() == {"error": f"The persona {persona} has no card of Chengdu."}
    assert not events.called


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b'{"persona": 1}', 400),
        (b'{"persona": "active", "result": "LATE"}', 400),
        (b'{"persona": "active", "event": "LOST"}', 400),
        (b'{"persona": "nobody"}', 404),
    ],
)
async def test_says_what_is_wrong_with_a_request(
    sandbox: httpx.AsyncClient, events: respx.Route, body: bytes, status: int
) -> None:
    response = await sandbox.post("/issuer/advance", content=body)

    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert not events.called
