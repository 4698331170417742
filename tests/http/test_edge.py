"""Pages of other origins run nothing, and every answer carries its headers.

What a browser may send across origins without asking first ("simple requests", Fetch
Standard) is refused before its body is read, unless it carries a header that no page can
send unasked. Each refusal has its control: the same request with the missing part is
answered, and with the check taken out it runs.
"""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from core.kernel.settings import Settings
from gateway.http.edge import BadRequest, Origins, edge, read_head
from gateway.http.edge.origins import normal_origin
from tests.conftest import ADDRESS, settings_for
from tests.front_end import FrontEnd, World

JSON = {"Content-Type": "application/json"}
QUERY = '{"query": "{ __typename }"}'
EVIL = "https://evil.example"
WECHAT_PAGE = "https://card.wechat.example"
EVERY_PAGE = "https://card.example"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


@pytest.fixture
def settings(database_url: str, tmp_path: Any) -> Settings:
    return settings_for(
        database_url, tmp_path, wechat_origins=WECHAT_PAGE, allowed_origins=EVERY_PAGE
    )


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


# --- simple requests -----------------------------------------------------------------------

SIMPLE = {
    "text": ("POST", {"Content-Type": "text/plain"}),
    "text with a charset": ("POST", {"Content-Type": "text/plain;charset=UTF-8"}),
    "form": ("POST", {"Content-Type": "application/x-www-form-urlencoded"}),
    "upload": ("POST", {"Content-Type": "multipart/form-data; boundary=x"}),
    "no type": ("POST", {}),
    "text in capitals": ("POST", {"Content-Type": "TEXT/PLAIN"}),
    "picture": ("GET", {"Accept": "image/*", "Sec-Fetch-Site": "cross-site"}),
    "script": ("GET", {"Accept": "*/*", "Sec-Fetch-Site": "cross-site"}),
    "fetch": ("GET", {"Accept": "application/json", "Sec-Fetch-Site": "cross-site"}),
    "sister site": ("GET", {"Accept": "application/json", "Sec-Fetch-Site": "same-site"}),
    "picture of an old browser": ("GET", {"Accept": "image/*,*/*;q=0.8"}),
}


def raw(http: httpx.AsyncClient, method: str, headers: dict[str, str]) -> httpx.Request:
    """Without the headers that httpx would add."""
    url = f"{ADDRESS}/graphql" + ("?query={__typename}" if method == "GET" else "")
    content = QUERY.encode() if method == "POST" else None
    return httpx.Request(method, url, headers={"Host": "127.0.0.1:8000"} | headers, content=content)


@pytest.mark.parametrize("kind", SIMPLE)
async def test_a_simple_request_runs_nothing(http: httpx.AsyncClient, kind: str) -> None:
    method, headers = SIMPLE[kind]

    response = await http.send(raw(http, method, headers))

    assert response.status_code == 403
    assert code_of(response) == "PREFLIGHT_REQUIRED"
    assert "GraphQL-Preflight" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("kind", ["picture", "script", "fetch", "picture of an old browser"])
async def test_with_a_header_that_needs_a_preflight_it_runs(
    http: httpx.AsyncClient, kind: str
) -> None:
    method, headers = SIMPLE[kind]

    response = await http.send(raw(http, method, headers | {"GraphQL-Preflight": "1"}))

    assert response.json()["data"] == {"__typename": "Query"}


async def test_without_the_check_a_picture_would_run_a_query(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: nothing else stops it."""
    monkeypatch.setattr(edge, "require_csrf_safe_request", lambda *_: None)

    response = await http.send(raw(http, *SIMPLE["script"]))

    assert response.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/json"},
        {"Accept": "application/graphql-response+json"},
        {"Accept": "text/event-stream", "Sec-Fetch-Site": "same-origin"},
        {"Accept": "*/*", "Sec-Fetch-Mode": "cors"},
        {"Accept": "*/*", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_get_that_no_foreign_page_sends_is_answered(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await http.send(raw(http, "GET", headers))

    assert response.status_code == 200
    assert '"Query"' in response.text


async def test_opening_the_address_runs_nothing(world: World, active: FrontEnd) -> None:
    headers = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "cross-site"}

    response = await world.http.get(
        "/graphql?query={__typename}", headers=headers | {"Sec-Fetch-Mode": "navigate"}
    )

    assert '"Query"' not in response.text


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"origin": EVIL, "content-type": "application/json"}, 403),
        ("POST", {"content-type": "text/plain"}, 403),
        ("PUT", {"content-type": "application/json"}, 405),
        ("POST", {"content-type": "application/json", "content-length": "99999999"}, 413),
        ("POST", {"content-type": "application/json", "content-length": "9" * 30}, 413),
    ],
)
async def test_is_refused_before_the_body_is_read(
    app: Starlette, method: str, headers: dict[str, str], status: int
) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.encode(), value.encode())
            for name, value in ({"host": "127.0.0.1:8000"} | headers).items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
    }
    await app(scope, receive, send)

    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]


# --- origins -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        "http://127.0.0.1:8001",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:8000.evil.example",
        "http://127.0.0.1",
        "https://card.wechat.example.evil.example",
        "http://card.wechat.example",
        "file://",
        "",
        "http://[",
    ],
)
async def test_a_foreign_page_is_refused(world: World, origin: str) -> None:
    citizen = await world.enter("active")
    before = await world.rows()

    response = await citizen.post("mutation { signOut { __typename } }", Origin=origin)

    assert response.status_code == 403
    assert code_of(response) == "ORIGIN_NOT_ALLOWED"
    assert "access-control-allow-origin" not in response.headers
    assert await world.rows() == before
    assert await citizen.ask("{ viewer { bound } }") == {"bound": True}


@pytest.mark.parametrize("origin", [ADDRESS, EVERY_PAGE, f"{EVERY_PAGE}:443", EVERY_PAGE.upper()])
async def test_pages_of_our_own_and_listed_ones_are_answered(active: FrontEnd, origin: str) -> None:
    """The control of the test before: it is the origin that was refused."""
    response = await active.post("{ viewer { bound } }", Origin=origin)

    assert response.json()["data"] == {"viewer": {"bound": True}}


async def test_every_path_refuses_a_foreign_page(http: httpx.AsyncClient) -> None:
    for path in ("/sandbox/reset", "/issuer/events", "/channels/wechat/callback", "/healthz"):
        response = await http.post(path, headers={"Origin": EVIL})
        assert response.status_code == 403


async def test_a_page_speaks_for_its_channel_alone(world: World) -> None:
    citizen = await world.enter("active", "UNIONPAY")
    visitor = world.front_end("active", "UNIONPAY")
    visitor.headers = {"Origin": WECHAT_PAGE}

    session = await citizen.post("{ viewer { bound } }", Origin=WECHAT_PAGE)
    answer = await visitor.do("signIn", channel="UNIONPAY", **await citizen.authorize())

    assert session.status_code == 401
    assert code_of(session) == "SESSION_OF_ANOTHER_CHANNEL"
    assert answer["code"] == "NOT_OFFERED_HERE"


async def test_a_page_is_served_for_its_own_channel(world: World) -> None:
    """The control: a WeChat session on WeChat's page."""
    citizen = await world.enter("active", "WECHAT")

    response = await citizen.post("{ viewer { bound } }", Origin=WECHAT_PAGE)

    assert response.json()["data"] == {"viewer": {"bound": True}}


@pytest.mark.parametrize(
    ("public_url", "host", "origin", "allowed"),
    [
        ("https://card.example", "card.example", "https://card.example", True),
        ("https://card.example", "evil.example", "https://evil.example", False),
        ("", "127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("", "localhost:8000", "http://localhost:8000", True),
        ("", "[::1]:8000", "http://[::1]:8000", True),
        ("", "10.0.0.5:8000", "http://10.0.0.5:8000", True),
        ("", "evil.example:8000", "http://evil.example:8000", False),
    ],
)
def test_no_name_can_be_rebound_to_the_gateway(
    public_url: str, host: str, origin: str, *, allowed: bool
) -> None:
    """DNS rebinding makes a foreign page and the gateway one host: only addresses are safe."""
    origins = Origins.of(Settings(public_url=public_url))
    head = read_head([(b"host", host.encode()), (b"origin", origin.encode())])

    if allowed:
        assert origins.channels_of(head) is None
    else:
        with pytest.raises(BadRequest):
            origins.channels_of(head)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("HTTPS://Card.Example:443", "https://card.example"),
        ("http://card.example:80/", "http://card.example"),
        ("http://card.example:8080", "http://card.example:8080"),
        ("http://[::1]:80", "http://[::1]"),
        ("card.example", None),
        ("https://card.example/path", None),
        ("https://card.example:port", None),
        ("ftp://card.example", None),
        ("null", None),
    ],
)
def test_origins_have_one_form(given: str, normal: str | None) -> None:
    assert normal_origin(given) == normal


# --- CORS ----------------------------------------------------------------------------------


async def test_a_listed_page_may_ask_first(http: httpx.AsyncClient) -> None:
    asked = {
        "Origin": WECHAT_PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }

    response = await http.options("/graphql", headers=asked)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == WECHAT_PAGE
    assert response.headers["vary"] == "Origin"
    assert "authorization" in response.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in response.headers
    assert "*" not in str(response.headers)


async def test_another_page_is_not_given_leave(http: httpx.AsyncClient) -> None:
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}

    response = await http.options("/graphql", headers=asked)

    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_listed_page_reads_the_answer_and_its_budget(active: FrontEnd) -> None:
    response = await active.post("{ viewer { bound } }", Origin=EVERY_PAGE)

    assert response.headers["access-control-allow-origin"] == EVERY_PAGE
    assert "ratelimit" in response.headers["access-control-expose-headers"]


# --- headers -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/graphql", "/sandbox/", "/healthz", "/nowhere", "/metrics"])
async def test_every_page_carries_the_security_headers(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path, headers={"Accept": "text/html"})

    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in response.headers


async def test_answers_are_kept_by_nobody(active: FrontEnd) -> None:
    response = await active.post("{ viewer { name } }")

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_secure_transport_is_asked_for_where_there_is_one(
    database_url: str, tmp_path: Any
) -> None:
    settings = settings_for(database_url, tmp_path)
    sent: list[Message] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"gateway")]}
    for url in ("https://card.example", "http://127.0.0.1"):
        door = edge.EdgeMiddleware(app, settings.__class__(public_url=url))
        await door(dict(scope), None, send)  # type: ignore[arg-type]

    names = [[name for name, _ in message["headers"]] for message in sent]
    assert [b"strict-transport-security" in given for given in names] == [True, False]
