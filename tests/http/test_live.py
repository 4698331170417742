"""The real server: sockets and event streams, driven by an ordinary client."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.live import sign_in

PROTOCOL = Subprotocol("graphql-transport-ws")
FIELDS = "cursor nodes { node result } changes { node result }"
PROGRESS = f"subscription {{ productionProgress {{ {FIELDS} }} }}"
RESUMED = f"subscription($after: String) {{ productionProgress(after: $after) {{ {FIELDS} }} }}"
SIGN_OUT = "mutation { signOut { __typename } }"
MAX_SECONDS = 0.5


@pytest.fixture
def http(live_server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_server, trust_env=False, timeout=30) as client:
        client.post("/sandbox/reset").raise_for_status()
        yield client


def advance(http: httpx.Client, **given: str) -> str:
    response = http.post("/sandbox/issuer/advance", json={"persona": "in-production", **given})
    return str(response.raise_for_status().json()["node"])


def sign_out(http: httpx.Client, headers: dict[str, str]) -> None:
    http.post("/graphql", json={"query": SIGN_OUT}, headers=headers).raise_for_status()


def progress_in(message: Any) -> Any:
    """What a `next` message of the protocol tells."""
    assert message["type"] == "next", message
    return message["payload"]["data"]["productionProgress"]


def changes(progress: Any) -> list[tuple[str, str]]:
    return [(change["node"], change["result"]) for change in progress["changes"]]


def done(message: Any) -> int:
    nodes = message["data"]["productionProgress"]["nodes"]
    return sum(1 for node in nodes if node["result"] == "DONE")


@asynccontextmanager
async def socket(
    server: str, parameters: dict[str, str] | None = None, **headers: str
) -> AsyncIterator[ClientConnection]:
    url = f"ws{server.removeprefix('http')}/graphql"
    async with connect(
        url, subprotocols=[PROTOCOL], additional_headers=headers, proxy=None
    ) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": parameters or {}}))
        assert json.loads(await connection.recv()) == {"type": "connection_ack"}
        yield connection


async def subscribe(
    connection: ClientConnection, query: str, id_: str = "1", **variables: str
) -> None:
    payload = {"query": query, "variables": variables}
    message = {"id": id_, "type": "subscribe", "payload": payload}
    await connection.send(json.dumps(message))


async def receive(connection: ClientConnection, seconds: float = 5) -> Any:
    return json.loads(await asyncio.wait_for(connection.recv(), seconds))


async def ask(connection: ClientConnection, query: str, id_: str) -> Any:
    """One answer; its completion is awaited."""
    await subscribe(connection, query, id_)
    answer = await receive(connection)
    assert answer["id"] == id_
    if answer["type"] == "next":
        assert await receive(connection) == {"id": id_, "type": "complete"}
    return answer


async def test_a_node_reaches_the_socket_within_half_a_second(
    live_server: str, http: httpx.Client
) -> None:
    token = sign_in(http, "in-production")

    async with socket(live_server, {"Authorization": f"Bearer {token}"}) as connection:
        await subscribe(connection, PROGRESS)
        first = await receive(connection)
        begin = time.monotonic()
        await asyncio.to_thread(advance, http)
        message = await receive(connection)
        waited = time.monotonic() - begin

    assert done(first["payload"]) == 2
    assert done(message["payload"]) == 3
    assert waited <= MAX_SECONDS


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "parameters"])
async def test_after_signing_out_the_socket_does_nothing_more(
    live_server: str, http: httpx.Client, by_header: bool
) -> None:
    token = sign_in(http, "active")
    given = {"Authorization": f"Bearer {token}"}

    async with socket(
        live_server, None if by_header else given, **(given if by_header else {})
    ) as connection:
        before = await ask(connection, "{ viewer { bound } }", "1")
        await asyncio.to_thread(sign_out, http, given)
        mutation = await ask(connection, SIGN_OUT, "2")
        query = await ask(connection, "{ viewer { bound } }", "3")

    assert before["payload"]["data"] == {"viewer": {"bound": True}}
    assert mutation["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert query["payload"]["data"] == {"viewer": None}


async def test_a_subscription_ends_with_its_session(live_server: str, http: httpx.Client) -> None:
    token = sign_in(http, "in-production")
    given = {"Authorization": f"Bearer {token}"}

    async with socket(live_server, given) as connection:
        await subscribe(connection, PROGRESS)
        await receive(connection)
        await asyncio.to_thread(sign_out, http, given)
        await asyncio.to_thread(advance, http)
        message = await receive(connection)

    assert message == {"id": "1", "type": "complete"}


async def test_a_subscription_ends_within_a_second_of_its_session(
    live_server: str, http: httpx.Client
) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}

    async with socket(live_server, given) as connection:
        await subscribe(connection, PROGRESS)
        await receive(connection)
        await asyncio.to_thread(sign_out, http, given)
        message = await receive(connection, seconds=1)

    assert message == {"id": "1", "type": "complete"}


async def test_a_lost_connection_is_taken_up_without_a_gap(
    live_server: str, http: httpx.Client
) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}
    async with socket(live_server, given) as connection:
        await subscribe(connection, PROGRESS)
        seen = progress_in(await receive(connection))["cursor"]
    for result in ({"result": "FAILED", "reason": "照片未能打印"}, {}, {}):
        await asyncio.to_thread(advance, http, **result)

    async with socket(live_server, given) as connection:
        await subscribe(connection, RESUMED, after=seen)
        missed = progress_in(await receive(connection))
        await asyncio.to_thread(advance, http)
        following = progress_in(await receive(connection))

    assert changes(missed) == [
        ("MANUFACTURE", "FAILED"),
        ("MANUFACTURE", "DONE"),
        ("KEY_LOADING", "DONE"),
    ]
    assert changes(following) == [("STOCK_TRANSFER", "DONE")]


async def test_taking_up_where_nothing_was_missed_begins_with_the_state(
    live_server: str, http: httpx.Client
) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}
    async with socket(live_server, given) as connection:
        await subscribe(connection, PROGRESS)
        first = progress_in(await receive(connection))
        await subscribe(connection, RESUMED, "2", after=first["cursor"])
        again = progress_in(await receive(connection))

    assert changes(first) == [("INTAKE", "DONE"), ("BANK_ACCOUNT", "DONE")]
    assert again == first | {"changes": []}


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2.3", "１.２", "9" * 40 + ".1", "-1.0"])
async def test_what_is_no_cursor_is_refused(
    live_server: str, http: httpx.Client, cursor: str
) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}

    async with socket(live_server, given) as connection:
        await subscribe(connection, RESUMED, after=cursor)
        message = await receive(connection)

    errors = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
    assert errors[0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert errors[0]["message"].startswith("续传位置 after 无效")


async def test_a_socket_without_a_session_may_not_subscribe(
    live_server: str, http: httpx.Client
) -> None:
    async with socket(live_server) as connection:
        await subscribe(connection, PROGRESS)
        message = await receive(connection)

    errors = message["payload"]["errors"] if message["type"] == "next" else message["payload"]
    assert errors[0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_limits_hold_over_the_socket(live_server: str, http: httpx.Client) -> None:
    loss = 'reportLoss(input: {phone: "19900001001", code: "000000"}) { __typename }'

    async with socket(live_server) as connection:
        twice = await ask(connection, f"mutation {{ a: {loss} b: {loss} }}", "1")
        wide = await ask(connection, "{" + "viewer { name } " * 300 + "}", "2")

    assert twice["type"] == wide["type"] == "error"
    assert twice["payload"][0]["message"] == "A mutation may have one root field."
    assert wide["payload"][0]["extensions"]["code"] == "TOO_COMPLEX"


async def test_a_page_of_another_origin_gets_no_socket(
    live_server: str, http: httpx.Client
) -> None:
    with pytest.raises(Exception, match="403"):
        async with socket(live_server, Origin="https://evil.example"):
            pass


async def test_the_legacy_protocol_is_not_spoken(live_server: str, http: httpx.Client) -> None:
    url = f"ws{live_server.removeprefix('http')}/graphql"

    async with connect(url, subprotocols=[Subprotocol("graphql-ws")], proxy=None) as connection:
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4406


async def test_a_message_of_ten_megabytes_closes_the_socket(
    live_server: str, http: httpx.Client
) -> None:
    async with socket(live_server) as connection:
        with suppress(ConnectionClosed):
            await subscribe(connection, "x" * 10_000_000)
        await asyncio.wait_for(connection.wait_closed(), 5)

    assert connection.close_code == 1009


def test_a_node_reaches_an_event_stream(live_server: str, http: httpx.Client) -> None:
    token = sign_in(http, "in-production")
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}

    with http.stream("POST", "/graphql", json={"query": PROGRESS}, headers=headers) as response:
        events = events_of(response)
        first = next(events)
        begin = time.monotonic()
        with httpx.Client(base_url=live_server, trust_env=False) as other:
            advance(other)
        second = next(events)
        waited = time.monotonic() - begin

    assert response.headers["content-type"].startswith("text/event-stream")
    assert (done(first), done(second)) == (2, 3)
    assert waited <= MAX_SECONDS


def test_an_event_stream_is_taken_up_by_the_last_events_id(http: httpx.Client) -> None:
    """As a browser does by itself: the same request again, with the id of the last event."""
    token = sign_in(http, "in-production")
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    body = {"query": RESUMED, "variables": {"after": None}}
    with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        seen, first = next(ids_and_data(response))
    for _ in range(2):
        advance(http)

    headers["Last-Event-ID"] = seen
    with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        latest, missed = next(ids_and_data(response))

    assert seen == first["data"]["productionProgress"]["cursor"]
    assert changes(missed["data"]["productionProgress"]) == [
        ("MANUFACTURE", "DONE"),
        ("KEY_LOADING", "DONE"),
    ]
    assert latest == missed["data"]["productionProgress"]["cursor"] != seen


def ids_and_data(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    id_ = ""
    for line in response.iter_lines():
        if line.startswith("id: "):
            id_ = line.removeprefix("id: ")
        elif line.startswith("data: {"):
            yield id_, json.loads(line.removeprefix("data: "))


def events_of(response: httpx.Response) -> Iterator[Any]:
    for line in response.iter_lines():
        if line.startswith("data:") and line.removeprefix("data:").strip():
            yield json.loads(line.removeprefix("data:"))


async def test_who_closes_the_socket_is_forgotten(live_server: str, http: httpx.Client) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}

    async with socket(live_server, given) as connection:
        await subscribe(connection, PROGRESS)
        await receive(connection)
        in_between = await asyncio.to_thread(watching, http)

    assert in_between == 1
    await asyncio.to_thread(must_be_forgotten, http)


def test_who_leaves_the_event_stream_is_forgotten(http: httpx.Client) -> None:
    token = sign_in(http, "in-production")
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}

    with http.stream("POST", "/graphql", json={"query": PROGRESS}, headers=headers) as response:
        events = events_of(response)
        next(events)
        in_between = watching(http)

    assert in_between == 1
    must_be_forgotten(http)


def must_be_forgotten(http: httpx.Client) -> None:
    for _ in range(50):
        if watching(http) == 0:
            return
        time.sleep(0.1)
    pytest.fail("a watcher is still kept for somebody who has gone")


def watching(http: httpx.Client) -> int:
    found = re.search(
        r"^card_gateway_subscriptions (\d+)$", http.get("/metrics").text, re.MULTILINE
    )
    assert found is not None
    return int(found[1])


def test_operators_are_told_the_version_and_no_header_names_the_server(http: httpx.Client) -> None:
    response = http.get("/healthz")

    assert response.text == f"ok {version('card-gateway')}\n"
    assert "server" not in response.headers


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "parameters"])
@pytest.mark.parametrize(("channel", "code"), [("UNIONPAY", None), ("WECHAT", "UNAUTHENTICATED")])
async def test_a_socket_of_another_channel_gets_nothing(
    live_server: str, http: httpx.Client, channel: str, code: str | None, by_header: bool
) -> None:
    given = {"Authorization": f"Bearer {sign_in(http, 'active')}", "X-Card-Channel": channel}
    parameters, headers = ({}, given) if by_header else (given, {})

    async with socket(live_server, parameters, **headers) as connection:
        answer = await ask(connection, "{ cardStatus { __typename } }", "1")

    payload = answer["payload"]
    errors = payload if answer["type"] == "error" else payload.get("errors", [])
    assert [error["extensions"]["code"] for error in errors] == ([code] if code else [])
