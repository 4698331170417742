"""The real server, as whoever attacks it meets it: ended sessions, a full disk, a bounded hasher."""

import asyncio
import resource
import time
from pathlib import Path

import pytest

from bench.server import Server
from core.citizens import Hasher
from core.citizens.passwords import MAX_WAITING
from core.kernel.refusals import TryAgainLater
from tests.live import serving
from tests.soak import ws_load
from tests.soak.ws_load import bearer, mutation, verdict

pytestmark = pytest.mark.server

_VIEWER = "{ viewer { bound } }"
_STATUS = "{ cardStatus { __typename ... on CardStatus { state } } }"


async def test_an_ended_session_is_refused_by_every_worker_within_a_second(tmp_path: Path) -> None:
    with serving(tmp_path, workers="2") as server:
        async with ws_load.client(server.url) as http:
            token = await ws_load.sign_in(http, "active")
            other = await ws_load.sign_in(http, "active")

            async def sees() -> bool:
                async with ws_load.client(server.url) as fresh:
                    reply = await ws_load.post(fresh)(_VIEWER, {}, bearer(token))
                return reply["data"]["viewer"] is not None

            before = await asyncio.gather(*(sees() for _ in range(20)))
            ended = await ws_load.post(http)(
                "mutation { signOut { __typename } }", {}, bearer(token)
            )
            at = time.monotonic()
            after = await asyncio.gather(*(sees() for _ in range(20)))
            took = time.monotonic() - at
            elsewhere = await http.post(
                "/graphql",
                json={"query": _VIEWER},
                headers=bearer(other) | {"X-Card-Channel": "WECHAT"},
            )

    assert all(before)
    assert ended["data"]["signOut"]["__typename"] == "SignedOut"
    assert not any(after), f"{sum(after)} of 20 still see, after {took:.2f} s"
    assert elsewhere.status_code == 401
    assert "SESSION_OF_ANOTHER_CHANNEL" in elsewhere.text


async def test_a_full_disk_is_refused_cleanly_and_recovered_from(tmp_path: Path) -> None:
    """No file of the server may grow beyond 4 kB for a while: every write fails."""
    server = Server(tmp_path)
    server.start()
    try:
        async with ws_load.client(server.url) as http:
            token = await ws_load.sign_in(http, "active")
            phone = "19900001001"
            await ws_load.send_code(http, token, "REPORT_LOSS", phone)
            code = await ws_load.read_code(http, "REPORT_LOSS", phone)
            send, given = ws_load.post(http), {"i": {"phone": phone, "code": code}}
            limit(server.pid, 4096)
            refused = [
                verdict(await send(mutation("reportLoss"), given, bearer(token))) for _ in range(3)
            ]
            seen = await send(_STATUS, {}, bearer(token))
            await asyncio.sleep(1)
            limit(server.pid, resource.RLIM_INFINITY)
            done = verdict(await send(mutation("reportLoss"), given, bearer(token)))
            await asyncio.sleep(1.2)
    finally:
        server.stop()

    assert refused == ["TRY_AGAIN_LATER"] * 3
    assert seen["data"]["cardStatus"] == {"__typename": "CardStatus", "state": "ACTIVE"}
    assert done == "LossReported"
    assert "audit.waiting" in server.log, "the control: writes did fail"
    assert ", 0 broken chains." in server.command("verify-audit", "--sandbox")


def limit(pid: int, size: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_hashing_is_bounded() -> None:
    hasher = Hasher()
    try:
        asked = [asyncio.create_task(hasher.hash("12345678")) for _ in range(MAX_WAITING + 10)]
        found = await asyncio.gather(*asked, return_exceptions=True)
    finally:
        hasher.close()

    assert sum(isinstance(one, TryAgainLater) for one in found) == 10
    assert sum(isinstance(one, str) for one in found) == MAX_WAITING
