"""CPU budget of `cardStatus`: the real server, cut off after each step of a request in turn.

    .venv/bin/python -m bench.budget [--cards 200000] [--seconds 4] [--rounds 3]

Each variant executes one step more than the one before and then sends fixed bytes of the same
length as the real response; the last one is the complete gateway. They take turns on the same
database, each on one core, with wrk on the other and 32 connections. Prints the median CPU time
per request in µs and what each step adds. For the last two, CPU time is counted until the access
records of the measured window have been written.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.compare import OPERATIONS, two_cores
from bench.fill import fill
from bench.limit import BODY
from bench.load import line, run
from bench.server import Server
from core.audit import AccessLogWriter
from core.citizens import sessions
from gateway.cli import main as cli
from gateway.http.admission import RateLimitStatus
from gateway.http.edge import NO_HEADERS, authenticate
from gateway.http.server import FastPath
from gateway.http.server.fast_path import FastPathRequest, FastPathResponse

_SECONDS_TO_WRITE = 2


async def _nothing(lane: FastPath, admitted: FastPathRequest) -> None: ...


async def _session_and_card(lane: FastPath, admitted: FastPathRequest) -> None:
    context, parsed = admitted.context, admitted.parsed
    assert admitted.token is not None
    assert parsed.prefetch is not None
    by_token = sessions.by_token(context.dependencies.vault, admitted.token, context.now())
    assert by_token is not None
    await context.application.database.fetch(parsed.prefetch.with_session, **by_token)


async def _caller(lane: FastPath, admitted: FastPathRequest) -> None:
    context, parsed = admitted.context, admitted.parsed
    assert admitted.token is not None
    context.caller = await authenticate(context, admitted.token, None, parsed.prefetch)


async def _plan(lane: FastPath, admitted: FastPathRequest) -> None:
    await _caller(lane, admitted)
    result: Any = admitted.plan.execute(None, admitted.context, None)
    await result


def _stop_after(step: Callable[[FastPath, FastPathRequest], Awaitable[None]]) -> None:
    async def run(self: FastPath, admitted: FastPathRequest) -> FastPathResponse:
        await step(self, admitted)
        headers = [(b"content-length", b"%d" % len(BODY)), (b"content-type", b"application/json")]
        return FastPathResponse(200, headers, self._always, BODY)

    FastPath.run = run  # type: ignore[method-assign]


def _http_alone() -> None:
    _stop_after(_nothing)
    admitted = FastPathRequest(NO_HEADERS, None, None, None, None, RateLimitStatus("", ""))  # type: ignore[arg-type]
    FastPath.admit = lambda *_: admitted  # type: ignore[method-assign]


def _without_access_log() -> None:
    AccessLogWriter.add = lambda *_: None  # type: ignore[method-assign]


def _plan_without_access_log() -> None:
    _without_access_log()
    _stop_after(_plan)


STEPS: dict[str, Callable[[], None]] = {
    "socket, HTTP, a task, one write": _http_alone,
    "admission: plan, budgets, context": lambda: _stop_after(_nothing),
    "session and card in one shared hop": lambda: _stop_after(_session_and_card),
    "caller of the row": lambda: _stop_after(_caller),
    "plan: card, decrypting, masking": _plan_without_access_log,
    "the answer as JSON, headers": _without_access_log,
    "recording the access": lambda: None,
}
_WITH_REST = list(STEPS)[-2:]
"""Access records are written later. The idle CPU until then is in both, and cancels out."""


def serve(step: str) -> None:
    STEPS[step]()
    sys.argv = ["card-gateway", "serve"]
    cli.main()


def measure(given: argparse.Namespace, folder: Path, running: contextlib.ExitStack) -> None:
    core, load_core = two_cores()
    operation = OPERATIONS[0]
    people = fill(Server(folder, worker="false"), given.cards)
    requests = [line(person.token, operation.document) for person in people]
    servers = {}
    for step in STEPS:
        program = (sys.executable, "-m", "bench.budget", "--step", step)
        server = servers[step] = Server(folder, program=program, worker="false")
        server.start(core=core)
        running.callback(server.stop)
    found: dict[str, list[float]] = {step: [] for step in STEPS}
    for number in range(given.rounds + 1):  # the first round only warms up
        for step, server in servers.items():
            before = server.cpu_seconds()
            seconds = given.seconds if number else 1
            load = run(folder, server.url, "/graphql", operation, requests, seconds, load_core)
            if load.wrong:
                raise SystemExit(f"{step}: {load.wrong} wrong answers")
            if not number:
                continue
            if step in _WITH_REST:
                time.sleep(_SECONDS_TO_WRITE)
            found[step].append((server.cpu_seconds() - before) / load.requests * 1e6)
        print(f"  round {number} of {given.rounds}", flush=True)
    print(f"\n{'up to and with':38}{'CPU µs':>8}{'adds':>8}")
    last = 0.0
    for step, each in found.items():
        median = statistics.median(each)
        print(f"{step:38}{median:8.1f}{median - last:8.1f}")
        last = median


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cards", type=int, default=200_000)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.step:
        return serve(given.step)
    with contextlib.ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory())
        measure(given, Path(folder), running)


if __name__ == "__main__":
    main()
