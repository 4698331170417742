"""One request by every way in: a thousand random ones have the same status, headers and bytes.

Each is sent with its document unknown and known, over the ASGI path and the fast path, in the
test's process and through the socket of a real server; and as GET, form, WebSocket and SSE.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, cast
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from starlette.types import Message

from core.kernel.settings import Settings
from gateway.app.factory import Gateway, create_app
from gateway.http.admission import BoundedCache
from gateway.http.edge import Head, RawHeaders, TrustedProxies
from gateway.http.server import Connections, FastPathProtocol, TimedWebSockets, fast_path
from tests.conftest import LateTransport, settings_for
from tests.encodings import unpacked
from tests.front_end import World
from tests.live import free_port
from tests.sockets import Line

REQUESTS = 1_000
SEED = 20_260_731
PAGE = "https://card.example"
WECHAT_PAGE = "https://card.wechat.example"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> bytes:
        return unpacked(dict(self.headers).get("content-encoding"), self.body)


@dataclass
class Case:
    """A request. `payload` are its parameters, `headers` what it sends beside the usual ones."""

    payload: dict[str, Any]
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/json"

    @property
    def body(self) -> bytes:
        return json.dumps(self.payload).encode()

    @property
    def fits_a_query_string(self) -> bool:
        """A query string cannot say null or a number, and has no content type."""
        texts = [self.payload.get(name) for name in ("query", "operationName", "documentId")]
        return all(isinstance(text, str | None) for text in texts)


# --- random requests -----------------------------------------------------------------------

DOCUMENTS = [
    "{ viewer { bound channel } }",
    "query A { channels { id name } } query B { viewer { bound } }",
    "query V($more: Boolean = true) { viewer { bound name @include(if: $more) } }",
    "{ cardStatus { __typename ... on Refusal { code message } } }",
    "query S($first: Int!) { serviceHistory(first: $first) { __typename } }",
    'mutation { reportLoss(input: {phone: "1", code: "2"}) { __typename ... on Refusal { code message } } }',
    'mutation M { reportLoss(input: {phone: "", code: ""}) { ... on Refusal { message } } }',
    "{ nothing }",
    "{ viewer {",
    "",
    "{ __typename }",
    "{ __schema { types { name fields { name } } } }",
]
VARIABLES: list[Any] = [
    None,
    {},
    {"more": False},
    {"first": 3},
    {"first": "3"},
    {"first": 2**31},
    {"first": 2**64},
    {"first": None},
    {"first": "\ufeff\0"},
    {"unknown": [[]]},
    [],
    "text",
    7,
]
NAMES: list[Any] = [None, "", "A", "B", "V", "S", "M", "C", "\0", 7]
EXTENSIONS: list[Any] = [None, {}, {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}, []]
IDS: list[Any] = [None, None, None, "", "unknown", 7]
CONTENT_TYPES = [
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/json;charset=gbk",
    "text/plain",
    "application/graphql",
]
HEADERS: dict[str, list[str]] = {
    "accept": [
        "*/*",
        "application/json",
        "application/graphql-response+json",
        "Application/GraphQL-Response+JSON;q=0.9, application/json;q=0.5",
        "application/graphql-response+json;q=0",
        "application/graphql-response+json;q=0.1, application/json",
        "text/event-stream;q=0",
        "image/png",
        "",
    ],
    "accept-language": ["en", "zh", "en;q=0.1, zh;q=0.2", "EN-gb", "en;q=0", "fr", "en;q=x"],
    "accept-encoding": ["gzip", "identity;q=0", "gzip;q=0, *", "zstd, br;q=0.5"],
    "x-card-channel": ["UNIONPAY", "WECHAT", "nobody", ""],
    "x-device-key": ["k" * 16, "short", "k" * 300],
    "origin": ["http://127.0.0.1:8000", PAGE, WECHAT_PAGE, "https://evil.example", "null"],
    "content-encoding": ["gzip", "identity"],
    "cookie": ["a=b"],
    "x-unknown": ["1"],
}


def requests(token: str, seed: int, count: int) -> Iterator[Case]:
    draw = random.Random(seed)
    for _ in range(count):
        yield _request(draw, token)


def _request(draw: random.Random, token: str) -> Case:
    payload: dict[str, Any] = {"query": draw.choice(DOCUMENTS)}
    for name, values in (
        ("variables", VARIABLES),
        ("operationName", NAMES),
        ("extensions", EXTENSIONS),
        ("documentId", IDS),
    ):
        if draw.random() < 0.35:
            payload[name] = draw.choice(values)
    headers = [("graphql-preflight", "1")]
    bearer = [f"Bearer {token}", f"bearer {token}", "Bearer nobody", "Basic YTpi", "Bearer", ""]
    if draw.random() < 0.7:
        headers.append(("authorization", draw.choice(bearer)))
    for name in draw.sample(list(HEADERS), draw.choice([0, 0, 1, 1, 2, 3])):
        headers.append((name, draw.choice(HEADERS[name])))
    if draw.random() < 0.15:
        name, _ = twice = draw.choice(headers)
        given = bearer if name == "authorization" else HEADERS.get(name, ["1"])
        headers.append(draw.choice([twice, (name, draw.choice(given))]))
    draw.shuffle(headers)
    kind = draw.choice(CONTENT_TYPES) if draw.random() < 0.15 else "application/json"
    return Case(payload, headers, kind)


# --- the ways in ---------------------------------------------------------------------------

Raw: TypeAlias = list[tuple[str, str]]


class Ways:
    def __init__(self, app: Gateway, port: int) -> None:
        assert app.fast_path is not None
        self._app, self._port, self._fast_path = app, port, app.fast_path

    def forget(self) -> None:
        """Makes every document unknown."""
        self._fast_path._parsed = BoundedCache(1_000_000)
        self._fast_path._admission.prepared._kept = BoundedCache(10_000_000)

    async def by_asgi(self, case: Case) -> Answer:
        return await self._posted(case, None)

    async def by_fast_path(self, case: Case) -> Answer:
        return await self._posted(case, self._fast_path)

    async def _posted(self, case: Case, way: Any) -> Answer:
        self._app.fast_path = way
        headers = [("content-type", case.content_type), *case.headers]
        return await self._ask("POST", "", headers, case.body)

    async def by_get(self, case: Case) -> Answer:
        given = {
            name: json.dumps(value) if name in ("variables", "extensions") else value
            for name, value in case.payload.items()
            if value is not None
        }
        return await self._ask("GET", urlencode(given), case.headers, b"")

    async def by_form(self, case: Case) -> Answer:
        form = httpx.Request("POST", "http://a", data={"operations": case.body, "map": "{}"}, files={"x": b""})  # fmt: skip
        kind = form.headers["content-type"]
        return await self._ask("POST", "", [("content-type", kind), *case.headers], form.read())

    async def by_event_stream(self, case: Case) -> Answer:
        others = [pair for pair in case.headers if pair[0] != "accept"]
        headers = [("content-type", case.content_type), ("accept", "text/event-stream"), *others]
        return await self._ask("POST", "", headers, case.body)

    async def _ask(self, method: str, query: str, headers: Raw, body: bytes) -> Answer:
        sent: list[Message] = []
        scope = {
            "type": "http",
            "method": method,
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": query.encode(),
            "root_path": "",
            "headers": raw(headers, body),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "scheme": "http",
            "http_version": "1.1",
            "state": {},
        }
        pieces = [body]

        async def receive() -> Message:
            if pieces:
                return {"type": "http.request", "body": pieces.pop(), "more_body": False}
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *bodies = sent
        shown = [(name.decode(), value.decode()) for name, value in start["headers"]]
        return Answer(start["status"], shown, b"".join([part["body"] for part in bodies]))

    async def by_socket(self, case: Case) -> Answer:
        self._app.fast_path = None  # only the server's own shortcut
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        lines = [b"POST /graphql HTTP/1.1"]
        lines += [b"%b: %b" % pair for pair in raw([("content-type", case.content_type), *case.headers], case.body)]  # fmt: skip
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + case.body)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
        first, *shown = head.strip().split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in shown]
        length = int(dict(cast("list[tuple[str, str]]", headers))["content-length"])
        body = await reader.readexactly(length)
        writer.close()
        return Answer(int(first.split()[1]), cast("Raw", headers), body)

    async def by_websocket(self, case: Case) -> Any:
        """The payload of the answer; None if the handshake is refused."""
        line = Line(self._app, {}, [("host", "127.0.0.1:8000"), *case.headers])
        if (await line.receive())["type"] != "websocket.accept":
            return None
        await line.send({"type": "connection_init"})
        if (await line.receive())["type"] != "websocket.send":
            return None
        await line.send({"type": "subscribe", "id": "1", "payload": case.payload})
        answer = await line.hear()
        if answer["type"] == "next":
            assert (await line.hear())["type"] == "complete"
        await line.hang_up()
        return answer["payload"]


def raw(headers: Raw, body: bytes) -> RawHeaders:
    given = [("host", "127.0.0.1:8000"), *headers]
    if body:
        given.append(("content-length", str(len(body))))
    return [(name.encode(), value.encode()) for name, value in given]


def shown(answer: Answer) -> Any:
    """Without what differs between two answers of one way."""
    headers = [
        (name, "" if name == "ratelimit" else value)
        for name, value in answer.headers
        if name != "date"
    ]
    return answer.status, headers, _DRAWN.sub(b"", answer.body)


_DRAWN = re.compile(rb'"errorId":"\w+"')


# --- the comparison ------------------------------------------------------------------------


async def differences(ways: Ways, case: Case) -> list[str]:
    """The ways in that answer otherwise than the ASGI path with an unknown document."""
    ways.forget()
    cold = await ways.by_asgi(case)
    found = []
    for name, way, is_known in (
        ("fast path, cold", ways.by_fast_path, False),
        ("socket, cold", ways.by_socket, False),
        ("asgi, warm", ways.by_asgi, True),
        ("fast path, warm", ways.by_fast_path, True),
        ("socket, warm", ways.by_socket, True),
    ):
        ways.forget()
        if is_known:
            await ways.by_asgi(Case(case.payload))
        answer = await way(case)
        if shown(answer) != shown(cold):
            found.append(f"{name}: {shown(answer)}\n{' ' * 8}{shown(cold)}")
    if case.content_type.lower().startswith("application/json"):
        found += await _other_ways(ways, case, cold)
    return found


async def _other_ways(ways: Ways, case: Case, cold: Answer) -> list[str]:
    found = []
    form = await ways.by_form(case)
    if shown(form) != shown(cold):
        found.append(f"form: {shown(form)}\n{' ' * 8}{shown(cold)}")
    if case.fits_a_query_string:
        got = await ways.by_get(case)
        if got.status != 405 and (got.status, got.text) != (cold.status, cold.text):
            found.append(f"GET: {shown(got)}\n{' ' * 8}{shown(cold)}")
    streamed = await ways.by_event_stream(case)
    if streamed.body.startswith(b"event: next"):
        data = re.findall(rb"data: ([^\r\n]+)", streamed.body)[0]
        if _DRAWN.sub(b"", data) != _DRAWN.sub(b"", cold.text):
            found.append(f"SSE: {data!r}\n{' ' * 8}{cold.text!r}")
    payload = await ways.by_websocket(case)  # has no body, whose encoding could be refused
    expected = json.loads(cold.text)
    whole = {"errors": payload} if isinstance(payload, list) else payload
    if whole is not None and whole != expected and cold.status not in (401, 415):
        found.append(f"WebSocket: {whole}\n{' ' * 8}{expected}")
    if whole is None and cold.status not in (400, 403):
        found.append(f"WebSocket: refused\n{' ' * 8}{expected}")
    return found


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


@pytest.fixture
def settings(database_url: str, tmp_path: Any) -> Settings:
    return settings_for(database_url, tmp_path, wechat_origins=WECHAT_PAGE, allowed_origins=PAGE)


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[tuple[Gateway, int]]:
    """The application in a real server, on the loop of the test."""
    transport, port = LateTransport(), free_port()
    app = transport.app = create_app(settings, transport=transport)
    connections = Connections(
        seconds=10,
        min_rate=1,
        limit=100,
        limit_per_address=100,
        proxies=TrustedProxies.of(settings),
    )
    config = uvicorn.Config(
        app,
        port=port,
        http=cast("type[asyncio.Protocol]", partial(FastPathProtocol, connections=connections)),
        ws=cast("type[asyncio.Protocol]", partial(TimedWebSockets, connections=connections)),
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    yield cast("Gateway", app), port
    server.should_exit = True
    await task


@pytest.fixture
async def token(served: tuple[Gateway, int]) -> AsyncIterator[str]:
    app, _ = served
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        world = World(http, app.state.application)
        citizen = await world.enter("active")
        yield citizen.headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.slow
@pytest.mark.server
async def test_every_way_answers_alike(served: tuple[Gateway, int], token: str) -> None:
    ways = Ways(*served)
    different = []
    for case in requests(token, SEED, REQUESTS):
        ways._fast_path._admission.budgets.clear()
        if found := await differences(ways, case):
            different.append("\n".join([str(case), *found]))

    assert not different, "\n\n".join([f"{len(different)} differ", *different[:5]])


@pytest.mark.slow
@pytest.mark.server
async def test_a_second_reader_would_be_found(
    served: tuple[Gateway, int], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a fast path with a reader of its own, in which the last header wins."""
    monkeypatch.setattr(fast_path, "read_head", lambda raw, _: Head(dict(raw)))
    ways = Ways(*served)
    authorized = [("authorization", "Bearer nobody"), ("authorization", f"Bearer {token}")]

    found = await differences(ways, Case({"query": DOCUMENTS[0]}, authorized))

    assert [way.partition(":")[0] for way in found] == ["fast path, warm", "socket, warm"]
