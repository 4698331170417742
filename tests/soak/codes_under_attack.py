"""Strangers spend verification codes for an hour while every owner reports a loss.

    .venv/bin/python -m tests.soak.codes_under_attack [--strangers 1000] [--accounts 400]
        [--owners 300] [--binders 300] [--minutes 60] [--hours 5] [--workers 2]
        [--database-url postgresql://127.0.0.1:5432/name] [--control]

The sandbox's clock is moved minute by minute, then by the hour. Each minute a third of the strangers'
sessions, which share accounts and change IPv6 addresses within their networks, have codes sent to the
owners' phones and to others, by 绑卡, 申办 and 手机号码变更. Some of their networks are the owners' own. It passes
if every owner's report is accepted, at least 99 % of those who bind a card for the first time get
their code, no number gets more than three messages an hour and five a day from strangers, and they
get no more in all than their accounts may have sent.

`--control` does the same twice more: with the limits that counted every sender together, where owners
must be refused, and without limits, where the bounds must break.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from bench import people as invented
from bench.server import Server
from core.cards import CHENGDU, CardState, cards
from core.citizens import citizens, sessions
from core.crypto import Vault
from core.db import Writes, connect
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import DAY, Instant
from core.kernel.settings import Settings
from gateway.app import keys_from
from tests.soak import ws_load
from tests.soak.options import parser
from tests.soak.ws_load import UNLIMITED, bearer, mutation, verdict

AT_ONCE = 32
PATIENCE_SECONDS = 180
REPETITIONS = 3
SENT = "VerificationCodeSent"
FROM_STRANGERS = {"BIND_CARD", "APPLY_CARD", "CHANGE_PHONE"}
HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400
SLACK_SECONDS = 5
"""Between counting a code and its arrival."""
BUDGETS: dict[str, Any] = {
    name: value for name, value in UNLIMITED.items() if name.endswith("budget")
}


@dataclass(frozen=True, slots=True)
class Person:
    token: str = field(repr=False)
    phone: str
    purpose: str
    network: str

    def headers(self, some: random.Random) -> dict[str, str]:
        """An IPv6 customer has another address each time."""
        address = self.network
        if address.endswith("::"):
            address += f"{some.getrandbits(32):x}"
        return bearer(self.token) | {"X-Forwarded-For": address}


@dataclass(frozen=True, slots=True)
class City:
    """The strangers have so many accounts."""

    owners: Sequence[Person]
    binders: Sequence[Person]
    strangers: Sequence[Person]
    accounts: int


@dataclass(slots=True)
class Found:
    """`reports` and `codes` are answers to owners and binders, `most_*` what one number got of strangers."""

    reports: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    attack: Counter[str] = field(default_factory=Counter)
    most_an_hour: int = 0
    most_a_day: int = 0
    sent: int = 0
    sent_in_first_hour: int = 0

    def faults(self, accounts: int, settings: Settings) -> list[str]:
        owners = self.reports.total() - self.reports["LossReported"]
        got = self.codes[SENT] / max(1, self.codes.total())
        bound = accounts * settings.codes_per_account_day
        in_an_hour = accounts * settings.codes_per_account_hour
        return [
            text
            for text, is_fault in (
                (f"{owners} owners refused", owners > 0),
                (f"{got:.1%} of the binders got their code", got < 0.99),
                (f"{self.most_an_hour} an hour to a number", self.most_an_hour > 3),
                (f"{self.most_a_day} a day to a number", self.most_a_day > 5),
                (f"{self.sent_in_first_hour} in an hour", self.sent_in_first_hour > in_an_hour),
                (f"{self.sent} in all", self.sent > bound),
            )
            if is_fault
        ]


# --- the people --------------------------------------------------------------------------------


async def settle(server: Server, given: argparse.Namespace) -> City:
    """The sandbox adds its personas only before others are there."""
    await asyncio.to_thread(server.start, PATIENCE_SECONDS)
    await asyncio.to_thread(server.stop)
    settings = server.settings()
    vault, now, some = keys_from(settings).vault, time.time_ns() // 1_000_000, random.Random(1)
    writes = Writes()
    known = given.strangers // 4
    rows = list(invented.people(given.owners + known))
    halls = [f"203.0.113.{number}" for number in range(1, 9)]
    farms = [f"198.51.100.{number}" for number in range(1, 33)]
    farms += [f"2001:db8:0:{number:x}::" for number in range(32)]

    owners = [
        Person(_citizen(writes, vault, now, row, f"owner-{place}"), row[2], "", some.choice(halls))
        for place, row in enumerate(rows[: given.owners])
    ]
    binders = [
        Person(
            _nobody(writes, vault, now, f"binder-{place}"),
            f"1{7_000_000_000 + place}",
            "BIND_CARD",
            some.choice(halls),
        )
        for place in range(given.binders)
    ]
    strangers, accounts = [], set()
    for place in range(given.strangers):
        account, network = f"stranger-{place % given.accounts}", some.choice([*farms, *halls])
        if place < known:
            token = _citizen(writes, vault, now, rows[given.owners + place], account)
            purpose = some.choice(("APPLY_CARD", "CHANGE_PHONE"))
        else:
            token, purpose = _nobody(writes, vault, now, account), "BIND_CARD"
        strangers.append(Person(token, "", purpose, network))
        accounts.add((account, place < known))

    database = await connect(settings.database_url, settings.database_limits.patient())
    try:
        await database.apply(writes)
    finally:
        await database.close()
    await asyncio.to_thread(server.start, PATIENCE_SECONDS)
    return City(owners, binders, strangers, len(accounts))


def _citizen(writes: Writes, vault: Vault, now: Instant, row: tuple[str, ...], account: str) -> str:
    """With an active card, and a session through UnionPay."""
    name, number, phone, card = row[:4]
    person = citizens.register(writes, vault, now, name=name, number=number, phone=phone).id
    cards.issue(
        writes,
        vault,
        now,
        citizen_id=person,
        number=card,
        region_code=CHENGDU,
        bank_code="SAMPLE-ICBC",
        batch_number=None,
        issue_date="2024-03-15",
        state=CardState.ACTIVE,
    )
    return _session(writes, vault, now, ChannelId.UNIONPAY, account, person)


def _nobody(writes: Writes, vault: Vault, now: Instant, account: str) -> str:
    return _session(writes, vault, now, ChannelId.WECHAT, account, None)


def _session(
    writes: Writes,
    vault: Vault,
    now: Instant,
    channel: ChannelId,
    account: str,
    person: int | None,
) -> str:
    return sessions.start(
        writes,
        vault,
        now,
        channel=channel,
        account_index=vault.index(f"{channel}|{account}", "account"),
        account=vault.seal(account, "sessions.account", person or 0),
        citizen_id=person,
        level=RealNameLevel.NONE if person is None else RealNameLevel.PLATFORM,
        lifetime=2 * DAY,
    ).token


# --- the hour ----------------------------------------------------------------------------------


class Run:
    def __init__(self, http: httpx.AsyncClient, city: City, seed: int) -> None:
        self._post = ws_load.post(http)
        self._http = http
        self._city = city
        self._some = random.Random(seed)
        self._victims = [owner.phone for owner in city.owners]
        self.found = Found()

    async def minutes(self, count: int) -> None:
        """Owners and binders come evenly, the strangers throughout."""
        some = self._some
        owners, binders = _spread(self._city.owners, count), _spread(self._city.binders, count)
        for minute in range(count):
            jobs = [self._attack(stranger) for stranger in self._some_strangers()]
            jobs += [self._report(owner) for owner in owners[minute]]
            jobs += [self._bind(binder) for binder in binders[minute]]
            some.shuffle(jobs)
            await ws_load.at_once(AT_ONCE, jobs)
            await self._move("PT1M")

    async def hours(self, count: int) -> None:
        """Further hours, of which the strangers spend a few minutes on the same few phones."""
        self._victims = self._victims[:20]
        for _ in range(count):
            await self._move("PT57M")
            for _ in range(3):
                jobs = [self._attack(stranger) for stranger in self._some_strangers()]
                await ws_load.at_once(AT_ONCE, jobs)
                await self._move("PT1M")
        await self._count()

    def _some_strangers(self) -> list[Person]:
        strangers = self._city.strangers
        return self._some.sample(strangers, max(1, len(strangers) // 3))

    async def _send(self, person: Person, purpose: str, phone: str) -> str:
        return await self._do(person, "sendVerificationCode", purpose=purpose, phone=phone)

    async def _do(self, person: Person, name: str, **given: str) -> str:
        """A request whose connection breaks is repeated with its key, as front-ends do."""
        key = {"Idempotency-Key": f"{self._some.getrandbits(128):x}"}
        for _ in range(REPETITIONS):
            with contextlib.suppress(httpx.TransportError):
                headers = person.headers(self._some) | key
                return verdict(await self._post(mutation(name), {"i": given}, headers))
        return "NO_ANSWER"

    async def _attack(self, stranger: Person) -> None:
        some = self._some
        if some.random() < 0.7:
            phone = some.choice(self._victims)
        else:
            phone = f"1{some.randrange(3_500_000_000, 7_100_000_000)}"
        self.found.attack[await self._send(stranger, stranger.purpose, phone)] += 1

    async def _bind(self, binder: Person) -> None:
        self.found.codes[await self._send(binder, binder.purpose, binder.phone)] += 1

    async def _report(self, owner: Person) -> None:
        """After a code for another service."""
        await self._send(owner, "ACTIVATE_CARD", owner.phone)
        sent = await self._send(owner, "REPORT_LOSS", owner.phone)
        if sent != SENT:
            self.found.reports[sent] += 1
            return
        code = await ws_load.read_code(self._http, "REPORT_LOSS", owner.phone)
        answer = await self._do(owner, "reportLoss", phone=owner.phone, code=code)
        self.found.reports[answer] += 1

    async def _move(self, duration: str) -> None:
        (await self._http.post("/sandbox/clock", json={"advance": duration})).raise_for_status()

    async def _from_strangers(self) -> list[dict[str, Any]]:
        """What they had sent, without what the binders asked for themselves."""
        own = {binder.phone for binder in self._city.binders}
        response = await self._http.get("/sandbox/sms")
        return [
            sms
            for sms in response.json()
            if sms["purpose"] in FROM_STRANGERS and sms["phone"] not in own
        ]

    async def _count(self) -> None:
        arrived = defaultdict(list)
        for sms in await self._from_strangers():
            arrived[sms["phone"]].append(datetime.fromisoformat(sms["at"]).timestamp())
        found, times = self.found, sorted(at for of_one in arrived.values() for at in of_one)
        found.sent = len(times)
        first_hour = times[0] + HOUR_SECONDS - SLACK_SECONDS
        found.sent_in_first_hour = sum(at < first_hour for at in times)
        found.most_an_hour = _most(arrived.values(), HOUR_SECONDS)
        found.most_a_day = _most(arrived.values(), DAY_SECONDS)


def _spread(people: Sequence[Person], parts: int) -> list[Sequence[Person]]:
    return [people[part::parts] for part in range(parts)]


def _most(arrived: Iterable[list[float]], window: int) -> int:
    """Of one number in any window of so many seconds."""
    return max(
        (
            sum(begin <= at < begin + window - SLACK_SECONDS for at in times)
            for times in arrived
            for begin in times
        ),
        default=0,
    )


# --- the runs ----------------------------------------------------------------------------------


async def attack(
    given: argparse.Namespace, folder: Path, title: str, control: str = "", **limits: Any
) -> list[str]:
    """What was not as it should be."""
    program = (sys.executable, "-m", "tests.soak.no_limits_control")
    more: dict[str, Any] = {"program": program} if control else {}
    options = {**BUDGETS, **limits, "workers": given.workers, "trusted_proxies": "127.0.0.1"}
    server = Server(folder, given.database_url, **more, **options)
    if control:
        server.given["CONTROL"] = control
    began = time.monotonic()
    try:
        city = await settle(server, given)
        async with ws_load.client(server.url) as http:
            run = Run(http, city, seed=len(title))
            await run.minutes(given.minutes)
            await run.hours(given.hours)
            await http.post("/sandbox/clock", json={"advance": "PT1S"})
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.stop()
    found, faults = run.found, run.found.faults(city.accounts, Settings())
    print(
        f"{title}: {found.attack.total():,} attempts of {given.strangers:,} sessions, {city.accounts} accounts, in"
        f" {time.monotonic() - began:.0f} s\n"
        f"  owners {dict(found.reports)}\n  binders {dict(found.codes)}\n"
        f"  strangers {dict(found.attack)}\n"
        f"  to one number at most {found.most_an_hour} an hour and {found.most_a_day} a day;"
        f" {found.sent_in_first_hour:,} in the first hour, {found.sent:,} in all\n"
        f"  {'as it should be' if not faults else ', '.join(faults)}",
        flush=True,
    )
    return faults


def bounds(faults: Iterable[str]) -> set[str]:
    """What was broken, without by how much."""
    return {fault.partition(" ")[2] for fault in faults}


async def run_all(given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        good = not await attack(given, Path(name), "with our limits")
    if given.control:
        with tempfile.TemporaryDirectory() as name:
            faults = await attack(given, Path(name), "control: every sender together", "together")
            good = any("owners refused" in fault for fault in faults) and good
        with tempfile.TemporaryDirectory() as name:
            faults = await attack(given, Path(name), "control: no limits", **UNLIMITED)
            good = {"an hour to a number", "a day to a number", "in all"} <= bounds(faults) and good
    print("nobody is shut out, and the bounds hold" if good else "FAILED")
    return good


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--strangers", type=int, default=1_000)
    options.add_argument("--accounts", type=int, default=400)
    options.add_argument("--owners", type=int, default=300)
    options.add_argument("--binders", type=int, default=300)
    options.add_argument("--minutes", type=int, default=60)
    options.add_argument("--hours", type=int, default=5)
    raise SystemExit(0 if asyncio.run(run_all(options.parse_args())) else 1)


if __name__ == "__main__":
    main()
