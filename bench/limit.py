"""The cost of a response with no work behind it: the lower bound for `bench.compare`.

    .venv/bin/python -m bench.limit [--seconds 3] [--rounds 3]

Sends fixed bytes for every request, as many as a `cardStatus` response with its headers, on one
core with wrk on the other and 32 connections: once from a bare protocol that parses HTTP with
httptools, as uvicorn does, and once from a three-line ASGI application on uvicorn. Prints the
median CPU time per request in µs.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import httptools
import uvicorn
import uvloop

from bench.compare import OPERATIONS, two_cores
from bench.load import line, run
from bench.server import Server
from core.kernel.settings import Settings

BODY = b'{"data":{"cardStatus":{"__typename":"CardStatus"' + b" " * 320 + b"}}}"
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
_ANSWER = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (
    b"".join(b"%b: %b\r\n" % pair for pair in _HEADERS),
    BODY,
)
_TOKEN = "t" * 43


class FixedBytes(asyncio.Protocol):
    """Answers as soon as a request is complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(_ANSWER)


async def fixed_app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def _protocol(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(FixedBytes, "127.0.0.1", port)
    await server.serve_forever()


def serve(kind: str, port: int) -> None:
    if kind == "protocol":
        uvloop.run(_protocol(port))
    else:
        uvicorn.run(fixed_app, port=port, lifespan="off", log_config=None, access_log=False)


def measure(kind: str, seconds: int, rounds: int) -> float:
    core, load_core = two_cores()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), program=(sys.executable, "-m", "bench.limit", kind))
        server.start(core=core)
        requests = [line(_TOKEN, OPERATIONS[0].document)]
        for _ in range(rounds):
            before = server.cpu_seconds()
            load = run(
                Path(folder), server.url, "/graphql", OPERATIONS[0], requests, seconds, load_core
            )
            found.append((server.cpu_seconds() - before) / load.requests * 1e6)
        server.stop()
    return statistics.median(found)


def main() -> None:
    if sys.argv[1:2] in (["protocol"], ["uvicorn"]):
        return serve(sys.argv[1], Settings.read().port)
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    for kind in ("protocol", "uvicorn"):
        print(f"{kind:<9} {measure(kind, given.seconds, given.rounds):5.1f} µs a request")


if __name__ == "__main__":
    main()
