"""The gateway beside what people would write by hand, all in one run.

    .venv/bin/python -m bench.compare [--cards 1000 200000] [--seconds 5] [--rounds 3]
        [--workers 1 2] [--database postgresql://…] [--only cardStatus …] [--minutes 10]

Variants: the gateway; (A) Starlette by hand with SQLAlchemy's asyncio; (B) the same schema
through strawberry's own view and graphql-core, with strawberry's caches, on SQLAlchemy's
asyncio. They serve the same database at the same time, each in a process of its own on one
core; wrk is on the other. In each round every operation is asked of every variant in turn;
printed are medians over the rounds. Sessions are of many people, drawn at random; columns are
encrypted and answers masked; changes are durable (`synchronous=FULL`), one person after another.
For sign-in another server stands in for the platform, on wrk's core. With several workers nothing
is pinned, and what counts is CPU a request. `--minutes` loads the gateway alone for so long at the
end and prints its memory meanwhile.

Results are appended to var/bench.jsonl with date and versions.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx

from bench.fill import CODE, Person, fill
from bench.load import Load, Operation, line, run
from bench.server import Server, free_port
from core.settings import PREFIX

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
"""So many people report before the first of them cancels: more than are in flight."""
_PACKAGES = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "sqlalchemy")
_FILE = Path("var/bench.jsonl")
_CHANGING_SECONDS = 2
"""A code works once: more would use up everybody's."""
_MANY = 10_000
_SIGN_INS = 1_000
"""Credentials for each variant in a round: more than a second uses up."""


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


class Platform:
    """Another server of the gateway's, on the same data: it stands in for UnionPay."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.server = Server(folder, database, worker="false")
        self.settings = {PREFIX + "UNIONPAY_URL": f"{self.server.url}/sandbox/platforms/unionpay"}

    def sign_ins(self, document: str) -> list[str]:
        """Requests to sign in, each with a credential of its own."""
        lines = []
        with httpx.Client(base_url=self.server.url, trust_env=False, timeout=30) as http:
            for number in range(_SIGN_INS):
                persona = ("active", "lost", "no-card", "in-production")[number % 4]
                asked = {"channel": "UNIONPAY", "persona": persona}
                handed = http.post("/sandbox/authorize", json=asked).raise_for_status().json()
                lines.append(line("", document, {"i": {"channel": "UNIONPAY", **handed}}))
        return lines


class Rival:
    """One of `bench.rivals`, on the same data."""

    def __init__(self, name: str, kind: str, server: Server) -> None:
        self.name = name
        self._kind = kind
        self._server = server
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "bench.rivals", kind, str(port)]

    def path(self, operation: Operation) -> str:
        return "/graphql" if self._kind == "strawberry" else f"/{operation.name}"

    @contextlib.contextmanager
    def running(self, core: int | None) -> Iterator[int]:
        environment = self._server.environment | {"PYTHONPATH": str(Path.cwd())}
        with (self._server.folder / "rival.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._server.folder,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            )
        try:
            _wait_until_ready(self.url)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(url: str) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not start")


def measure(
    given: argparse.Namespace, server: Server, people: list[Person], cards: int, workers: int
) -> list[Measured]:
    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = (
        (cores[0], cores[1]) if len(cores) > 1 and workers == 1 else (None, None)
    )
    server.given |= {PREFIX + "WORKERS": str(workers)}
    with contextlib.ExitStack() as running:
        platform = Platform(server.folder, given.database)
        server.more |= platform.settings
        if not given.only or "signIn" in given.only:
            platform.server.start(core=load_core)
            running.callback(platform.server.stop)
        server.start(core=server_core)
        running.callback(server.stop)
        a, b = Rival("A", "starlette", server), Rival("B", "strawberry", server)
        pids = {rival.name: running.enter_context(rival.running(server_core)) for rival in (a, b)}
        found: list[Measured] = []
        changed = 0
        for number in range(given.rounds + 1):  # the first one only warms up
            for operation in OPERATIONS:
                if given.only and operation.name not in given.only:
                    continue
                if operation.name != "signIn" and operation.in_turn and len(people) < _MANY:
                    continue  # every code would be used up
                for variant in ("gateway", "A", "B"):
                    rival = {"A": a, "B": b}.get(variant)
                    if operation.name == "signIn":
                        requests, path = platform.sign_ins(operation.document), "/graphql"
                        path = rival.path(operation) if rival else path
                        seconds, start = 1, 0
                    else:
                        requests, path = _requests(operation, people, rival)
                        most = _CHANGING_SECONDS if operation.in_turn else given.seconds
                        seconds, start = min(most, given.seconds) if number else 1, changed
                    before = server.cpu_seconds(pids.get(variant))
                    load = run(
                        server.folder,
                        rival.url if rival else server.url,
                        path,
                        operation,
                        requests,
                        seconds,
                        load_core,
                        start=start,
                    )
                    cpu = server.cpu_seconds(pids.get(variant)) - before
                    if operation.in_turn and operation.name != "signIn":
                        # What was in flight at the end counts as used: a whole block is left out.
                        changed += (load.requests // (2 * _BLOCK) + 2) * 2 * _BLOCK
                    measured = Measured(
                        variant, operation.name, cards, workers, load, cpu / load.requests * 1e6
                    )
                    if number:
                        found.append(measured)
        print(f"  memory of the gateway's processes: {server.memory_mb():.0f} MB", flush=True)
        keep_on(given.minutes, server, people, load_core)
        return found


def keep_on(minutes: int, server: Server, people: list[Person], load_core: int | None) -> None:
    """Reads and nothing else, for so many minutes: memory has to stay what it was."""
    reads = [operation for operation in OPERATIONS if not operation.in_turn]
    for minute in range(minutes):
        for operation in reads:
            requests, path = _requests(operation, people, None)
            run(server.folder, server.url, path, operation, requests, 60 // len(reads), load_core)
        print(f"  after minute {minute + 1}: {server.memory_mb():.0f} MB", flush=True)


def _requests(
    operation: Operation, people: list[Person], rival: Rival | None
) -> tuple[list[str], str]:
    path = rival.path(operation) if rival else "/graphql"
    if not operation.in_turn:
        return [line(person.token, operation.document) for person in people], path
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
    return lines, "/changeLoss" if path != "/graphql" else path


def median(found: list[Measured]) -> Measured:
    """Of each figure by itself."""
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
    groups: dict[tuple[int, int, str, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.cards, one.workers, one.operation, one.variant), []).append(one)
    medians = {key: median(group) for key, group in groups.items()}
    head = (
        "cards",
        "workers",
        "operation",
        "variant",
        "CPU µs",
        "ratio",
        "req/s",
        "ratio",
        "p50",
        "p99",
        "wrong",
    )
    print("\n" + "{:>9}{:>8} {:24}{:9}{:>9}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}".format(*head))
    for (cards, workers, operation, variant), one in medians.items():
        own = medians[cards, workers, operation, "gateway"]
        print(
            f"{cards:>9,}{workers:>8} {operation:24}{variant:9}{one.cpu_us:9.0f}{one.cpu_us / own.cpu_us:7.1f}"
            f"{one.rate:9,.0f}{own.rate / one.rate:7.1f}{one.load.p50:8.1f}{one.load.p99:8.1f}"
            f"{one.load.wrong:7}"
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
    options.add_argument("--workers", type=int, nargs="+", default=[1])
    options.add_argument("--database", help="URL of an empty PostgreSQL database")
    options.add_argument("--only", nargs="+", help="operations by name")
    options.add_argument("--minutes", type=int, default=0)
    given = options.parse_args()
    found: list[Measured] = []
    for cards in given.cards:
        with tempfile.TemporaryDirectory() as name:
            server = Server(Path(name), given.database, worker="false")
            people = fill(server, cards)
            for workers in given.workers:
                found += measure(given, server, people, cards, workers)
                report(found)
    keep(report(found), given)


if __name__ == "__main__":
    main()
