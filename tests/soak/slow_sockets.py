"""Holds sockets open in every way there is, while honest clients query their card's status.

    .venv/bin/python -m tests.soak.slow_sockets [--sockets 1500] [--seconds 15] [--control]

The sockets send nothing, a byte of a head or of a body now and then, or a handshake that fails;
they open a WebSocket and never initialise it, or send requests and never read the responses.
Passes when all are closed within `--seconds`, the server has grown by at most 60 kB for each, and the
honest requests' p99 is at most 500 ms. Then as many WebSockets that are initialised and answer
pings are held at a server with a tenth of the places: they must give way to honest clients.
`--control` removes the read deadline: then the sockets must still be open.
"""

import argparse
import asyncio
import contextlib
import socket
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.server import Server
from gateway.http.graphql.playground import STATIC_DIR
from tests.soak.honest import Honest, honest_clients

DRIP_SECONDS = 2.0
MAX_GROWTH_KB = 60
"""For each socket that is held."""
_POST = b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
_LARGEST = max((path for path in STATIC_DIR.rglob("*.js")), key=lambda path: path.stat().st_size)
_DOWNLOAD = b"GET /playground/%b HTTP/1.1\r\nHost: gateway\r\n\r\n" % (
    str(_LARGEST.relative_to(STATIC_DIR)).encode()
)
_HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
)
_OPENING = {
    "silent": b"",
    "slow head": _POST + b"X-Slow: ",
    "slow body": _POST + b"Content-Length: 100000\r\n\r\n{",
    "slow chunks": _POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "half a handshake": _HANDSHAKE,
    "handshake with a body": _HANDSHAKE + b"Content-Length: 9\r\n\r\n",
    "idle WebSocket": _HANDSHAKE + b"\r\n",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "reads nothing": _DOWNLOAD * 100,
}
_INITIALISED = b"\x81\x9a\0\0\0\0" + b'{"type":"connection_init"}'
_PONG = b"\x8a\x80\0\0\0\0"


@dataclass(slots=True)
class Measured:
    """Times in seconds. `open_for` holds how long each closed socket lived, by kind."""

    honest: Honest
    open_for: dict[str, list[float]] = field(default_factory=dict)
    still_open: Counter[str] = field(default_factory=Counter)


async def measure(port: int, sockets: int, seconds: float) -> Measured:
    async with honest_clients(port) as honest:
        found = Measured(honest)
        kinds = list(_OPENING)
        slow = [_hold(port, kinds[n % len(kinds)], found, seconds) for n in range(sockets)]
        await asyncio.gather(*slow)
    return found


async def _hold(port: int, kind: str, found: Measured, seconds: float) -> None:
    connected = socket.create_connection(("127.0.0.1", port))
    if kind == "reads nothing":
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    reader, writer = await asyncio.open_connection(sock=connected)
    began = time.monotonic()
    writer.write(_OPENING[kind])
    drip = asyncio.create_task(_drip(writer)) if kind.startswith("slow") else None
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                if kind == "reads nothing":
                    await _until_closed(writer)
                while await reader.read(65_536):
                    pass
        found.open_for.setdefault(kind, []).append(time.monotonic() - began)
    except TimeoutError:
        found.still_open[kind] += 1
    finally:
        if drip is not None:
            drip.cancel()
        writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(DRIP_SECONDS)
            writer.write(b"x")
            await writer.drain()


async def _until_closed(writer: asyncio.StreamWriter) -> None:
    """Sends on without reading, until the connection is reset."""
    while True:
        await asyncio.sleep(0.5)
        writer.write(_DOWNLOAD)
        await writer.drain()


async def crowd(port: int, sockets: int, seconds: float) -> Honest:
    """Holds WebSockets that are initialised and answer pings, and opens new ones for lost ones."""
    async with honest_clients(port) as honest:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(_stay(port) for _ in range(sockets)))
    return honest


async def _stay(port: int) -> None:
    while True:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_HANDSHAKE + b"\r\n")
                await reader.read(4_096)
                writer.write(_INITIALISED)
                while await reader.read(4_096):
                    writer.write(_PONG)
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sockets", type=int, default=1_500)
    options.add_argument("--seconds", type=float, default=15)
    options.add_argument("--control", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        if given.control:
            server.more["CARD_GATEWAY_READ_SECONDS"] = "3600"
        server.start()
        try:
            before = server.memory_mb()
            found = asyncio.run(measure(server.port, given.sockets, given.seconds))
            grown = server.memory_mb() - before
        finally:
            server.stop()
        server.more["CARD_GATEWAY_MAX_CONNECTIONS"] = str(given.sockets // 10)
        server.start()
        try:
            crowded = asyncio.run(crowd(server.port, given.sockets, given.seconds))
        finally:
            server.stop()
    for kind, times in sorted(found.open_for.items()):
        print(f"  {kind:<22}{len(times):>6} closed, the last after {max(times):.1f} s")
    for kind, count in sorted(found.still_open.items()):
        print(f"  {kind:<22}{count:>6} still open after {given.seconds:.0f} s")
    print(f"  memory grew by {grown:.0f} MB")
    print(f"  {found.honest}")
    print(f"  beside {given.sockets} WebSockets for {given.sockets // 10} places: {crowded}")
    passed = (
        not found.still_open
        and grown * 1_000 <= MAX_GROWTH_KB * given.sockets
        and found.honest.are_served
        and crowded.are_served
    )
    print("passed" if passed else "FAILED")
    # The control passes by failing: without the deadline the sockets stay open.
    raise SystemExit(passed if given.control else not passed)


if __name__ == "__main__":
    main()
