"""What is public may be kept and compressed; what is a citizen's, or may be, is neither.

curl and Node's fetch are the clients where a header's meaning is theirs to decide.
"""

import gzip
import json
import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query, parse
from starlette.types import Message

from core.kernel.settings import Settings
from gateway.app.factory import Gateway
from gateway.http.edge import ENCODINGS, EdgeMiddleware, edge, preferred_encoding
from gateway.http.graphql import public
from gateway.http.graphql.public import public_seconds
from gateway.schema import build_schema
from tests.conftest import settings_for
from tests.encodings import unpacked
from tests.front_end import FrontEnd

CHANNELS = "{ channels { id name appName entrySteps { order title instruction } } }"
DISTRICTS = "{ districts { code name } banks { code name } }"
OUTLETS = '{ outlets(districtCode: "510104") { code name } }'
PAGE = "https://card.example"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


@pytest.fixture
def settings(database_url: str, tmp_path: Any) -> Settings:
    return settings_for(database_url, tmp_path, allowed_origins=PAGE)


async def get(http: httpx.AsyncClient, document: str, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.get(
        "/graphql", params={"query": document}, headers={"GraphQL-Preflight": "1"} | given
    )


async def on_the_wire(
    http: httpx.AsyncClient,
    encoding: str,
    method: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    **given: Any,
) -> tuple[httpx.Response, bytes]:
    """The response, and its content as it was sent."""
    given_headers = {"GraphQL-Preflight": "1", "Accept-Encoding": encoding, **headers}
    async with http.stream(method, "/graphql", headers=given_headers, **given) as response:
        sent = b"".join([chunk async for chunk in response.aiter_raw()])
    return response, sent


# --- what is public ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "seconds"),
    [
        (CHANNELS, 300),
        (OUTLETS, 3_600),
        (DISTRICTS, 3_600),
        (f"query A {CHANNELS} query B {OUTLETS}", 300),
        ("{ __schema { types { fields(includeDeprecated: true) { name } } } }", 300),
        ("{ ...f } fragment f on Query { channels { id } __typename }", 300),
        ("{ ... on Query { channel(id: WECHAT) { name } } }", 300),
        ("{ viewer { bound } }", None),
        ("{ channels { id } viewer { bound } }", None),
        ("{ channels { id } ...f } fragment f on Query { cardStatus { __typename } }", None),
        ('{ channels { authorizeUrl(redirectUri: "http://a") } }', None),
        ('{ channels { ...f } } fragment f on Channel { bridge(pageUrl: "a") { __typename } }', None),
        ("mutation { signOut { __typename } }", None),
        ("subscription { productionProgress { __typename } }", None),
    ],
)  # fmt: skip
def test_what_is_public(document: str, seconds: int | None) -> None:
    name = "A" if "query A" in document else None

    assert public_seconds(build_schema()._schema, parse(document), name) == seconds


def test_no_root_field_of_a_session_is_public() -> None:
    schema = build_schema()._schema
    assert schema.query_type is not None
    found = {
        name
        for name in schema.query_type.fields
        if public_seconds(schema, parse(f"{{ {name} }}"), None) is not None
    }

    assert found == {"channels", "channel", "outlets", "districts", "banks", "serviceForm"}


# --- caching -------------------------------------------------------------------------------


async def test_a_public_query_may_be_kept_and_asked_for_again(http: httpx.AsyncClient) -> None:
    first = await get(http, CHANNELS)
    again = await get(http, CHANNELS, if_none_match=f'"other", {first.headers["etag"]}')
    other = await get(http, CHANNELS, if_none_match='"other"')
    english = await get(http, CHANNELS, accept_language="en", if_none_match=first.headers["etag"])

    assert first.headers["cache-control"] == "public, max-age=300"
    for name in ("Accept-Language", "Accept-Encoding", "Authorization", "Origin"):
        assert name in first.headers["vary"]
    assert "ratelimit" not in first.headers
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert other.status_code == english.status_code == 200


async def test_what_is_somebodys_is_kept_by_nobody(
    http: httpx.AsyncClient, active: FrontEnd
) -> None:
    authorized = active.headers["Authorization"]
    answers = [
        await get(http, CHANNELS, authorization=authorized),
        await get(http, CHANNELS, authorization="Basic YTpi"),
        await get(http, "{ channels { id } viewer { bound } }"),
        await get(http, '{ channels { authorizeUrl(redirectUri: "http://127.0.0.1:8000/") } }'),
        await get(http, '{ channels { bridge(pageUrl: "http://a") { __typename } } }'),
        await get(http, "{ nothing }"),
        await http.post("/graphql", json={"query": CHANNELS}),
    ]

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
        assert "content-encoding" not in answer.headers


async def test_an_error_is_not_kept(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("core.reference.Reference.outlets_in", fail)

    assert (await get(http, OUTLETS)).headers["cache-control"] == "no-store"


async def test_a_listed_page_reads_what_a_cache_kept_for_another(http: httpx.AsyncClient) -> None:
    answer = await get(http, CHANNELS, origin=PAGE)

    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in answer.headers["vary"]


# --- compression ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", "gzip"),
        ("GZIP;q=1.0", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("deflate, gzip, br;q=0", "gzip"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0.5, zstd;q=0.6, gzip;q=0.6", "zstd"),
        ("gzip;q=0.001", "gzip"),
        ("*", "br"),
        ("*;q=0.5, gzip", "gzip"),
        ("br;q=0, *", "zstd"),
        ("gzip;q=0, *", "br"),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0.5, br;q=0.4, gzip", "gzip"),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity, *;q=0.5", None),
        ("", None),
        ("identity", None),
        ("deflate, x-unknown", None),
        ("gzip;q=0", None),
        ("gzip;q=0, br;q=0, zstd;q=0", None),
        ("*;q=0", None),
        ("gzip;q=no", None),
        ("brotli, zst", None),
    ],
)
def test_the_encoding_is_negotiated(header: str, expected: str | None) -> None:
    assert preferred_encoding(header) == expected


async def test_the_schema_is_compressed(http: httpx.AsyncClient) -> None:
    body = {"query": get_introspection_query()}

    plain, said = await on_the_wire(http, "identity", "POST", json=body)
    for encoding in ENCODINGS:
        for _ in range(2):
            packed, content = await on_the_wire(http, encoding, "POST", json=body)

            assert packed.headers["content-encoding"] == encoding
            assert "Accept-Encoding" in packed.headers["vary"]
            assert unpacked(encoding, content) == said
            assert int(packed.headers["content-length"]) == len(content)
            assert len(content) * 6 < len(said)
    assert "content-encoding" not in plain.headers


async def test_one_tag_is_good_for_every_encoding(http: httpx.AsyncClient) -> None:
    """It is weak: it names what the response says, not its bytes."""
    params = {"query": get_introspection_query()}
    plain, said = await on_the_wire(http, "identity", "GET", params=params)

    for encoding in ENCODINGS:
        packed, content = await on_the_wire(http, encoding, "GET", params=params)
        known, nothing = await on_the_wire(
            http, encoding, "GET", {"If-None-Match": plain.headers["etag"]}, params=params
        )

        assert packed.headers["content-encoding"] == encoding
        assert unpacked(encoding, content) == said
        assert packed.headers["etag"] == known.headers["etag"] == plain.headers["etag"]
        assert packed.headers["etag"].startswith("W/")
        assert packed.headers["vary"] == known.headers["vary"] == plain.headers["vary"]
        assert (known.status_code, nothing) == (304, b"")


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_with_a_session_nothing_is_compressed(active: FrontEnd, encoding: str) -> None:
    answer = await active.post(get_introspection_query(), **{"Accept-Encoding": encoding})

    assert len(answer.content) > 100_000
    assert "content-encoding" not in answer.headers


async def test_a_secret_beside_what_a_request_repeats_is_not_compressed(
    app: Gateway, http: httpx.AsyncClient, active: FrontEnd
) -> None:
    """BREACH: an anonymous sign-in answers with a token, and repeats the alias."""
    alias = "a" * 1_500
    document = f"mutation($i: SignInInput!) {{ {alias}: signIn(input: $i) {{ ... on SignedIn {{ token }} }} }}"
    variables = {"i": {"channel": active.channel, **await active.authorize()}}

    answer = await http.post(
        "/graphql",
        json={"query": document, "variables": variables},
        headers={"Accept-Encoding": "gzip, br, zstd"},
    )

    assert answer.json()["data"][alias]["token"]
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_compressing_all_would_tell_by_the_length_what_is_in_it(encoding: str) -> None:
    """The control: a right guess beside the secret makes the compressed response shorter."""
    token = "32TNTwl_Wa4h1Dt8fATWGrB2eBupQvr5"

    def length(guess: str) -> int:
        return len(ENCODINGS[encoding].quick(json.dumps({guess: {"token": token}}).encode()))

    assert length(token) < length(token[::-1])


async def test_what_is_kept_compressed_is_counted_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public, "MAX_KEPT_BYTES", 200)
    responses = public.PublicResponses()

    for number in range(50):
        for encoding in ENCODINGS:
            await responses._compress(str(number).encode() * 2_000, encoding)
            assert responses._kept_bytes == sum(map(len, responses._compressed.values())) <= 200


# --- methods and challenges ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/sandbox/", "/graphql?query={channels{id}}"])
async def test_head_is_get_without_a_body(http: httpx.AsyncClient, path: str) -> None:
    headers = {"GraphQL-Preflight": "1"}

    got = await http.get(path, headers=headers)
    headed = await http.head(path, headers=headers)

    assert headed.status_code == got.status_code == 200
    assert headed.content == b""
    assert dict(headed.headers) == dict(got.headers)


async def test_head_executes_no_mutation_and_opens_no_stream(http: httpx.AsyncClient) -> None:
    headers = {"GraphQL-Preflight": "1"}
    mutation = {"query": "mutation { signOut { __typename } }"}
    stream = {"query": "subscription { productionProgress { __typename } }"}

    refused = await http.head("/graphql", params=mutation, headers=headers)
    streamed = await http.head(
        "/graphql", params=stream, headers=headers | {"Accept": "text/event-stream"}
    )

    assert (refused.status_code, streamed.status_code) == (405, 406)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/graphql", "GET, HEAD, OPTIONS, POST"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        ("/pictures/1", "GET, HEAD, OPTIONS"),
        ("/receipts/1.pdf", "GET, HEAD, OPTIONS"),
        ("/uploads/1", "HEAD, OPTIONS, PUT"),
        ("/issuer/events", "OPTIONS, POST"),
        ("/channels/wechat/callback", "GET, HEAD, OPTIONS, POST"),
        ("/samples/id-card-emblem-side.svg", "GET, HEAD, OPTIONS"),
        ("/playground/main.js", "GET, HEAD, OPTIONS"),
        ("/sandbox/static/main.js", "GET, HEAD, OPTIONS"),
    ],
)
async def test_every_path_says_its_methods(
    http: httpx.AsyncClient, path: str, methods: str
) -> None:
    asked = await http.options(path)
    refused = await http.delete(path)

    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["allow"] == refused.headers["allow"] == methods
    assert refused.status_code == 405


async def test_every_401_has_a_challenge(http: httpx.AsyncClient, active: FrontEnd) -> None:
    other = await active.post("{ viewer { bound } }", **{"X-Card-Channel": "WECHAT"})
    unsigned = await http.post("/issuer/events", content=b"{}")

    assert (other.status_code, unsigned.status_code) == (401, 401)
    assert other.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert unsigned.headers["www-authenticate"] == "Signature"


@pytest.mark.parametrize("path", ["/graphql", "/issuer/events", "/uploads/1", "/healthz"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP", "unknown"])
async def test_an_encoded_body_is_refused(
    http: httpx.AsyncClient, path: str, encoding: str
) -> None:
    for _ in range(2):
        answer = await http.post(
            path,
            content=gzip.compress(b'{"query": "{ __typename }"}'),
            headers={"Content-Encoding": encoding, "Content-Type": "application/json"},
        )

        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "identity"


async def test_without_the_check_an_encoded_body_would_be_read_as_it_is(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: whoever decodes it on the way would read something else."""
    monkeypatch.setattr(edge, "_require_identity", lambda _head: None)

    answer = await http.post(
        "/graphql",
        content=b'{"query": "{ __typename }"}',
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    )

    assert answer.json()["data"] == {"__typename": "Query"}


async def test_a_bom_is_ignored(http: httpx.AsyncClient) -> None:
    body = b'{"query": "{ __typename }"}'
    for _ in range(2):
        answers = [
            await http.post("/graphql", content=given, headers={"Content-Type": "application/json"})
            for given in (body, b"\xef\xbb\xbf" + body)
        ]

        assert answers[0].content == answers[1].content
        assert answers[1].json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "application/pdf", "text/plain", "application/json"]
)
async def test_signed_links_are_told_to_nobody(kind: str) -> None:
    sent: list[Message] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"gateway")]}
    await EdgeMiddleware(app, Settings())(scope, None, send)  # type: ignore[arg-type]

    assert (b"referrer-policy", b"no-referrer") in sent[0]["headers"]


async def test_without_the_edge_links_would_be_told(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: no endpoint says it by itself."""
    url = "/pictures/1?expires=1&mac=0"
    assert (await http.get(url)).headers["referrer-policy"] == "no-referrer"

    monkeypatch.setattr(EdgeMiddleware, "_add_headers", lambda *_: None)

    assert "referrer-policy" not in (await http.get(url)).headers


# --- other people's clients ----------------------------------------------------------------


def curl(*arguments: str) -> str:
    found = shutil.which("curl")
    if found is None:
        pytest.skip("NO curl: the test with another client is left out.")
    command = [found, "--silent", "--show-error", "--max-time", "20", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def test_curl_unpacks_the_schema_and_the_pages(live_server: str) -> None:
    body = json.dumps({"query": get_introspection_query()})
    sent = ["-H", "Content-Type: application/json", "-d", body, f"{live_server}/graphql"]
    page = [f"{live_server}/playground/main.js"]
    told = ["-o", "/dev/null", "-w", "%{header_json}"]
    size = ["-o", "/dev/null", "-w", "%{size_download}"]
    features = curl("--version")

    for asked, least in ((sent, 6), (page, 3)):
        plain = curl(*asked)
        whole = int(curl(*size, *asked))
        for encoding, feature in (("gzip", "libz"), ("br", "brotli"), ("zstd", "zstd")):
            if feature not in features:
                continue
            only = ["--compressed", "-H", f"Accept-Encoding: {encoding}"]
            assert curl(*only, *asked) == plain
            headers = json.loads(curl(*only, *told, *asked))
            assert headers["content-encoding"] == [encoding]
            assert int(headers["content-length"][0]) * least < whole


def test_curl_asks_for_heads_and_methods(live_server: str) -> None:
    query = f"{live_server}/graphql?query=%7Bchannels%7Bid%7D%7D"
    accept = ["-H", "Accept: application/json"]

    head = curl("--head", *accept, query)
    tag = next(line for line in head.splitlines() if line.startswith("etag: "))[6:]
    again = curl("-i", *accept, "-H", f"If-None-Match: {tag}", query)
    options = curl("-i", "-X", "OPTIONS", f"{live_server}/healthz")

    assert head.startswith("HTTP/1.1 200")
    assert "cache-control: public, max-age=300" in head
    assert again.startswith("HTTP/1.1 304")
    assert again.endswith("\n\n")
    assert options.startswith("HTTP/1.1 204")
    assert "allow: GET, HEAD, OPTIONS" in options
    assert "content-length" not in options


def test_node_reads_what_is_compressed(live_server: str) -> None:
    found = shutil.which("node")
    if found is None:
        pytest.skip("NO node: the test with another client is left out.")
    script = """
      const [url, query, ...encodings] = process.argv.slice(1);
      for (const encoding of encodings) {
        const headers = { 'content-type': 'application/json' };
        if (encoding !== 'default') headers['accept-encoding'] = encoding;
        const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
        const given = answer.headers.get('content-encoding');
        console.log(given, (await answer.json()).data.__schema.queryType.name);
      }
    """
    command = [found, "--input-type=module", "-e", script, "--", f"{live_server}/graphql"]
    told = subprocess.run(  # noqa: S603
        [*command, get_introspection_query(), "default", "gzip", "br", "identity"],
        check=True,
        capture_output=True,
        text=True,
    )

    default, *others = told.stdout.splitlines()
    assert default in ("br Query", "gzip Query")
    assert others == ["gzip Query", "br Query", "null Query"]
