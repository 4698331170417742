"""Kills the server at random moments under load, and checks that nothing acknowledged is lost.

    .venv/bin/python -m tests.soak.kill_nine [--mutations 1000] [--kills 8] [--clients 12] [--control]

Every persona is signed in through all three channels. Each mutation sets an address to a unique
text; its response contains the time of its audit entry. After the last restart:

- each acknowledged mutation has its audit entry, and every audit chain is intact;
- the version of each citizen's data moved exactly as often as the entries say: no change without an
  entry, no entry without a change;
- each decrypted address is that of the citizen's last entry.

`--control` then damages copies of the database in several ways, and expects the same check to
find each one.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from bench.server import Server
from core.audit import Action, audit_entries_table, verify
from core.citizens import audit_heads_table, citizens_table, heads
from core.citizens.citizens import find_by_number
from core.db import Database, Query, connect
from core.kernel.clock import instant
from core.kernel.settings import Settings
from gateway.app import keys_from

_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"
_SEND = """mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i) {
  __typename } }"""
_BIND = (
    "mutation($i: BindCardInput!) { bindCard(input: $i) {"
    " ... on CardBound { token } ... on Refusal { code message } } }"
)
_CHANGE = """mutation($i: ChangeContactInput!) { changeContact(input: $i) {
  ... on ContactChanged { at } ... on Refusal { code message } } }"""

_ROWS = Query(
    select(
        citizens_table.c.subject_id,
        audit_heads_table.c.version,
        citizens_table.c.residential_address,
    ).join(audit_heads_table, audit_heads_table.c.subject_id == citizens_table.c.subject_id)
)
_ENTRIES = Query(
    select(audit_entries_table.c.subject_id, audit_entries_table.c.at)
    .where(audit_entries_table.c.action == Action.CHANGE_CONTACT.value)
    .order_by(audit_entries_table.c.subject_id, audit_entries_table.c.number)
)


@dataclass(slots=True)
class Person:
    """What the clients know of one citizen. `acknowledged` is the time of each answered change."""

    id: int
    first_version: int
    acknowledged: dict[str, int] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Run:
    server: Server
    clients: list[tuple[Person, dict[str, str]]]
    wanted: int
    up: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)

    async def client(self, http: httpx.AsyncClient) -> None:
        while self.acknowledged < self.wanted:
            await self.up.wait()
            self.sent += 1
            person, headers = random.choice(self.clients)
            await self._change(http, person, headers, f"成都市示例路 {self.sent} 号")

    async def _change(
        self, http: httpx.AsyncClient, person: Person, headers: dict[str, str], address: str
    ) -> None:
        person.unanswered.add(address)
        body = {"query": _CHANGE, "variables": {"i": {"residentialAddress": address}}}
        try:
            reply = (await http.post("/graphql", json=body, headers=headers)).json()
        except (httpx.HTTPError, ValueError):
            await asyncio.sleep(0.02)
            return
        answer = (reply.get("data") or {}).get("changeContact") or {}
        if "at" not in answer:
            self.refused.append(str(reply))
            return
        person.unanswered.discard(address)
        person.acknowledged[address] = instant(datetime.fromisoformat(answer["at"]))
        self.acknowledged += 1

    async def killer(self, kills: int) -> None:
        """At random counts of acknowledged mutations, and a random moment later."""
        moments = sorted(random.sample(range(self.wanted * 9 // 10), kills))
        for moment in moments:
            while self.acknowledged < moment:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await asyncio.sleep(random.random() * 0.05)
            self.up.clear()
            await asyncio.to_thread(self.server.stop, signal.SIGKILL)
            await asyncio.to_thread(self.server.start)
            self.up.set()


async def sign_in_everybody(server: Server) -> list[tuple[str, dict[str, str]]]:
    """Social security number and headers of every persona in every channel."""
    signed_in = []
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        personas = (await http.get("/sandbox/personas")).json()
        for channel in ("UNIONPAY", "PING_AN", "WECHAT"):
            for persona in personas:
                headers = await _sign_in(http, channel, persona)
                signed_in.append((persona["socialSecurityNumber"], headers))
    return signed_in


async def _sign_in(
    http: httpx.AsyncClient, channel: str, persona: dict[str, Any]
) -> dict[str, str]:
    asked = {"channel": channel, "persona": persona["id"]}
    handed = (await http.post("/sandbox/authorize", json=asked)).json()
    answer = await _ask(http, {}, _SIGN_IN, {"channel": channel, **handed})
    headers = _bearer(answer)
    if channel == "WECHAT":
        phone = persona["phone"]
        await _ask(http, headers, _SEND, {"purpose": "BIND_CARD", "phone": phone})
        inbox = (await http.get("/sandbox/sms", params={"phone": phone})).json()
        code = next(sms["code"] for sms in inbox if sms["purpose"] == "BIND_CARD")
        given = {name: persona[name] for name in ("name", "socialSecurityNumber", "phone")}
        bound = await _ask(http, headers, _BIND, {**given, "code": code})
        headers = _bearer(bound)
    return headers


def _bearer(answer: dict[str, str]) -> dict[str, str]:
    assert "token" in answer, answer
    return {"Authorization": f"Bearer {answer['token']}"}


async def _ask(
    http: httpx.AsyncClient, headers: dict[str, str], document: str, given: dict[str, Any]
) -> Any:
    body = {"query": document, "variables": {"i": given}}
    reply = (await http.post("/graphql", json=body, headers=headers)).json()
    assert "errors" not in reply, reply
    return next(iter(reply["data"].values()))


@contextlib.asynccontextmanager
async def opened(url: str) -> Any:
    database = await connect(url)
    try:
        yield database
    finally:
        await database.close()


async def people_of(
    settings: Settings, signed_in: list[tuple[str, dict[str, str]]]
) -> list[tuple[Person, dict[str, str]]]:
    vault = keys_from(settings).vault
    people: dict[str, Person] = {}
    async with opened(settings.database_url) as database:
        for number, _ in signed_in:
            citizen = await find_by_number(database, vault, number)
            assert citizen is not None
            head = await heads.find(database, citizen.id)
            people.setdefault(number, Person(citizen.id, head.version))
    return [(people[number], headers) for number, headers in signed_in]


# --- the check -----------------------------------------------------------------------------


async def check(settings: Settings, people: list[Person]) -> list[str]:
    """Everything that is lost, incomplete or broken."""
    async with opened(settings.database_url) as database:
        return [
            *await _broken_chains(database, settings),
            *await _wrong_people(database, settings, people),
        ]


async def _broken_chains(database: Database, settings: Settings) -> list[str]:
    return [
        str(step)
        async for step in verify.verify(database, keys_from(settings).seals)
        if not isinstance(step, int)
    ]


async def _wrong_people(database: Database, settings: Settings, people: list[Person]) -> list[str]:
    vault = keys_from(settings).vault
    rows = {row["subject_id"]: row for row in await database.fetch(_ROWS)}
    entries: dict[int, list[int]] = {}
    for row in await database.fetch(_ENTRIES):
        entries.setdefault(row["subject_id"], []).append(row["at"])
    wrong = []
    for person in people:
        row, times = rows[person.id], entries.get(person.id, [])
        sealed = row["residential_address"]
        address = sealed and vault.open(sealed, "citizens.residential_address", person.id)
        changes = row["version"] - person.first_version
        wrong += [f"person {person.id}: {what}" for what in judge(person, times, address, changes)]
    return wrong


def judge(person: Person, times: list[int], address: str | None, changes: int) -> list[str]:
    """`times` are those of the citizen's entries, in order; `changes` counts those of the citizen's data."""
    unexplained = Counter(times) - Counter(person.acknowledged.values())
    lost = Counter(person.acknowledged.values()) - Counter(times)
    found = []
    if lost:
        found.append(f"{lost.total()} acknowledged mutations have no entry")
    if unexplained.total() > len(person.unanswered):
        found.append(
            f"{unexplained.total() - len(person.unanswered)} entries that nobody asked for"
        )
    if changes != len(times):
        found.append(f"{changes} changes, but {len(times)} entries")
    if times and not _is_last(person, times[-1], address, unexplained):
        found.append("the address is not that of the last entry")
    return found


def _is_last(person: Person, last: int, address: str | None, unexplained: Counter[int]) -> bool:
    if address in person.acknowledged:
        return person.acknowledged[address] == last
    return address in person.unanswered and last in unexplained


# --- the control ---------------------------------------------------------------------------

_LAST = """
SELECT subject_id, max(number) FROM audit_entries e WHERE action = 'CHANGE_CONTACT'
GROUP BY subject_id HAVING count(*) > 2 AND max(number) = (
    SELECT number FROM audit_heads h WHERE h.subject_id = e.subject_id) LIMIT 1
"""


def _lose_entry(db: sqlite3.Connection, person: int, last: int) -> None:
    db.execute("DELETE FROM audit_entries WHERE subject_id = ? AND number = ?", (person, last - 1))


def _lose_entry_and_head(db: sqlite3.Connection, person: int, last: int) -> None:
    """The chain stays intact: only the comparison with the version can show it."""
    db.execute("DELETE FROM audit_entries WHERE subject_id = ? AND number = ?", (person, last))
    db.execute(
        "UPDATE audit_heads SET number = number - 1, mac = (SELECT mac FROM audit_entries e"
        " WHERE e.subject_id = audit_heads.subject_id AND e.number = ?) WHERE subject_id = ?",
        (last - 1, person),
    )


def _lose_change(db: sqlite3.Connection, person: int, _: int) -> None:
    db.execute("UPDATE audit_heads SET version = version - 1 WHERE subject_id = ?", (person,))


def _lose_both(db: sqlite3.Connection, person: int, last: int) -> None:
    """A commit that never reached the disk."""
    _lose_entry_and_head(db, person, last)
    _lose_change(db, person, last)


def _lose_value(db: sqlite3.Connection, person: int, _: int) -> None:
    db.execute("UPDATE citizens SET residential_address = NULL WHERE subject_id = ?", (person,))


DAMAGES: dict[str, Callable[[sqlite3.Connection, int, int], None]] = {
    "an entry is deleted": _lose_entry,
    "the last entry is gone, the chain closed behind it": _lose_entry_and_head,
    "a change is taken back, its entry stays": _lose_change,
    "a whole mutation is gone": _lose_both,
    "a value is gone": _lose_value,
}


async def control(server: Server, people: list[Person]) -> bool:
    whole = server.folder / "var" / "card-gateway.sqlite3"
    all_found = True
    for title, damage in DAMAGES.items():
        copy = server.folder / "var" / "damaged.sqlite3"
        copy.unlink(missing_ok=True)
        shutil.copy(whole, copy)
        db = sqlite3.connect(copy)
        damage(db, *db.execute(_LAST).fetchone())
        db.commit()
        db.close()
        damaged = Server(server.folder, f"sqlite:///{copy}")
        found = await check(damaged.settings(), people)
        all_found = all_found and bool(found)
        print(f"  {title}: {'; '.join(found) if found else 'NOT FOUND'}")
    return all_found


# --- the run -------------------------------------------------------------------------------


async def run(folder: Path, given: argparse.Namespace) -> bool:
    server = Server(folder)
    started = server.start()
    print(f"started in {started:.1f} s, idle memory {server.memory_mb():.0f} MB")
    clients = await people_of(server.settings(), await sign_in_everybody(server))
    people = list({person.id: person for person, _ in clients}.values())
    this = Run(server, clients, given.mutations)
    this.up.set()
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        await asyncio.gather(
            this.killer(given.kills), *(this.client(http) for _ in range(given.clients))
        )
    took = time.monotonic() - began
    server.stop(signal.SIGKILL)
    restarted = server.start()
    server.stop()
    wrong = await check(server.settings(), people)
    unanswered = sum(len(person.unanswered) for person in people)
    print(
        f"{this.sent} mutations sent by {given.clients} clients for {len(people)} people in"
        f" {len(clients)} sessions; {this.acknowledged} acknowledged, {unanswered} cut off,"
        f" {len(this.refused)} refused; {took:.0f} s"
    )
    print(f"killed {given.kills + 1} times; started again in {restarted:.1f} s")
    for line in [*this.refused[:3], *wrong]:
        print(f"  {line}")
    print("each acknowledged mutation is there, none by half" if not wrong else "FAILED")
    ok = not wrong and not this.refused
    if given.control:
        print("control:")
        ok = await control(server, people) and ok
    return ok


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--mutations", type=int, default=1000)
    options.add_argument("--kills", type=int, default=8)
    options.add_argument("--clients", type=int, default=12)
    options.add_argument("--control", action="store_true")
    with tempfile.TemporaryDirectory() as name:
        raise SystemExit(0 if asyncio.run(run(Path(name), options.parse_args())) else 1)


if __name__ == "__main__":
    main()
