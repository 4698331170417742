"""One reader of a request's head: what is no list occurs once, and `Host` exactly once."""

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from core.kernel.texts import Language
from gateway.http.edge import BadRequest, Head, bearer_token, read_head
from gateway.http.edge import head as reader
from gateway.http.edge.head import LISTS, SINGLETONS, head_of_parameters
from gateway.http.edge.negotiation import media_type, preferred_language
from tests.conftest import ADDRESS
from tests.front_end import FrontEnd, World
from tests.sockets import Line

HOST = (b"host", b"gateway")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


@pytest.mark.parametrize("name", sorted(SINGLETONS))
def test_what_is_no_list_occurs_once(name: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_head([HOST, (name, b"1"), (name, b"1")])

    assert refused.value.status == 400


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_is_joined_in_its_order(name: bytes) -> None:
    head = read_head([HOST, (name, b"a"), (b"x-other", b"1"), (name, b"b")])

    assert head.get(name) == "a, b"


def test_a_header_is_read_only_if_it_is_declared() -> None:
    with pytest.raises(KeyError):
        read_head([HOST, (b"x-new", b"1")]).get(b"x-new")


@pytest.mark.parametrize(
    "host",
    [b"gateway", b"gateway:8000", b"[::1]:8000", b"127.0.0.1", b"card.example.", b"xn--fiqs8s.cn"],
)
def test_a_valid_host(host: bytes) -> None:
    assert read_head([(b"host", host)]).get(b"host") == host.decode()


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a/b",
        b"user@a",
        b"a:port",
        b"a:123456",
        b"[::1",
        b"a#b",
        b"a,\xff",
        b"a" * 300,
    ],
)
def test_an_invalid_host_is_refused(host: bytes) -> None:
    with pytest.raises(BadRequest):
        read_head([(b"host", host)])


def test_only_http_1_0_may_lack_host() -> None:
    assert read_head([], "1.0").get(b"host") is None
    with pytest.raises(BadRequest):
        read_head([])
    with pytest.raises(BadRequest):
        read_head([HOST, HOST], "1.0")


def test_parameters_of_a_socket_are_read_alike() -> None:
    assert bearer_token(head_of_parameters({"Authorization": "Bearer t", "more": [1]})) == "t"
    wrong: list[dict[object, object]] = [
        {"Authorization": "Bearer a", "authorization": "Bearer b"},
        {"authorization": ["Bearer a"]},
        {"x-device-key": "密钥"},
    ]
    for given in wrong:
        with pytest.raises(BadRequest):
            head_of_parameters(given)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("Application/GraphQL-Response+JSON", "application/graphql-response+json"),
        ("application/graphql-response+json;q=0", "application/json"),
        ("application/graphql-response+json; q=0.5, application/json", "application/json"),
        (
            "application/json;q=0.9, application/graphql-response+json; charset=utf-8",
            "application/graphql-response+json",
        ),
        ("x-application/graphql-response+json", "application/json"),
        ("application/graphql-response+json;q=nan", "application/json"),
        ("application/graphql-response+json;q=2", "application/json"),
    ],
)
def test_the_media_type_is_negotiated(accept: str, expected: str) -> None:
    assert media_type(accept) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("en", Language.EN),
        ("EN-US, zh;q=0.5", Language.EN),
        ("en;q=0.5, zh", Language.ZH),
        ("en;q=0", Language.ZH),
        ("en;q=inf", Language.ZH),
        ("fr, de", Language.ZH),
    ],
)
def test_the_language_is_negotiated(given: str, expected: Language) -> None:
    assert preferred_language(given) is expected


# --- over every way in ---------------------------------------------------------------------

STATUS = {"query": "{ viewer { bound } }"}
TWICE = {
    "Authorization": ("Bearer a", "Bearer b"),
    "X-Card-Channel": ("UNIONPAY", "WECHAT"),
    "Origin": (ADDRESS, ADDRESS),
    "X-Device-Key": ("k" * 16, "l" * 16),
    "Content-Type": ("application/json", "application/json"),
    "Idempotency-Key": ("a", "b"),
}


@pytest.mark.parametrize("name", TWICE)
async def test_twice_is_refused_cold_and_warm(
    http: httpx.AsyncClient, world: World, name: str
) -> None:
    before = await world.rows()
    headers = [("Content-Type", "application/json"), *[(name, value) for value in TWICE[name]]]

    async def ask() -> httpx.Response:
        return await http.post("/graphql", json=STATUS, headers=headers)

    cold = await ask()
    for _ in range(2):
        await http.post("/graphql", json=STATUS)
    warm = await ask()

    assert cold.status_code == warm.status_code == 400
    assert (cold.content, cold.headers) == (warm.content, warm.headers)
    assert await world.rows() == before


async def test_choosing_the_last_would_sign_somebody_in(
    http: httpx.AsyncClient, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a reader that lets the last one win."""
    monkeypatch.setattr(reader, "_joined", dict)
    headers = [("Authorization", "Bearer x"), ("Authorization", active.headers["Authorization"])]

    response = await http.post("/graphql", json=STATUS, headers=headers)

    assert response.json()["data"] == {"viewer": {"bound": True}}


@pytest.mark.parametrize("path", ["/healthz", "/issuer/events", "/pictures/1", "/uploads/1"])
async def test_every_path_reads_the_same_head(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, headers=[("Authorization", "a"), ("Authorization", "b")])

    assert response.status_code == 400


async def test_a_socket_is_refused_with_two_of_them(app: Any) -> None:
    line = Line(app, {"Host": "127.0.0.1:8000"}, [("authorization", "a"), ("authorization", "b")])

    assert (await line.receive())["type"] == "websocket.close"


# --- by the real server --------------------------------------------------------------------


async def answer_to(server: str, request: bytes) -> bytes:
    address = urlsplit(server)
    stream, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    answer = await asyncio.wait_for(stream.read(), 10)
    writer.close()
    return answer


def handshake(*lines: str) -> bytes:
    given = (
        "GET /graphql HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *lines,
    )
    return "\r\n".join(given).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], b"400"),
        (["Host: a", "Host: a"], b"400"),
        (["Host: a", "Authorization: x", "Authorization: y"], b"400"),
        (["Host: a", "Origin: https://evil.example"], b"403"),
    ],
)
async def test_a_handshake_is_refused_as_a_request_is(
    live_server: str, lines: list[str], status: bytes
) -> None:
    answer = await answer_to(live_server, handshake(*lines))

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'"errors"' in answer
    assert b"nosniff" in answer


@pytest.mark.parametrize("lines", [[], ["Host: a", "Host: b"], ["Host: a b"], ["Host:"]])
async def test_the_server_wants_one_host(live_server: str, lines: list[str]) -> None:
    head = "\r\n".join(["GET /healthz HTTP/1.1", "Connection: close", *lines])

    answer = await answer_to(live_server, head.encode() + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")


async def test_http_1_0_needs_no_host(live_server: str) -> None:
    answer = await answer_to(live_server, b"GET /healthz HTTP/1.0\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "header", ["content-type", "accept", "accept-language", "accept-encoding", "authorization"]
)
async def test_a_long_header_costs_little(http: httpx.AsyncClient, header: str) -> None:
    value = "multipart/form-data" + ";" * 60_000
    headers = {"graphql-preflight": "1", "content-type": "application/json", header: value}
    await http.post("/graphql", json=STATUS, headers={})

    begun = time.process_time()
    await http.post("/graphql", json=STATUS, headers=headers)

    assert time.process_time() - begun < 0.05


async def test_without_the_limit_a_long_content_type_costs_much(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the library that reads forms takes as long as the square of the parts."""
    monkeypatch.setattr(reader, "MAX_CONTENT_TYPE", 10**6)
    value = "multipart/form-data" + ";" * 60_000

    begun = time.process_time()
    await http.post(
        "/graphql", content=b"x", headers={"graphql-preflight": "1", "content-type": value}
    )

    assert time.process_time() - begun > 0.05


def test_a_head_tells_no_values() -> None:
    assert "secret" not in repr(Head({b"authorization": b"secret"}))
