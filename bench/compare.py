"""Benchmark: the gateway against hand-written baselines on SQLite and PostgreSQL, all in one run.

    .venv/bin/python -m bench.compare [--cards 1000 200000] [--seconds 5] [--rounds 3]
        [--workers 1 2] [--database sqlite postgresql://…] [--only cardStatus …] [--minutes 10]

Variants: the gateway; the gateway with more workers; (A) Starlette by hand with SQLAlchemy's
asyncio; (B) the same schema through strawberry's own view and graphql-core, with strawberry's
caches, on SQLAlchemy's asyncio; (C) the changes by hand on the drivers themselves, as fast as we
could, and (D) on PostgreSQL as they are usually written (`bench.rival`). They serve the same database at the same time, each on one core; wrk runs on
the other, and so does PostgreSQL. All databases are filled first (`bench.databases`, `bench.fill`).
In each round, every operation is sent to every variant on every database in turn; the medians over
the rounds are printed. Sessions are chosen at random among many citizens; columns are encrypted and
answers masked; mutations are durable (`synchronous=FULL`, `synchronous_commit=on`), and the run ends
if one variant has written other rows than the rest. For sign-in, another server stands in for
the platform, on wrk's core. Several workers are not pinned to a core and have as many connections
each; for them, CPU time per request is what counts. At the end some changes are sent through a proxy
that counts the messages to PostgreSQL.
`--minutes` loads the gateway alone for that long at the end and prints its memory use.

Results are appended to var/bench.jsonl with date and versions.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx

from bench.databases import POSTGRESQL, SQLITE, Place, backends, place, require_connections
from bench.fill import CODE, Person, fill
from bench.load import CONNECTIONS, Load, Operation, line, run
from bench.messages import counting
from bench.rows import written
from bench.server import Server
from core.kernel.settings import PREFIX

CHANGE = "reportLoss/cancelLoss"
OPERATIONS = (
    Operation(
        "cardStatus",
        "{ cardStatus { __typename ... on CardStatus { name socialSecurityNumber cardNumber"
        " issueDate bank homeRegion state stateName } ... on Refusal { code message } } }",
        '"__typename":"CardStatus"',
    ),
    Operation(
        "productionProgress",
        "{ productionProgress { __typename ... on ProductionProgress { socialSecurityNumber name"
        " batchNumber cardNumber bank nodes { node result at } } ... on Refusal { code message } } }",
        '"__typename":"ProductionProgress"',
    ),
    Operation(
        "viewer",
        "{ viewer { channel bound name socialSecurityNumber phone"
        " services { service title available reason { message } } } }",
        '"bound":true',
    ),
    Operation(CHANGE, "", '"card":', in_turn=True),
    Operation(
        "signIn",
        "mutation($i: SignInInput!) { signIn(input: $i) { __typename"
        " ... on SignedIn { token expiresAt } ... on Refusal { code message } } }",
        '"__typename":"SignedIn"',
        in_turn=True,
    ),
)
_REPORT = (
    "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename"
    " ... on LossReported { card { state cardNumber } } ... on Refusal { code message } } }"
)
_CANCEL = (
    "mutation($i: CancelLossInput!) { cancelLoss(input: $i) { __typename"
    " ... on LossCancelled { card { state cardNumber } } ... on Refusal { code message } } }"
)
_BLOCK = 128
"""How many citizens report a loss before the first one cancels: more than are in flight."""
_PACKAGES = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "sqlalchemy", "asyncpg")
GATEWAY = "gateway"
_BASELINES = {
    "A": ("bench.baselines", "starlette"),
    "B": ("bench.baselines", "strawberry"),
    "C": ("bench.rival",),
    "D": ("bench.rival", "statements"),
}
_BY_HAND = {"A", "C", "D"}
_CHANGES_ONLY = {"C", "D"}
_POSTGRESQL_ONLY = {"D"}
_FILE = Path("var/bench.jsonl")
_CHANGING_SECONDS = 2
"""A code works once: more requests would use up all codes."""
_MANY = 10_000
_SPARE = 2_048
"""Changes that are left for counting messages."""
_SELDOM = 20
"""A cancellation may come before the report that it cancels, and is then refused."""
_JSON = {"content-type": "application/json"}
_SIGN_INS = 500
"""Credentials per variant and round: more than a second uses up."""


def two_cores() -> tuple[int | None, int | None]:
    """One for the server and one for the load; empty on a machine with a single core."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU time is per request; `database_us` is that of PostgreSQL's processes for its connections."""

    database: str
    variant: str
    operation: str
    cards: int
    workers: int
    load: Load
    cpu_us: float
    database_us: float

    @property
    def rate(self) -> float:
        return self.load.requests / self.load.seconds


class Site:
    """One database with its running servers."""

    def __init__(
        self, workers: list[int], at: Place, cards: int, running: contextlib.ExitStack
    ) -> None:
        self.core, self.load_core = two_cores()
        self.at = at
        self.folder = at.folder
        self.cards = cards
        self.changed = 0
        """How many requests of `_changes` have been sent."""
        self.platform = Server(self.folder, at.url, worker="false")
        """Another gateway process, which stands in for UnionPay."""
        print(f"{at.kind}, {cards:,} cards", flush=True)
        self.people = fill(self.platform, cards)
        unionpay = {PREFIX + "UNIONPAY_URL": f"{self.platform.url}/sandbox/platforms/unionpay"}
        self.variants: dict[str, Server] = {}
        self.workers = dict.fromkeys(_BASELINES, 1)
        for number in workers:
            name = GATEWAY if number == 1 else f"{GATEWAY} × {number}"
            self.workers[name] = number
            self.variants[name] = self._server(name, at.url)
        for name in _BASELINES:
            if at.kind == POSTGRESQL or name not in _POSTGRESQL_ONLY:
                self.variants[name] = self._server(name, at.url)
        self._start(self.platform, self.load_core, running)
        for name, server in self.variants.items():
            server.more |= unionpay
            self._start(server, self._core(name), running)

    def _server(self, variant: str, url: str | None) -> Server:
        if variant not in _BASELINES:
            return Server(self.folder, url, worker="false", workers=self.workers[variant])
        program = (sys.executable, "-m", *_BASELINES[variant])
        return Server(self.folder, url, program=program)

    def _start(self, server: Server, core: int | None, running: contextlib.ExitStack) -> None:
        server.start(core=core)
        running.callback(server.stop)

    def _core(self, variant: str) -> int | None:
        """Several workers need all cores."""
        return None if self.workers[variant] > 1 else self.core

    def ask(self, variant: str, operation: Operation, seconds: int) -> Measured:
        server = self.variants[variant]
        by_hand, start = variant in _BY_HAND, 0
        if operation.name == "signIn":
            seconds, requests = 1, self._sign_ins(operation.document)
        elif operation.in_turn:
            seconds, requests = min(seconds, _CHANGING_SECONDS), _changes(self.people)
            start = self.changed
        else:
            requests = [line(person.token, operation.document) for person in self.people]
        path = f"/{operation.name}" if by_hand else "/graphql"
        path = "/changeLoss" if by_hand and operation.name == CHANGE else path
        rows = written(server.database_url) if operation.name == CHANGE else None
        before, database_before = server.cpu_seconds(), self._database_seconds()
        core = self.load_core if self._core(variant) is not None else None
        workers = self.workers[variant]
        load = run(
            self.folder, server.url, path, operation, requests, seconds, core, start, workers
        )
        cpu = server.cpu_seconds() - before
        database_cpu = self._database_seconds() - database_before
        if load.wrong > load.requests // _SELDOM:
            raise SystemExit(f"{variant}: {load.wrong} of {load.requests} answers are wrong")
        if rows is not None:
            # What was in flight at the end counts as used: skip a whole block.
            self.changed += (load.requests // (2 * _BLOCK) + 2) * 2 * _BLOCK
            done = written(server.database_url).since(rows)
            most = load.requests + CONNECTIONS * workers
            if done.changes is None or not load.requests - load.wrong <= done.changes <= most:
                raise SystemExit(f"{variant}: {load.requests} changes, but {done}")
        each = 1e6 / max(load.requests, 1)
        return Measured(
            self.at.kind,
            variant,
            operation.name,
            self.cards,
            workers,
            load,
            cpu * each,
            database_cpu * each,
        )

    def _database_seconds(self) -> float:
        if self.at.url is None:
            return 0.0
        pids = asyncio.run(backends(self.at.url))
        return sum(self.platform.cpu_seconds(pid) for pid in pids)

    def messages(self) -> dict[str, float]:
        """To PostgreSQL, by each variant for a change; one after the other, the first ones aside."""
        found = {}
        for variant in (GATEWAY, *_BASELINES):
            with counting(str(self.at.url)) as proxy, contextlib.ExitStack() as running:
                server = self._server(variant, proxy.url)
                self._start(server, self._core(variant), running)
                path = "/changeLoss" if variant in _BY_HAND else "/graphql"
                requests = _changes(self.people)[self.changed :][: 2 * _BLOCK]
                self.changed += 2 * _BLOCK
                with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
                    for number, request in enumerate(requests):
                        if number == _BLOCK // 2:
                            before = proxy.count
                        token, body = request.split("\t", 1)
                        headers = {"authorization": f"Bearer {token}", **_JSON}
                        answer = http.post(path, content=body, headers=headers).text
                        assert '"card":' in answer, answer
                found[variant] = (proxy.count - before) / (len(requests) - _BLOCK // 2)
        return found

    def _sign_ins(self, document: str) -> list[str]:
        """Sign-in requests, each with its own credential."""
        lines = []
        with httpx.Client(base_url=self.platform.url, trust_env=False, timeout=30) as http:
            for number in range(_SIGN_INS):
                persona = ("active", "lost", "no-card", "in-production")[number % 4]
                asked = {"channel": "UNIONPAY", "persona": persona}
                handed = http.post("/sandbox/authorize", json=asked).raise_for_status().json()
                lines.append(line("", document, {"i": {"channel": "UNIONPAY", **handed}}))
        return lines

    def can(self, operation: Operation) -> bool:
        """A code works once: with few citizens, or many rounds, they run out."""
        if operation.name == "signIn" or not operation.in_turn:
            return True
        return len(self.people) >= _MANY and self.changed < 2 * len(self.people) - _SPARE


def _changes(people: list[Person]) -> list[str]:
    lines: list[str] = []
    for first in range(0, len(people), _BLOCK):
        block = people[first : first + _BLOCK]
        lines += [
            line(person.token, _REPORT, {"i": {"phone": person.phone, "code": CODE}})
            for person in block
        ]
        lines += [
            line(
                person.token,
                _CANCEL,
                {"i": {"phone": person.phone, "cardNumber": person.card_number, "code": CODE}},
            )
            for person in block
        ]
    return lines


def measure(given: argparse.Namespace, sites: list[Site]) -> list[Measured]:
    found: list[Measured] = []
    for number in range(given.rounds + 1):  # the first one only warms up
        for operation in OPERATIONS:
            if given.only and operation.name not in given.only:
                continue
            for site in sites:
                for variant in site.variants:
                    if variant in _CHANGES_ONLY and operation.name != CHANGE:
                        continue
                    if not site.can(operation):
                        break
                    one = site.ask(variant, operation, given.seconds if number else 1)
                    if number and site.can(operation):  # the codes may have run out meanwhile
                        found.append(one)
        print(f"  round {number} of {given.rounds}", flush=True)
    return found


def _memory(site: Site) -> str:
    return ", ".join(
        f"{name} {' + '.join(f'{one:.0f}' for one in server.memories_mb())} MB"
        for name, server in site.variants.items()
        if name.startswith(GATEWAY)
    )


def keep_on(minutes: int, site: Site) -> None:
    """Sends queries only, for that many minutes: memory use must not grow."""
    reads = [operation for operation in OPERATIONS if not operation.in_turn]
    for minute in range(minutes):
        for operation in reads:
            site.ask(next(iter(site.variants)), operation, 60 // len(reads))
        print(f"  after minute {minute + 1}: {_memory(site)}", flush=True)


def median(found: list[Measured]) -> Measured:
    """The median of each figure."""
    load = found[0].load
    return replace(
        found[0],
        cpu_us=statistics.median(one.cpu_us for one in found),
        database_us=statistics.median(one.database_us for one in found),
        load=replace(
            load,
            requests=int(statistics.median(one.load.requests for one in found)),
            seconds=statistics.median(one.load.seconds for one in found),
            p50=statistics.median(one.load.p50 for one in found),
            p99=statistics.median(one.load.p99 for one in found),
            wrong=sum(one.load.wrong for one in found),
        ),
    )


def report(found: list[Measured]) -> list[Measured]:
    groups: dict[tuple[str, int, str, str], list[Measured]] = {}
    for one in found:
        key = (one.database, one.cards, one.operation, one.variant)
        groups.setdefault(key, []).append(one)
    medians = {key: median(group) for key, group in groups.items()}
    head = ("", "cards", "operation", "variant", "CPU µs", "ratio", "req/s", "ratio", "p50", "p99", "wrong", "database µs")  # fmt: skip
    print("\n" + "{:11}{:>9} {:22}{:13}{:>7}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}{:>13}".format(*head))
    for (database, cards, operation, variant), one in sorted(
        medians.items(), key=lambda each: each[0][:3]
    ):
        own = medians.get((database, cards, operation, GATEWAY), one)
        print(
            f"{database:11}{cards:>9,} {operation:22}{variant:13}"
            f"{one.cpu_us:7.0f}{one.cpu_us / own.cpu_us:7.2f}"
            f"{one.rate:9,.0f}{own.rate / one.rate:7.2f}{one.load.p50:8.1f}{one.load.p99:8.1f}"
            f"{one.load.wrong:7}{one.database_us:13.0f}"
        )
    few, many = min(one.cards for one in found), max(one.cards for one in found)
    for (database, cards, operation, variant), one in medians.items():
        alone = medians.get((database, cards, operation, GATEWAY))
        if one.workers > 1 and alone is not None:
            carried = one.workers * alone.cpu_us / one.cpu_us
            print(
                f"{database}: {operation} at {cards:,} cards: by CPU, {variant} carries {carried:.2f} × one"
            )
        if cards == many > few and (database, few, operation, variant) in medians:
            grown = one.load.p99 / medians[database, few, operation, variant].load.p99
            print(
                f"{database}: {operation} by {variant}: p99 grows {grown:.2f} ×"
                f" from {few:,} to {many:,} cards"
            )
    return list(medians.values())


def keep(medians: list[Measured]) -> None:
    _FILE.parent.mkdir(exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    entry = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "versions": versions,
        "measured": [asdict(one) for one in medians],
    }
    with _FILE.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cards", type=int, nargs="+", default=[1_000, 200_000])
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workers", type=int, nargs="+", default=[1])
    options.add_argument(
        "--database",
        nargs="+",
        default=[SQLITE, "postgresql://127.0.0.1:5432/postgres"],
        help="sqlite, or the URL of a PostgreSQL server's database",
    )
    options.add_argument("--only", nargs="+", help="operations by name")
    options.add_argument("--minutes", type=int, default=0)
    given = options.parse_args()
    with contextlib.ExitStack() as running:
        sites = []
        for database in given.database:
            if database != SQLITE:
                require_connections(database, len(given.cards), given.workers)
            for cards in given.cards:
                at = running.enter_context(place(database, cards))
                sites.append(Site(given.workers, at, cards, running))
        keep(report(measure(given, sites)))
        for site in sites:
            print(f"memory after {site.cards:,} cards: {_memory(site)}")
            if site.at.kind == POSTGRESQL and site.changed:
                for variant, number in site.messages().items():
                    print(f"messages to PostgreSQL for a change, {variant}: {number:.2f}")
        keep_on(given.minutes, sites[-1])


if __name__ == "__main__":
    main()
