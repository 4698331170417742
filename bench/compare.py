"""The gateway beside what people would write by hand, all in one run.

    .venv/bin/python -m bench.compare [--cards 1000 200000] [--seconds 5] [--rounds 3]
        [--workers 1] [--database sqlite|postgresql://…] [--only cardStatus …]

Variants: the gateway; (A) Starlette by hand with SQLAlchemy's asyncio; (B) the same schema
through strawberry's own view and graphql-core, with strawberry's caches, on SQLAlchemy's
asyncio. They serve the same database at the same time, each in a process of its own on one
core; wrk is on the other. In each round every operation is asked of every variant in turn;
printed are medians over the rounds. Sessions are of many people, drawn at random; columns are
encrypted and answers masked; changes are durable (`synchronous=FULL`), one person after another.

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


@dataclass(frozen=True, slots=True)
class Measured:
    variant: str
    operation: str
    cards: int
    load: Load
    cpu_us: float

    @property
    def rate(self) -> float:
        return self.load.requests / self.load.seconds


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


def measure(given: argparse.Namespace, cards: int) -> list[Measured]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        server = Server(Path(name), given.database, workers=given.workers, worker="false")
        people = fill(server, cards)
        server.start(core=given.server_core)
        running.callback(server.stop)
        a, b = Rival("A", "starlette", server), Rival("B", "strawberry", server)
        pids = {
            rival.name: running.enter_context(rival.running(given.server_core)) for rival in (a, b)
        }
        found: list[Measured] = []
        changed = 0
        for number in range(given.rounds + 1):  # the first one only warms up
            for operation in OPERATIONS:
                if given.only and operation.name not in given.only:
                    continue
                for variant in ("gateway", "A", "B"):
                    if operation.in_turn and variant == "B":
                        continue  # its writes are A's
                    rival = {"A": a, "B": b}.get(variant)
                    requests, path = _requests(operation, people, rival)
                    seconds = given.seconds if number else 1
                    before = server.cpu_seconds(pids.get(variant))
                    load = run(
                        server.folder,
                        rival.url if rival else server.url,
                        path,
                        operation,
                        requests,
                        seconds,
                        given.load_core,
                        start=changed,
                    )
                    cpu = server.cpu_seconds(pids.get(variant)) - before
                    if operation.in_turn:
                        # What was in flight at the end counts as used: a whole block is left out.
                        changed += (load.requests // (2 * _BLOCK) + 2) * 2 * _BLOCK
                    measured = Measured(
                        variant, operation.name, cards, load, cpu / load.requests * 1e6
                    )
                    if number:
                        found.append(measured)
        print(f"  memory of the gateway's processes: {server.memory_mb():.0f} MB")
        return found


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
    return lines, "/changeLoss" if rival else path


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
    groups: dict[tuple[int, str, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.cards, one.operation, one.variant), []).append(one)
    medians = {key: median(group) for key, group in groups.items()}
    head = (
        "cards",
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
    print("\n" + "{:>9} {:24}{:9}{:>9}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}".format(*head))
    for (cards, operation, variant), one in medians.items():
        own = medians[cards, operation, "gateway"]
        print(
            f"{cards:>9,} {operation:24}{variant:9}{one.cpu_us:9.0f}{one.cpu_us / own.cpu_us:7.1f}"
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
        "workers": given.workers,
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
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--database", help="URL of an empty PostgreSQL database")
    options.add_argument("--only", nargs="+", help="operations by name")
    given = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) > 1 and given.workers == 1
    given.server_core, given.load_core = (cores[0], cores[1]) if apart else (None, None)
    found = [one for cards in given.cards for one in measure(given, cards)]
    keep(report(found), given)


if __name__ == "__main__":
    main()
