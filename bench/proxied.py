"""CPU time of `cardStatus` behind a proxy: by the fast path, by the fast path through ASGI, and by
the ASGI path.

    .venv/bin/python -m bench.proxied [--cards 20000] [--seconds 4] [--rounds 3]

The same requests take turns on one server, which runs on one core, with wrk on the other: as a
client sends them, with the `X-Forwarded-For` of a trusted proxy, with a header twice, which the
fast path leaves to ASGI, and with a spelling of `Content-Type` that only the ASGI path reads. Prints the median CPU time per request in µs.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from bench.compare import OPERATIONS, two_cores
from bench.fill import fill
from bench.load import line, run
from bench.server import Server

_FORWARDED = {"X-Forwarded-For": "203.0.113.9, 10.1.2.3"}
_TWICE = {"X-Twice": "1", "x-twice": "1"}
_BY_ASGI = {"Content-Type": "application/json; charset=UTF-8"}
VARIANTS = {
    "fast path": {},
    "fast path, X-Forwarded-For": _FORWARDED,
    "fast path through ASGI, X-Forwarded-For": _FORWARDED | _TWICE,
    "ASGI path, X-Forwarded-For": _FORWARDED | _BY_ASGI,
}


def measure(given: argparse.Namespace, folder: Path) -> None:
    core, load_core = two_cores()
    operation = OPERATIONS[0]
    server = Server(folder, worker="false", trusted_proxies="127.0.0.1, 10.0.0.0/8")
    people = fill(server, given.cards)
    requests = [line(person.token, operation.document) for person in people]
    server.start(core=core)
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    try:
        for number in range(given.rounds + 1):  # the first round only warms up
            for name, headers in VARIANTS.items():
                before = server.cpu_seconds()
                load = run(
                    folder, server.url, "/graphql", operation, requests, given.seconds, load_core,
                    headers=headers,
                )  # fmt: skip
                if load.wrong:
                    raise SystemExit(f"{name}: {load.wrong} wrong answers")
                if number:
                    found[name].append((server.cpu_seconds() - before) / load.requests * 1e6)
    finally:
        server.stop()
    for name, each in found.items():
        print(f"{name:42}{statistics.median(each):8.1f} µs")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cards", type=int, default=20_000)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    with tempfile.TemporaryDirectory() as folder:
        measure(options.parse_args(), Path(folder))


if __name__ == "__main__":
    main()
