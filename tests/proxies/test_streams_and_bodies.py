"""Live updates, uploads and refusals of large bodies, through real proxies."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.http.test_live import PROGRESS, changes, events_of, progress_in
from tests.live import sign_in
from tests.proxies.conftest import Proxied

pytestmark = pytest.mark.server

_PART = 600_000
_UPLOAD = (
    "mutation($file: Upload!) { uploadIdDocument(side: PORTRAIT_SIDE, file: $file)"
    " { __typename ... on IdDocumentUploaded { url } } }"
)
_REQUEST_UPLOAD = (
    "mutation($size: Int!) { requestUpload(input: {size: $size})"
    " { __typename ... on UploadRequested { uploadId url } } }"
)
_REFUSED_ROUNDS = 12
_NOT_AGAIN = {"Connection": "close"}
"""nginx may close a connection on which it has not read a body to its end, whatever it said."""


@pytest.fixture
def http(proxied: Proxied, new_address: Callable[[], str]) -> Iterator[httpx.Client]:
    httpx.post(f"{proxied.server.url}/sandbox/reset", trust_env=False).raise_for_status()
    with proxied.client(new_address()) as client:
        yield client


def bearer(http: httpx.Client, persona: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign_in(http, persona)}"}


def ask(http: httpx.Client, headers: dict[str, str], query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    reply = http.post("/graphql", json=body, headers=headers).json()
    assert "errors" not in reply, reply
    return next(iter(reply["data"].values()))


def advance(proxied: Proxied) -> None:
    url = f"{proxied.server.url}/sandbox/issuer/advance"
    httpx.post(url, json={"persona": "in-production"}, trust_env=False).raise_for_status()


def test_a_change_reaches_a_socket(
    proxied: Proxied, http: httpx.Client, new_address: Callable[[], str]
) -> None:
    with proxied.socket(new_address()) as socket:
        socket.send(
            json.dumps({"type": "connection_init", "payload": bearer(http, "in-production")})
        )
        assert json.loads(socket.recv(10)) == {"type": "connection_ack"}
        message = {"id": "1", "type": "subscribe", "payload": {"query": PROGRESS}}
        socket.send(json.dumps(message))
        progress_in(json.loads(socket.recv(10)))
        advance(proxied)
        second = progress_in(json.loads(socket.recv(10)))

    assert changes(second) == [("MANUFACTURE", "DONE")]


def test_a_change_reaches_an_event_stream(proxied: Proxied, http: httpx.Client) -> None:
    headers = bearer(http, "in-production") | {"Accept": "text/event-stream"}
    with http.stream("POST", "/graphql", json={"query": PROGRESS}, headers=headers) as response:
        events = events_of(response)
        next(events)
        advance(proxied)
        second = next(events)

    assert changes(second["data"]["productionProgress"]) == [("MANUFACTURE", "DONE")]


def test_a_form_with_a_picture_is_taken_and_the_picture_shown(
    proxied: Proxied, http: httpx.Client
) -> None:
    picture = http.get("/sandbox/id-cards/no-card/PORTRAIT_SIDE.jpg").raise_for_status().content
    operations = {"query": _UPLOAD, "variables": {"file": None}}
    form = {"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.file"]})}

    reply = http.post(
        "/graphql", data=form, files={"0": ("card", picture, "image/jpeg")}, headers=bearer(http, "no-card")
    ).json()  # fmt: skip
    uploaded = reply["data"]["uploadIdDocument"]
    shown = http.get(uploaded["url"])

    assert uploaded["__typename"] == "IdDocumentUploaded"
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")


def test_an_upload_goes_on_after_a_lost_connection(
    proxied: Proxied, http: httpx.Client, new_address: Callable[[], str]
) -> None:
    asked = ask(http, bearer(http, "no-card"), _REQUEST_UPLOAD, size=2 * _PART)
    with proxied.connect(new_address()) as connection:
        head = f"PUT {asked['url']} HTTP/1.1\r\nHost: card.example\r\nContent-Length: {2 * _PART}\r\n\r\n"
        connection.sendall(head.encode() + b"x" * _PART)
        time.sleep(0.5)

    received = _received(http, asked["url"], proxied)
    rest = http.put(
        asked["url"],
        content=b"x" * (2 * _PART - received),
        headers={"Content-Range": f"bytes {received}-{2 * _PART - 1}/{2 * _PART}"},
    )

    assert (rest.status_code, rest.json()) == (
        200,
        {"received": 2 * _PART, "size": 2 * _PART, "complete": True},
    )


def _received(http: httpx.Client, url: str, proxied: Proxied) -> int:
    """How much is kept, once the gateway has noticed that the connection was lost."""
    deadline, before = time.monotonic() + 10, -1
    while time.monotonic() < deadline:
        offset = int(http.head(url).headers["Upload-Offset"])
        if offset == before and (offset or proxied.name == "nginx, careless"):
            return offset  # a careless nginx keeps it all to itself
        before = offset
        time.sleep(0.5)
    pytest.fail("nothing is kept")


@pytest.mark.parametrize("megabytes", [2, 3, 8])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_refusal_of_a_large_body_reaches_the_client(
    http: httpx.Client, megabytes: int, is_chunked: bool
) -> None:
    body = b'{"query": "' + b" " * megabytes * 1_048_576 + b'"}'
    pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    headers = {"Content-Type": "application/json", **_NOT_AGAIN}

    statuses = []
    for _ in range(1 if is_chunked else _REFUSED_ROUNDS):
        response = http.post("/graphql", content=pieces if is_chunked else body, headers=headers)
        statuses.append((response.status_code, _code(response)))

    assert set(statuses) == {(413, "BODY_TOO_LARGE")}


def test_the_refusal_of_a_foreign_page_reaches_it(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", "Origin": "https://evil.example"} | _NOT_AGAIN
    body = b'{"query": "' + b" " * 3_000_000 + b'"}'

    responses = [
        http.post("/graphql", content=body, headers=headers) for _ in range(_REFUSED_ROUNDS)
    ]

    assert {(response.status_code, _code(response)) for response in responses} == {
        (403, "ORIGIN_NOT_ALLOWED")
    }


def _code(response: httpx.Response) -> str:
    found = re.search(r'"code":"(\w+)"', response.text)
    return found[1] if found else response.text[:200]
