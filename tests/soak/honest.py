"""Honest clients, who query their card's status while the server is attacked."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx

CLIENTS = 8
PAUSE_SECONDS = 0.02
MAX_P99_MS = 500
_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"
_STATUS = "{ cardStatus { __typename ... on CardStatus { name state } } }"


@dataclass(slots=True)
class Honest:
    """`seconds` holds how long each request took; `wrong` counts other answers than theirs."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0

    @property
    def p99_ms(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100] * 1_000

    @property
    def are_served(self) -> bool:
        return bool(self.seconds) and not self.wrong and self.p99_ms <= MAX_P99_MS

    def __str__(self) -> str:
        return (
            f"honest requests {len(self.seconds):>6}, p99 {self.p99_ms:.0f} ms, {self.wrong} wrong"
        )


@contextlib.asynccontextmanager
async def honest_clients(port: int) -> AsyncIterator[Honest]:
    """They ask as long as the context lasts."""
    found, over = Honest(), asyncio.Event()
    url = f"http://127.0.0.1:{port}"
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=30) as http:
        headers = await _sign_in(http)
        clients = [asyncio.create_task(_ask(http, headers, found, over)) for _ in range(CLIENTS)]
        try:
            yield found
        finally:
            over.set()
            await asyncio.gather(*clients)


async def _sign_in(http: httpx.AsyncClient) -> dict[str, str]:
    asked = {"channel": "UNIONPAY", "persona": "active"}
    handed = (await http.post("/sandbox/authorize", json=asked)).json()
    variables = {"i": {"channel": "UNIONPAY", **handed}}
    reply = await http.post("/graphql", json={"query": _SIGN_IN, "variables": variables})
    return {"Authorization": f"Bearer {reply.json()['data']['signIn']['token']}"}


async def _ask(
    http: httpx.AsyncClient, headers: dict[str, str], found: Honest, over: asyncio.Event
) -> None:
    while not over.is_set():
        began = time.monotonic()
        try:
            try:
                reply = await http.post("/graphql", json={"query": _STATUS}, headers=headers)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # An idle connection may be closed at any time: browsers ask once more.
                reply = await http.post("/graphql", json={"query": _STATUS}, headers=headers)
            found.wrong += reply.json()["data"]["cardStatus"]["state"] != "ACTIVE"
        except (httpx.HTTPError, KeyError, TypeError, ValueError):
            found.wrong += 1
        found.seconds.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_SECONDS)
