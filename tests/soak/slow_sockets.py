"""Slowloris: holds slow sockets open while honest clients query their card's status.

    .venv/bin/python -m tests.soak.slow_sockets [--sockets 1500] [--seconds 15] [--control]

A quarter of the sockets send nothing, a quarter one header byte every two seconds, a quarter one
body byte every two seconds, and a quarter open a WebSocket and never initialise it. Passes when
all are closed within `--seconds` and the honest requests' p99 is at most 500 ms. `--control`
removes the read deadline: then the sockets must still be open.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.server import Server

HONEST_CLIENTS = 8
PAUSE_SECONDS = 0.02
DRIP_SECONDS = 2.0
MAX_P99_MS = 500
_OPENING = {
    "silent": b"",
    "slow head": b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nX-Slow: ",
    "slow body": b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n{",
    "idle WebSocket": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
}
_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"
_STATUS = "{ cardStatus { __typename ... on CardStatus { name state } } }"


@dataclass(slots=True)
class Measured:
    """Times in seconds. `open_for` holds how long each closed socket lived, by kind."""

    open_for: dict[str, list[float]] = field(default_factory=dict)
    still_open: Counter[str] = field(default_factory=Counter)
    honest: list[float] = field(default_factory=list)
    wrong: int = 0

    @property
    def p99_ms(self) -> float:
        return sorted(self.honest)[len(self.honest) * 99 // 100] * 1_000


async def measure(port: int, sockets: int, seconds: float) -> Measured:
    found = Measured()
    url = f"http://127.0.0.1:{port}"
    limits = httpx.Limits(max_connections=HONEST_CLIENTS)
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=30) as http:
        headers = await _sign_in(http)
        over = asyncio.Event()
        honest = [asyncio.create_task(_ask(http, headers, found, over)) for _ in range(8)]
        kinds = list(_OPENING)
        slow = [_hold(port, kinds[n % len(kinds)], found, seconds) for n in range(sockets)]
        await asyncio.gather(*slow)
        over.set()
        await asyncio.gather(*honest)
    return found


async def _sign_in(http: httpx.AsyncClient) -> dict[str, str]:
    asked = {"channel": "UNIONPAY", "persona": "active"}
    handed = (await http.post("/sandbox/authorize", json=asked)).json()
    variables = {"i": {"channel": "UNIONPAY", **handed}}
    reply = await http.post("/graphql", json={"query": _SIGN_IN, "variables": variables})
    return {"Authorization": f"Bearer {reply.json()['data']['signIn']['token']}"}


async def _ask(
    http: httpx.AsyncClient, headers: dict[str, str], found: Measured, over: asyncio.Event
) -> None:
    while not over.is_set():
        began = time.monotonic()
        reply = await http.post("/graphql", json={"query": _STATUS}, headers=headers)
        found.honest.append(time.monotonic() - began)
        found.wrong += reply.json().get("data", {}).get("cardStatus", {}).get("state") != "ACTIVE"
        await asyncio.sleep(PAUSE_SECONDS)


async def _hold(port: int, kind: str, found: Measured, seconds: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(_OPENING[kind])
    drip = asyncio.create_task(_drip(writer)) if kind.startswith("slow") else None
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
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
            found = asyncio.run(measure(server.port, given.sockets, given.seconds))
        finally:
            server.stop()
    for kind, times in sorted(found.open_for.items()):
        print(f"  {kind:<16}{len(times):>6} closed, the last after {max(times):.1f} s")
    for kind, count in sorted(found.still_open.items()):
        print(f"  {kind:<16}{count:>6} still open after {given.seconds:.0f} s")
    print(
        f"  honest requests {len(found.honest):>6}, p99 {found.p99_ms:.0f} ms, {found.wrong} wrong"
    )
    passed = not found.still_open and not found.wrong and found.p99_ms <= MAX_P99_MS
    print("passed" if passed else "FAILED")
    # The control passes by failing: without the deadline the sockets stay open.
    raise SystemExit(passed if given.control else not passed)


if __name__ == "__main__":
    main()
