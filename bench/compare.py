"""Benchmark: the gateway against hand-written baselines, all in one run.

    .venv/bin/python -m bench.compare [--cards 1000 200000] [--seconds 5] [--rounds 3]
        [--workers 1 2] [--database postgresql://…] [--only cardStatus …] [--minutes 10]

Variants: the gateway; the gateway with more workers; (A) Starlette by hand with SQLAlchemy's
asyncio; (B) the same schema through strawberry's own view and graphql-core, with strawberry's
caches, on SQLAlchemy's asyncio. They serve the same database at the same time, each on one core;
wrk runs on the other. All databases are filled first. In each round, every operation is sent to
every variant on every database in turn; the medians over the rounds are printed. Sessions are
chosen at random among many citizens; columns are encrypted and answers masked; mutations are
durable (`synchronous=FULL`). For sign-in, another server stands in for
the platform, on wrk's core. Several workers are not pinned to a core and have as many connections
each; for them, CPU time per request is what counts.
`--minutes` loads the gateway alone for that long at the end and prints its memory use.

Results are appended to var/bench.jsonl with date and versions.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx

from bench.fill import CODE, Person, fill
from bench.load import Load, Operation, line, run
from bench.server import Server
from core.kernel.settings import PREFIX

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
    Operation("reportLoss/cancelLoss", "", '"card":', in_turn=True),
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
_PACKAGES = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "sqlalchemy")
GATEWAY = "gateway"
_FILE = Path("var/bench.jsonl")
_CHANGING_SECONDS = 2
"""A code works once: more requests would use up all codes."""
_MANY = 10_000
_SIGN_INS = 500
"""Credentials per variant and round: more than a second uses up."""


def two_cores() -> tuple[int | None, int | None]:
    """One for the server and one for the load; empty on a machine with a single core."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@dataclass(frozen=True, slots=True)
class Measured:
    variant: str
    operation: str
    cards: int
    workers: int
    load: Load
    cpu_us: float

    @property
    def rate(self) -> float:
        return self.load.requests / self.load.seconds


class Site:
    """One database with its running servers."""

    def __init__(
        self, given: argparse.Namespace, folder: Path, cards: int, running: contextlib.ExitStack
    ) -> None:
        self.core, self.load_core = two_cores()
        self.folder = folder
        self.cards = cards
        self.changed = 0
        """How many requests of `_changes` have been sent."""
        self.platform = Server(folder, given.database, worker="false")
        """Another gateway process, which stands in for UnionPay."""
        print(f"{cards:,} cards", flush=True)
        self.people = fill(self.platform, cards)
        unionpay = {PREFIX + "UNIONPAY_URL": f"{self.platform.url}/sandbox/platforms/unionpay"}
        self.variants: dict[str, Server] = {}
        self.workers = dict.fromkeys("AB", 1)
        for workers in given.workers:
            name = GATEWAY if workers == 1 else f"{GATEWAY} × {workers}"
            self.workers[name] = workers
            self.variants[name] = Server(folder, given.database, worker="false", workers=workers)
        for name, kind in (("A", "starlette"), ("B", "strawberry")):
            program = (sys.executable, "-m", "bench.baselines", kind)
            self.variants[name] = Server(folder, given.database, program=program)
        self._start(self.platform, self.load_core, running)
        for name, server in self.variants.items():
            server.more |= unionpay
            self._start(server, self._core(name), running)

    def _start(self, server: Server, core: int | None, running: contextlib.ExitStack) -> None:
        server.start(core=core)
        running.callback(server.stop)

    def _core(self, variant: str) -> int | None:
        """Several workers need all cores."""
        return None if self.workers[variant] > 1 else self.core

    def ask(self, variant: str, operation: Operation, seconds: int) -> Measured:
        server = self.variants[variant]
        by_hand, start = variant == "A", 0
        if operation.name == "signIn":
            seconds, requests = 1, self._sign_ins(operation.document)
        elif operation.in_turn:
            seconds, requests = min(seconds, _CHANGING_SECONDS), _changes(self.people)
            start = self.changed
        else:
            requests = [line(person.token, operation.document) for person in self.people]
        path = f"/{operation.name}" if by_hand else "/graphql"
        path = "/changeLoss" if by_hand and "/" in operation.name else path
        before = server.cpu_seconds()
        core = self.load_core if self._core(variant) is not None else None
        workers = self.workers[variant]
        load = run(
            self.folder, server.url, path, operation, requests, seconds, core, start, workers
        )
        cpu = server.cpu_seconds() - before
        if operation.in_turn and operation.name != "signIn":
            # What was in flight at the end counts as used: skip a whole block.
            self.changed += (load.requests // (2 * _BLOCK) + 2) * 2 * _BLOCK
        cpu_us = cpu / max(load.requests, 1) * 1e6
        return Measured(variant, operation.name, self.cards, workers, load, cpu_us)

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
        return len(self.people) >= _MANY and self.changed < 2 * len(self.people)


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
    groups: dict[tuple[int, str, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.cards, one.operation, one.variant), []).append(one)
    medians = {key: median(group) for key, group in groups.items()}
    head = ("cards", "operation", "variant", "CPU µs", "ratio", "req/s", "ratio", "p50", "p99", "wrong")  # fmt: skip
    print("\n" + "{:>9} {:22}{:13}{:>7}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}".format(*head))
    for (cards, operation, variant), one in sorted(medians.items(), key=lambda each: each[0][:2]):
        own = medians.get((cards, operation, GATEWAY), one)
        print(
            f"{cards:>9,} {operation:22}{variant:13}{one.cpu_us:7.0f}{one.cpu_us / own.cpu_us:7.1f}"
            f"{one.rate:9,.0f}{own.rate / one.rate:7.1f}{one.load.p50:8.1f}{one.load.p99:8.1f}"
            f"{one.load.wrong:7}"
        )
    few, many = min(one.cards for one in found), max(one.cards for one in found)
    for (cards, operation, variant), one in medians.items():
        alone = medians.get((cards, operation, GATEWAY))
        if one.workers > 1 and alone is not None:
            carried = one.workers * alone.cpu_us / one.cpu_us
            print(f"{operation} at {cards:,} cards: by CPU, {variant} carries {carried:.2f} × one")
        if cards == many > few and (few, operation, variant) in medians:
            grown = one.load.p99 / medians[few, operation, variant].load.p99
            print(
                f"{operation} by {variant}: p99 grows {grown:.2f} × from {few:,} to {many:,} cards"
            )
    return list(medians.values())


def keep(medians: list[Measured], given: argparse.Namespace) -> None:
    _FILE.parent.mkdir(exist_ok=True)
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    entry = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "versions": versions,
        "database": "postgresql" if given.database else "sqlite",
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
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options.add_argument("--database", help="URL of an empty PostgreSQL database")
    options.add_argument("--only", nargs="+", help="operations by name")
    options.add_argument("--minutes", type=int, default=0)
    given = options.parse_args()
    if given.database and len(given.cards) > 1:
        options.error("One PostgreSQL database takes one number of --cards.")
    with contextlib.ExitStack() as running:
        sites = []
        for cards in given.cards:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            sites.append(Site(given, folder, cards, running))
        medians = report(measure(given, sites))
        keep(medians, given)
        for site in sites:
            print(f"memory after {site.cards:,} cards: {_memory(site)}")
        keep_on(given.minutes, sites[-1])


if __name__ == "__main__":
    main()
