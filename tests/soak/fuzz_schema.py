"""Runs schemathesis against a live server: every operation of the schema, with generated values.

    make fuzz        or   .venv/bin/python -m tests.soak.fuzz_schema [--examples 5000]

No response may be a server error, and every error must have a client error code. The
checks are in `tests/soak/schemathesis_hooks.py`; schemathesis is installed in `.venv-fuzz`.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from bench.server import Server
from core.kernel.refusals import RefusalCode

ROOT = Path(__file__).parents[2]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=int, default=5_000)
    given = options.parse_args()
    operations = _operations()
    each = -(-given.examples // operations)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        server.start()
        try:
            done, cases = _run(server, folder, each)
        finally:
            server.stop()
        log = (folder / "server.log").read_text()
    print(f"{cases:,} examples of {operations} operations")
    unexpected = log.count("graphql.unexpected") + log.count("Traceback")
    print(f"{unexpected} unexpected errors in the server's log")
    if cases < given.examples:
        print(f"fewer than {given.examples:,}: nothing is proved")
    raise SystemExit(bool(done or unexpected or cases < given.examples))


def _operations() -> int:
    from graphql import build_schema

    schema = build_schema((ROOT / "schema.graphql").read_text())
    roots = (schema.query_type, schema.mutation_type)
    return sum(len(root.fields) for root in roots if root is not None)


def _run(server: Server, folder: Path, each: int) -> tuple[int, int]:
    report = folder / "report.ndjson"
    command: list[str | Path] = [
        ROOT / ".venv-fuzz" / "bin" / "st",
        "run",
        f"{server.url}/graphql",
        "--phases=fuzzing",
        "--checks=is_no_server_error,tells_nothing_of_the_inside",
        f"--max-examples={each}",
        "--continue-on-failure",
        "--no-shrink",
        "--suppress-health-check=all",
        "--report=ndjson",
        f"--report-ndjson-path={report}",
        "--header=Accept: application/graphql-response+json",
        "--warnings=off",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.soak.schemathesis_hooks",
        "FUZZED_GATEWAY": server.url,
        "REFUSAL_CODES": " ".join(RefusalCode),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(command, env=environment, cwd=folder, check=False)  # noqa: S603
    return done.returncode, _cases(report)


def _cases(report: Path) -> int:
    """The number of requests in the report."""
    lines = report.read_text().splitlines() if report.exists() else []
    found = {
        case
        for line in lines
        for case in re.findall(r'"id": ?"([A-Za-z0-9]{6})"', json.dumps(json.loads(line)))
    }
    return len(found)


if __name__ == "__main__":
    main()
