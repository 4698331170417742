"""One request, one message, one reader: upgrades, trailers and repeated headers through real proxies."""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import sign_in
from tests.proxies.conftest import ADDRESS_BUDGET, Proxied

pytestmark = pytest.mark.server

_VIEWER = "{ viewer { bound } }"
_numbers = itertools.count()


def post(body: bytes, *headers: str, chunked: bool = False) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    lines = (
        "POST /graphql HTTP/1.1",
        "Host: card.example",
        "Content-Type: application/json",
        framing,
    )
    return "\r\n".join((*lines, *headers, "", "")).encode()


def asking(query: str, **more: str) -> bytes:
    return json.dumps({"query": query, **more}).encode()


def answers(received: bytes) -> list[tuple[int, str]]:
    """Status and body of each response; the last one ends with the connection."""
    heads = re.split(rb"(?=HTTP/1\.1 \d{3} )", received)[1:]
    found = []
    for response in heads:
        head, _, body = response.partition(b"\r\n\r\n")
        found.append((int(head.split()[1]), body.decode()))
    return found


# --- Upgrade: h2c ------------------------------------------------------------------------


_H2C = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_offer_of_http_2_is_ignored_and_the_body_read(
    proxied: Proxied, new_address: Callable[[], str], in_pieces: bool
) -> None:
    body = asking("{ channels { id } }")
    last = post(b"", "Connection: close")
    head = post(body, *_H2C)
    pieces = (head, body, last) if in_pieces else (head + body, last)

    received = answers(proxied.exchange(new_address(), *pieces))

    assert [status for status, _ in received] == [200, 400]
    assert '"WECHAT"' in received[0][1]


def test_the_body_of_such_a_request_is_never_a_request(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: card.example\r\n\r\n"

    received = proxied.exchange(
        new_address(), post(hidden, *_H2C), hidden, post(b"", "Connection: close")
    )

    healthy = httpx.get(f"{proxied.server.url}/healthz", trust_env=False).content
    assert healthy not in received
    assert [status for status, _ in answers(received)] == [400, 400]


# --- trailers ----------------------------------------------------------------------------


def chunked(body: bytes, *trailers: str) -> bytes:
    end = "".join(f"{line}\r\n" for line in trailers).encode()
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, end)


def test_a_trailer_signs_nobody_in(proxied: Proxied, new_address: Callable[[], str]) -> None:
    with proxied.client(new_address()) as http:
        token = f"Authorization: Bearer {sign_in(http, 'active')}"
    body = asking(_VIEWER)
    address = new_address()
    close = ("Connection: close",)

    by_header = proxied.exchange(address, post(body, token, *close) + body)
    by_trailer = proxied.exchange(
        address, post(body, "Trailer: Authorization", *close, chunked=True) + chunked(body, token)
    )

    assert b'"bound":true' in by_header
    assert b'"viewer":null' in by_trailer


def test_a_trailer_names_no_client(proxied: Proxied, new_address: Callable[[], str]) -> None:
    address = new_address()
    remaining = []
    for number in range(3):
        body = asking(f"{{ channels {{ id }} }} # {next(_numbers)} {'.' * 30_000}")
        trailers = [f"X-Forwarded-For: 198.51.100.{number}", f"Forwarded: for=198.51.100.{number}"]
        received = proxied.exchange(
            address, post(body, "Connection: close", chunked=True) + chunked(body, *trailers)
        )
        found = re.search(rb'"address";r=(\d+)', received)
        remaining.append(int(found[1]) if found else 0)

    assert max(remaining) > 0
    assert remaining[-1] < ADDRESS_BUDGET - 600


def test_endless_trailers_are_not_kept(proxied: Proxied, new_address: Callable[[], str]) -> None:
    before, line = memory_mb(proxied), b"X-Filling: %b\r\n" % (b"x" * 1_000)
    for _ in range(4):
        body = asking("{ channels { id } }")
        with proxied.connect(new_address()) as connection, contextlib.suppress(OSError):
            connection.sendall(post(body, chunked=True) + chunked(body)[:-2])
            for _ in range(100):
                connection.sendall(100 * line)

    assert memory_mb(proxied) - before < 15


def memory_mb(proxied: Proxied) -> float:
    pages = int(Path(f"/proc/{proxied.server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


# --- one reader --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("Authorization", ("Bearer one", "Bearer two")),
        ("X-Card-Channel", ("WECHAT", "UNIONPAY")),
        ("Origin", ("https://one.example", "https://two.example")),
        ("Host", ("card.example", "evil.example")),
        ("Content-Type", ("application/json", "text/plain")),
    ],
)
def test_a_header_that_is_single_is_not_read_twice(
    proxied: Proxied, new_address: Callable[[], str], header: str, values: tuple[str, str]
) -> None:
    address = new_address()
    cold = asking(f"{{ channels {{ id }} }} # {next(_numbers)} of {proxied.name} {header}")
    twice = [f"{header}: {value}" for value in values]
    if header in ("Host", "Content-Type"):
        del twice[0]  # `post` sends one

    statuses = []
    for _ in range(3):  # cold, then warm
        received = answers(
            proxied.exchange(address, post(cold, *twice, "Connection: close") + cold)
        )
        statuses.append([status for status, _ in received])
        with proxied.client(address) as http:
            http.post("/graphql", content=cold, headers={"Content-Type": "application/json"})

    assert statuses == [[400]] * 3


def test_a_request_without_a_host_is_refused(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    body = asking("{ channels { id } }")
    request = post(body, "Connection: close").replace(b"Host: card.example\r\n", b"") + body

    assert [status for status, _ in answers(proxied.exchange(new_address(), request))] == [400]


def test_an_empty_operation_name_means_one_thing_by_every_way(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    query = f"query A {{ channels {{ id }} }} query B {{ channels {{ name }} }} # {proxied.name}"
    with proxied.client(new_address()) as http:
        by_way = {
            "cold": _by_post(http, query),
            "warm": _by_post(http, query),
            "by ASGI": _by_post(http, query, "application/json; charset=UTF-8"),
            "GET": _read(
                http.get(
                    "/graphql",
                    params={"query": query, "operationName": ""},
                    headers={"GraphQL-Preflight": "1"},
                )
            ),
            "form": _read(
                http.post(
                    "/graphql",
                    files={
                        "operations": (None, json.dumps({"query": query, "operationName": ""})),
                        "map": (None, "{}"),
                    },
                    headers={"GraphQL-Preflight": "1"},
                )
            ),
        }

    assert len({json.dumps(found) for found in by_way.values()}) == 1, by_way


def _by_post(http: httpx.Client, query: str, kind: str = "application/json") -> Any:
    body = json.dumps({"query": query, "operationName": ""})
    return _read(http.post("/graphql", content=body, headers={"Content-Type": kind}))


def _read(response: httpx.Response) -> Any:
    reply = response.json()
    reply.pop("extensions", None)
    return response.status_code, reply
