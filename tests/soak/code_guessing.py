"""Guesses verification codes over every transport, 100 at a time, on two workers; then floods SMS.

    .venv/bin/python -m tests.soak.code_guessing [--guesses 10000] [--codes 4] [--workers 2]
        [--database-url postgresql://127.0.0.1:5432/name] [--control]

Each code is guessed wrongly, over JSON, GET, multipart, event streams, WebSocket, batches and
aliases in turn; the right code comes last. A code that was evaluated more than five times, or
that still works then, fails the run. All limits in front of it are lifted, so that the guarded
update alone stops the guesses. `--control` does the same with a gateway whose update has no
guard, and must fail.

Then 10,000 requests for codes, with the default limits and with each limit alone: exactly as many
SMS are sent as it permits.
"""

import argparse
import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from bench.server import Server
from core.messaging.allowances import SHARES
from tests.soak import ws_load
from tests.soak.options import parser
from tests.soak.ws_load import UNLIMITED, bearer, mutation, verdict

MAX_TRIES = 5
_ALIASES = "mutation($i: ReportLossInput!) { a: reportLoss(input: $i) { __typename } b: reportLoss(input: $i) { __typename } }"
_TRIES = "SELECT tries, consumed_at FROM verification_codes ORDER BY id DESC LIMIT 1"


async def guess(
    http: httpx.AsyncClient, server: Server, count: int, at_once: int
) -> dict[str, Any]:
    """One code: only wrong guesses, then the right code once."""
    token, phone = await ws_load.sign_in(http, "active"), "19900001001"
    await ws_load.send_code(http, token, "REPORT_LOSS", phone)
    right = await ws_load.read_code(http, "REPORT_LOSS", phone)
    document, headers = mutation("reportLoss"), bearer(token)
    wrong = random.sample([n for n in range(10**6) if n != int(right)], count)
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(ws_load.socket(server.url, token)) for _ in range(4)
        ]
        ways = [
            ws_load.post(http),
            ws_load.get(http),
            ws_load.form(http),
            ws_load.event_stream(http),
            *sockets,
            ws_load.batch(http),
        ]

        async def one(number: int, value: int) -> str:
            given = {"i": {"phone": phone, "code": f"{value:06d}"}}
            text = _ALIASES if number % 50 == 49 else document
            return verdict(await ways[number % len(ways)](text, given, headers))

        seen = Counter(
            await ws_load.at_once(
                at_once, (one(number, value) for number, value in enumerate(wrong))
            )
        )
        last = verdict(
            await ws_load.post(http)(document, {"i": {"phone": phone, "code": right}}, headers)
        )
    return {"seen": seen, "last": last}


async def guess_all(given: argparse.Namespace, folder: Path, control: bool) -> bool:
    options = {**UNLIMITED, "workers": given.workers}
    if control:
        program = (sys.executable, "-m", "tests.soak.no_limits_control")
        server = Server(folder, given.database_url, program=program, **options)
        server.given["CONTROL"] = "guesses"
    else:
        server = Server(folder, given.database_url, **options)
    server.start()
    good, each = True, given.guesses // given.codes
    try:
        async with ws_load.client(server.url) as http:
            for number in range(given.codes):
                began = time.monotonic()
                found = await guess(http, server, each, given.at_once)
                tries = await evaluated(server)
                fine = tries <= MAX_TRIES and found["last"] == "CODE_VOID"
                good = good and fine
                print(
                    f"  code {number + 1}: {each:,} guesses in {time.monotonic() - began:.0f} s,"
                    f" evaluated {tries}; the right code then: {found['last']}"
                    f"{'' if fine else '  <-- FAILED'}\n    {dict(found['seen'])}",
                    flush=True,
                )
                if found["last"] == "LossReported":
                    await http.post("/sandbox/reset")
    finally:
        server.stop()
    return good


async def evaluated(server: Server) -> int:
    """How often the newest code was checked, according to the database."""
    if server.database_url.startswith("sqlite"):
        with contextlib.closing(
            sqlite3.connect(server.database_url.removeprefix("sqlite:///"))
        ) as db:
            return int(db.execute(_TRIES).fetchone()[0])
    import asyncpg

    connection = await asyncpg.connect(server.database_url)
    try:
        return int(await connection.fetchval(_TRIES))
    finally:
        await connection.close()


# --- pumping -------------------------------------------------------------------------------

CAPS: dict[str, tuple[dict[str, int], int]] = {
    "as set by default (5 an hour from an account, 20 sessions)": (
        {name: value for name, value in UNLIMITED.items() if name.endswith("budget")},
        5,
    ),
    "3 an hour to a phone, 40 phones": (UNLIMITED | {"codes_from_others_hour": 3}, 120),
    "1 in 60 s for a phone, 40 phones": (UNLIMITED | {"code_resend_seconds": 60}, 40),
    "10 an hour from an account, 20 sessions": (UNLIMITED | {"codes_per_account_hour": 10}, 10),
    "60 an hour from an address": (UNLIMITED | {"codes_per_address_hour": 60}, 60),
    "100 an hour in a share of all": (UNLIMITED | {"codes_in_all_hour": 100 * SHARES}, 100),
}


async def pump(given: argparse.Namespace, title: str, caps: dict[str, Any], most: int) -> bool:
    """Unbound WeChat users may request a code for any phone, so SMS pumping starts there."""
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name), workers=given.workers, **caps)
        server.start()
        try:
            async with ws_load.client(server.url) as http:
                tokens = [await ws_load.sign_in(http, "lost", "WECHAT") for _ in range(20)]
                phones = [f"139{number:08d}" for number in range(40)]

                async def one(number: int) -> str:
                    token, phone = tokens[number % 20], phones[number % 40]
                    return verdict(await ws_load.send_code(http, token, "BIND_CARD", phone))

                began = time.monotonic()
                seen = Counter(
                    await ws_load.at_once(given.at_once, (one(n) for n in range(given.requests)))
                )
                took = time.monotonic() - began
                sent = await sms_sent(http, phones)
        finally:
            server.stop()
    # A new minute may begin while the requests run.
    permitted = most * (1 + int(took // 60)) if "60 s" in title else most
    fine = 0 < sent <= permitted and sent == seen["VerificationCodeSent"]
    print(
        f"  {title}: {given.requests:,} requests in {took:.0f} s, {sent} SMS, at most {permitted}"
    )
    return fine


async def sms_sent(http: httpx.AsyncClient, phones: list[str]) -> int:
    before = -1
    while True:
        inboxes = [
            (await http.get("/sandbox/sms", params={"phone": phone})).json() for phone in phones
        ]
        sent = sum(len(inbox) for inbox in inboxes)
        if sent == before:
            return sent
        before = sent
        await asyncio.sleep(1)


async def run(given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        print(f"guessing, {given.workers} workers, {given.at_once} at once")
        good = await guess_all(given, Path(name), control=False)
        if given.control:
            print("control: a lost race is not noticed")
            good = not await guess_all(given, Path(name), control=True) and good
    if given.requests:
        print("pumping")
        for title, (caps, most) in CAPS.items():
            good = await pump(given, title, caps, most) and good
    print("at most five guesses a code, and no more SMS than permitted" if good else "FAILED")
    return good


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--guesses", type=int, default=10_000)
    options.add_argument("--codes", type=int, default=4)
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--at-once", type=int, default=100)
    raise SystemExit(0 if asyncio.run(run(options.parse_args())) else 1)


if __name__ == "__main__":
    main()
