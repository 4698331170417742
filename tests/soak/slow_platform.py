"""Sign-in times through two platforms while the third one takes 30 seconds to answer.

    .venv/bin/python -m tests.soak.slow_platform [--seconds 40] [--slow 30]

Two server processes run side by side, and citizens sign in through all three channels of both at
a steady rate. One server's WeChat answers at once, the other's after 30 seconds. WeChat is a
stand-in in this process, UnionPay and Ping An are the sandbox's; everything goes over sockets.
Prints the 99th percentile of the two healthy platforms and its ratio, which may be at most 1.3.
"""

import argparse
import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson

from bench.server import Server
from core.citizens import sign_in_states
from core.kernel.callers import ChannelId
from core.kernel.settings import PREFIX
from gateway.app import keys_from
from sandbox.paths import world_file
from sandbox.personas import PERSONAS
from sandbox.platforms import authorize
from sandbox.world import World

SLOW_SECONDS = 30
PER_SECOND = {ChannelId.WECHAT: 3, ChannelId.UNIONPAY: 3, ChannelId.PING_AN: 3}
WORKING = (ChannelId.UNIONPAY, ChannelId.PING_AN)
ALLOWED = 1.3
_SHM = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
IN_MEMORY = str(_SHM) if _SHM.is_dir() else None
"""The sandbox writes in the server's event loop: a slow disk would be measured instead."""
SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { __typename ... on Refusal { code } } }"


class WeChatStandIn:
    """Answers every code, at once or after `delay` seconds."""

    def __init__(self, delay: float) -> None:
        self._delay = delay

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
        ):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self._delay)
                writer.write(_reply())
                await writer.drain()
        writer.close()


def _reply() -> bytes:
    body = orjson.dumps(
        {"access_token": "t", "expires_in": 7200, "openid": f"o{secrets.token_hex(8)}"}
    )
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


class GatewayWith(Server):
    """A server whose WeChat is at another address."""

    def __init__(self, folder: Path, wechat_url: str) -> None:
        super().__init__(folder)
        self._wechat_url = wechat_url

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {PREFIX + "WECHAT_URL": self._wechat_url}


class Load:
    """Signs citizens in through one server."""

    def __init__(self, server: GatewayWith) -> None:
        self._settings = server.settings()
        self.unserved = 0
        self._world = World(world_file(self._settings))
        self._url = f"{server.url}/graphql"
        self._seals = keys_from(self._settings).seals

    async def run(self, seconds: float) -> dict[ChannelId, list[float]]:
        """Milliseconds of each sign-in by channel, without the first second."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
            flows = (self._flow(http, channel, seconds) for channel in PER_SECOND)
            return dict(zip(PER_SECOND, await asyncio.gather(*flows), strict=True))

    async def _flow(
        self, http: httpx.AsyncClient, channel: ChannelId, seconds: float
    ) -> list[float]:
        rate = PER_SECOND[channel]
        inputs = [await self._input(channel) for _ in range(int(seconds * rate))]
        begin = time.monotonic()
        tasks = []
        for number, given in enumerate(inputs):
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(self._sign_in(http, channel, given)))
        return (await asyncio.gather(*tasks))[rate:]

    async def _input(self, channel: ChannelId) -> dict[str, str]:
        state = sign_in_states.issue(self._seals, channel, time.time_ns() // 1_000_000)
        if channel is ChannelId.WECHAT:
            credential = secrets.token_hex(16)
        else:
            credential = authorize(self._world, channel, PERSONAS[secrets.choice(list(PERSONAS))])
        return {"channel": channel.value, "credential": credential, "state": state}

    async def _sign_in(
        self, http: httpx.AsyncClient, channel: ChannelId, given: dict[str, str]
    ) -> float:
        begin = time.monotonic()
        response = await http.post(self._url, json={"query": SIGN_IN, "variables": {"i": given}})
        took = (time.monotonic() - begin) * 1000
        if channel in WORKING and b'"SignedIn"' not in response.content:
            self.unserved += 1
        return took


async def measure(seconds: float, slow_seconds: float) -> None:
    """Both servers at the same time, so that whatever else the machine does slows both."""
    async with contextlib.AsyncExitStack() as running:
        loads = [await running.enter_async_context(_served(delay)) for delay in (0, slow_seconds)]
        quick, slow = await asyncio.gather(*(load.run(seconds) for load in loads))
    _print(quick, slow)
    refused = " and ".join(str(load.unserved) for load in loads)
    print(f"Refused of the two that work: {refused}; with any, the machine was too busy to tell.")


@contextlib.asynccontextmanager
async def _served(delay: float) -> AsyncIterator[Load]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        async with WeChatStandIn(delay).serving() as wechat_url:
            server = GatewayWith(Path(folder), wechat_url)
            await asyncio.to_thread(server.start)
            try:
                yield Load(server)
            finally:
                await asyncio.to_thread(server.stop)


def _print(quick: dict[ChannelId, list[float]], slow: dict[ChannelId, list[float]]) -> None:
    print(f"{'':10} {'sign-ins':>9} {'p50':>7} {'p99':>7}   with WeChat slow")
    print(f"{'':10} {'':>9} {'':>7} {'':>7} {'p50':>7} {'p99':>7} {'ratio of p99':>14}")
    for channel in PER_SECOND:
        ratio = percentile(slow[channel], 99) / percentile(quick[channel], 99)
        verdict = "" if channel not in WORKING else "ok" if ratio <= ALLOWED else "TOO SLOW"
        print(
            f"{channel.value:10} {len(quick[channel]):9} {percentile(quick[channel], 50):7.1f}"
            f" {percentile(quick[channel], 99):7.1f} {percentile(slow[channel], 50):7.1f}"
            f" {percentile(slow[channel], 99):7.1f} {ratio:14.2f} {verdict}"
        )


def percentile(times: list[float], percent: int) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=40)
    options.add_argument(
        "--slow", type=float, default=SLOW_SECONDS, help="0 shows how far two equal servers differ"
    )
    given = options.parse_args()
    asyncio.run(measure(given.seconds, given.slow))


if __name__ == "__main__":
    main()
