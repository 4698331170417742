"""The load of `bench.load` where wrk is absent: the same connections, requests and figures.

    python -m bench.python_load URL CONNECTIONS SECONDS START IN_TURN RIGHT

The requests are in requests.txt, one token and body per line.
"""

import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop


class Tally:
    """What all connections have seen. `over` ends each after its pending response."""

    def __init__(self, requests: Iterator[bytes], right: bytes) -> None:
        self.requests = requests
        self.right = right
        self.took: list[float] = []
        self.wrong = 0
        self.example = b""
        self.over = False

    def count(self, status: int, body: bytes, took: float) -> None:
        self.took.append(took)
        if status != 200 or self.right not in body:
            self.wrong += 1
            self.example = body


class Connection(asyncio.Protocol):
    """Sends a request as soon as the previous one is answered."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        took = time.perf_counter() - self._began
        self._tally.count(self._parser.get_status_code(), self._body, took)
        if self._tally.over:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._tally.over:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error or ConnectionError("the server closed a connection"))

    def _send(self) -> None:
        self._body = b""
        self._began = time.perf_counter()
        self._transport.write(next(self._tally.requests))


def _written(line: str, path: str) -> bytes:
    token, body = line.split("\t", 1)
    head = f"POST {path} HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n"
    signed_in = f"authorization: Bearer {token}\r\n" if token else ""
    data = body.encode()
    return f"{head}{signed_in}content-length: {len(data)}\r\n\r\n".encode() + data


def _requests(lines: list[bytes], start: int, *, in_turn: bool) -> Iterator[bytes]:
    if in_turn:
        return itertools.islice(itertools.cycle(lines), start, None)
    return (random.choice(lines) for _ in itertools.count())  # noqa: S311


async def load(url: str, connections: int, seconds: float, tally: Tally) -> float:
    """Returns how many seconds it took."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    host, port = address.hostname, address.port
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    made = [
        await loop.create_connection(lambda: Connection(tally), host, port)
        for _ in range(connections)
    ]
    ended = asyncio.gather(*(protocol.ended for _, protocol in made))
    await asyncio.wait([ended], timeout=seconds)
    tally.over = True
    await ended
    return time.perf_counter() - began


def main() -> None:
    url, connections, seconds, start, in_turn, right = sys.argv[1:]
    lines = Path("requests.txt").read_text("utf-8").splitlines()
    written = [_written(line, urlsplit(url).path) for line in lines]
    tally = Tally(_requests(written, int(start), in_turn=in_turn == "true"), right.encode())
    took = uvloop.run(load(url, int(connections), float(seconds), tally))
    if tally.wrong:
        print(f"WRONG {tally.example[:300].decode()}")
    percentiles = statistics.quantiles(tally.took, n=100)
    p50, p99 = percentiles[49] * 1e6, percentiles[98] * 1e6
    print(f"RESULT {len(tally.took)} {took * 1e6:.0f} {p50:.0f} {p99:.0f} {tally.wrong}")


if __name__ == "__main__":
    main()
