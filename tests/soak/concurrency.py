"""Races fifty requests for the same thing, a thousand rounds: one wins, with one outside effect.

    .venv/bin/python -m tests.soak.concurrency [--rounds 1000] [--concurrency 50] [--workers 2]
        [--database-url postgresql://127.0.0.1:5432/name] [--control]

Each round gives five sessions of one citizen a correct code each, and sends fifty requests at once:
to report the loss, to cancel it, to report it again, to reissue, to change the phone, to apply,
and for two WeChat users to bind. One may win and the others must be refused with a reason; the
audit log must show one success, and one notice may be sent. `--control` uses a gateway whose changes
are written even if others have changed the same person since, and must see a race go wrong.
"""

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import bindparam, func, select

from bench.server import Server
from core.audit import audit_entries_table
from core.citizens import bindings_table
from core.citizens.citizens import find_by_number
from core.db import Database, Query, Writes, connect
from core.messaging import outbox_table
from core.storage import Objects, Picture, PictureKind, pictures
from gateway.app import keys_from
from gateway.resolvers.context import system_clock
from tests.soak import ws_load
from tests.soak.options import parser
from tests.soak.ws_load import UNLIMITED, bearer, mutation, send_code, verdict

SESSIONS = 5
_BIND = mutation("bindCard", "... on CardBound { token }")
_PLACE = {
    "pickupMethod": "OUTLET",
    "districtCode": "510104",
    "outletCode": "SAMPLE-510104-1",
}
_COUNTS = Query(
    select(
        select(func.count())
        .where(
            audit_entries_table.c.subject_id == bindparam("person"),
            audit_entries_table.c.action == bindparam("action"),
            audit_entries_table.c.result == "DONE",
        )
        .scalar_subquery()
        .label("entries"),
        select(func.count())
        .where(
            outbox_table.c.subject_id == bindparam("person"), outbox_table.c.kind == "ISSUER_ORDER"
        )
        .scalar_subquery()
        .label("orders"),
        select(func.count())
        .where(outbox_table.c.subject_id == bindparam("person"), outbox_table.c.kind == "SMS")
        .scalar_subquery()
        .label("messages"),
    )
)
_BOUND = Query(
    select(func.count().label("open")).where(
        bindings_table.c.subject_id == bindparam("person"),
        bindings_table.c.channel == "WECHAT",
        bindings_table.c.ended_at.is_(None),
    )
)


@dataclass(slots=True)
class Race:
    """`orders` and `messages` are what one winner may cause at partners."""

    purpose: str
    operation: str
    success: str
    given: dict[str, Any]
    action: str
    orders: int = 0
    messages: int = 1
    phone: str = ""


@dataclass(slots=True)
class Tally:
    rounds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Damaged(Exception):
    """The control has found a damaged race."""


class Track:
    """One server, one database, and the sessions that race on it.

    `until_damaged` ends the first race in which something went wrong by raising `Damaged`.
    """

    def __init__(
        self,
        server: Server,
        http: httpx.AsyncClient,
        database: Database,
        concurrency: int,
        until_damaged: bool,
    ) -> None:
        self.server, self.http, self.database, self.concurrency = (
            server,
            http,
            database,
            concurrency,
        )
        self.vault = keys_from(server.settings()).vault
        self._objects = Objects(server.settings(), self.vault)
        self.tallies: dict[str, Tally] = {}
        self._until_damaged = until_damaged
        self._phones = itertools.count(13_700_000_000)

    async def reset(self) -> dict[str, Any]:
        response = await self.http.post("/sandbox/reset")
        if response.status_code == httpx.codes.CONFLICT and self._until_damaged:
            tally = self.tallies.setdefault("reset", Tally())
            tally.wrong.append("there are citizens without a claim, whom the sandbox does not know")
            raise Damaged
        response.raise_for_status()
        personas = (await self.http.get("/sandbox/personas")).json()
        return {persona["id"]: persona for persona in personas}

    async def run(self, persona: dict[str, Any], race: Race) -> None:
        phone = race.phone or persona["phone"]
        tokens = [await ws_load.sign_in(self.http, persona["id"]) for _ in range(SESSIONS)]
        codes = []
        for token in tokens:
            sent = verdict(await send_code(self.http, token, race.purpose, phone))
            assert sent == "VerificationCodeSent", sent
            codes.append(await ws_load.read_code(self.http, race.purpose, phone))
        person = await find_by_number(self.database, self.vault, persona["socialSecurityNumber"])
        assert person is not None
        before = await self._counts(person.id, race)

        async def one(number: int) -> str:
            given = {**race.given, "code": codes[number % SESSIONS]}
            name = "phone" if "newPhone" not in given else "newPhone"
            body = {"i": {**given, name: phone}}
            return verdict(
                await ws_load.post(self.http)(
                    mutation(race.operation), body, bearer(tokens[number % SESSIONS])
                )
            )

        seen = Counter(await asyncio.gather(*(one(number) for number in range(self.concurrency))))
        after = await self._counts(person.id, race)
        tally = self.tallies.setdefault(race.operation, Tally())
        tally.rounds += 1
        tally.seen += seen
        effects = {name: after[name] - before[name] for name in before}
        wanted = {"entries": 1, "orders": race.orders, "messages": race.messages}
        if seen[race.success] != 1 or effects != wanted or seen["INTERNAL"]:
            self._wrong(tally, f"{dict(seen)}, {effects}")

    async def _counts(self, person: int, race: Race) -> dict[str, int]:
        row = await self.database.fetch_one(_COUNTS, person=person, action=race.action)
        assert row is not None
        return {name: row[name] for name in ("entries", "orders", "messages")}

    # --- the rounds -------------------------------------------------------------------

    async def card_rounds(self, persona: dict[str, Any]) -> str:
        """Returns the citizen's phone afterwards."""
        number = {"cardNumber": persona["cardNumber"]}
        await self.run(
            persona, Race("REPORT_LOSS", "reportLoss", "LossReported", {}, "REPORT_LOSS")
        )
        await self.run(
            persona, Race("CANCEL_LOSS", "cancelLoss", "LossCancelled", number, "CANCEL_LOSS")
        )
        await self.run(
            persona, Race("REPORT_LOSS", "reportLoss", "LossReported", {}, "REPORT_LOSS")
        )
        await self.run(
            persona,
            Race("REISSUE_CARD", "reissueCard", "CardReissued", _PLACE, "REISSUE_CARD", orders=1),
        )
        new_phone = str(next(self._phones))
        await self.run(
            persona,
            Race(
                "CHANGE_PHONE",
                "changePhone",
                "PhoneChanged",
                {"newPhone": new_phone},
                "CHANGE_PHONE",
                phone=new_phone,
            ),
        )
        return new_phone

    async def apply_round(self, persona: dict[str, Any]) -> None:
        await ws_load.sign_in(self.http, persona["id"])
        await self._keep_pictures(persona)
        form = {
            "postalCode": "610000",
            "educationCode": "10",
            "occupationCode": "20000",
            "bankCode": "SAMPLE-ICBC",
            "financialWithholding": False,
            **_PLACE,
            "nationalityCode": "CHN",
            "idDocumentType": "01",
            "idIssuer": "成都市公安局",
            "idNumber": persona["socialSecurityNumber"],
            "idValidUntil": "LONG_TERM",
            "name": persona["name"],
            "genderCode": "1" if int(persona["socialSecurityNumber"][16]) % 2 else "2",
            "ethnicityCode": "01",
            "birthDate": persona["socialSecurityNumber"][6:14],
        }
        await self.run(
            persona, Race("APPLY_CARD", "applyCard", "CardApplied", form, "APPLY_CARD", orders=1)
        )

    async def _keep_pictures(self, persona: dict[str, Any]) -> None:
        """Pictures as they are after upload and confirmation."""
        person = await find_by_number(self.database, self.vault, persona["socialSecurityNumber"])
        assert person is not None
        now = system_clock()
        name = await self._objects.put(b"a picture", person.id, now)

        writes = Writes()
        writes.see_each_other = True
        for kind in PictureKind:
            picture_id = pictures.add(
                writes, now, citizen_id=person.id, kind=kind, object_name=name, size=9
            )
            picture = Picture(picture_id, person.id, kind, name, confirmed=False)
            pictures.confirm(writes, picture, now)
        await self.database.apply(writes)

    async def hijack(self, victim: dict[str, Any]) -> None:
        """Requests from fifty accounts to bind one citizen: one open binding at the end."""
        phone = victim["phone"]
        tokens = [
            await ws_load.sign_in(self.http, name, "WECHAT")
            for name in ("active", "lost", "locked", "minor", "sealed")
        ]
        codes = []
        for token in tokens:
            await send_code(self.http, token, "BIND_CARD", phone)
            codes.append(await ws_load.read_code(self.http, "BIND_CARD", phone))

        async def one(number: int) -> str:
            mine = number % len(tokens)
            given = {
                "name": victim["name"],
                "socialSecurityNumber": victim["socialSecurityNumber"],
                "phone": phone,
                "code": codes[mine] if number % 2 else "000000",
            }
            reply = await ws_load.post(self.http)(_BIND, {"i": given}, bearer(tokens[mine]))
            said = verdict(reply)
            if said == "CardBound":
                bound.append(reply["data"]["bindCard"]["token"])
            return said

        bound: list[str] = []
        seen = Counter(await asyncio.gather(*(one(number) for number in range(self.concurrency))))
        person = await find_by_number(self.database, self.vault, victim["socialSecurityNumber"])
        assert person is not None
        row = await self.database.fetch_one(_BOUND, person=person.id)
        alive = sum([await self._sees(token) for token in (*tokens, *bound)])
        tally = self.tallies.setdefault("bindCard", Tally())
        tally.rounds += 1
        tally.seen += seen
        if row is None or row["open"] != 1 or alive != 1 or seen["INTERNAL"]:
            self._wrong(tally, f"{dict(seen)}, {row and row['open']} bindings, {alive} sessions")

    def _wrong(self, tally: Tally, what: str) -> None:
        tally.wrong.append(what)
        if self._until_damaged:
            raise Damaged

    async def _sees(self, token: str) -> bool:
        reply = await ws_load.post(self.http)("{ viewer { bound } }", {}, bearer(token))
        viewer = reply["data"]["viewer"]
        return bool(viewer and viewer["bound"])


async def race(given: argparse.Namespace, folder: Path, control: bool) -> bool:
    options = {**UNLIMITED, "workers": given.workers}
    if control:
        program = (sys.executable, "-m", "tests.soak.no_limits_control")
        server = Server(folder, given.database_url, program=program, **options)
        server.given["CONTROL"] = "concurrency"
    else:
        server = Server(folder, given.database_url, **options)
    server.start()
    began = time.monotonic()
    try:
        database = await connect(server.database_url)
        async with ws_load.client(server.url) as http:
            track = Track(server, http, database, given.concurrency, until_damaged=control)
            with contextlib.suppress(Damaged):
                while sum(tally.rounds for tally in track.tallies.values()) < given.rounds:
                    personas = await track.reset()
                    phone = await track.card_rounds(personas["active"])
                    await track.apply_round(personas["no-card"])
                    await track.hijack(personas["active"] | {"phone": phone})
        await database.close()
    finally:
        server.stop()
    for name, tally in track.tallies.items():
        print(f"  {name}: {tally.rounds} rounds, {len(tally.wrong)} wrong; {dict(tally.seen)}")
        for line in tally.wrong[:3]:
            print(f"    {line}")
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return not any(tally.wrong for tally in track.tallies.values())


async def run(given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        print(f"{given.concurrency} requests at once, {given.workers} workers")
        good = await race(given, Path(name), control=False)
        print("one winner in every round" if good else "FAILED")
        if given.control:
            print("control: a lost race is not noticed")
            held = await race(given, Path(name), control=True)
            print("FAILED: the control held" if held else "the control went wrong, as it must")
            good = good and not held
    return good


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=1_000)
    options.add_argument("--concurrency", type=int, default=50)
    raise SystemExit(0 if asyncio.run(run(options.parse_args())) else 1)


if __name__ == "__main__":
    main()
