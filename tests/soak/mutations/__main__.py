"""Seeds faults that fail in silence, one at a time, and shows which test catches each.

    .venv/bin/python -m tests.soak.mutations [--only NAME] [--jobs 2]

Works on copies of the code in a temporary folder; the code itself stays as it is. The tests that
a fault names run on SQLite until the first failure. The command ends with 1 where a fault
survives without a reason in `ACCEPTED`, where one that is listed there is caught after all, or
where the named tests fail without any fault. A fault whose text has changed stops it at once.
"""

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.soak.mutations.in_adapters import MUTATIONS as IN_ADAPTERS
from tests.soak.mutations.in_core import ACCEPTED
from tests.soak.mutations.in_core import MUTATIONS as IN_CORE
from tests.soak.mutations.mutation import Mutation

ROOT = Path(__file__).parents[3]
COPIED = ("core", "gateway", "sandbox", "tests", "docs", "pyproject.toml", "schema.graphql")
LONGEST_SECONDS = 900
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_TESTS_FAILED = 1
_DID_NOT_RUN = "THE TESTS DID NOT RUN:"


class DidNotRun(Exception):
    """pytest stopped before any test: a test was renamed, or the code cannot be imported."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="faults whose name holds this")
    options.add_argument("--jobs", type=int, default=2, help="how many run at the same time")
    given = options.parse_args()
    chosen = [one for one in (*IN_CORE, *IN_ADAPTERS) if given.only in one.name]
    if not chosen:
        sys.exit(f"No fault has {given.only!r} in its name.")
    _check_catalogue(chosen)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(given.jobs):
            copies.put(_copy(Path(folder) / str(number)))

        def run(mutation: Mutation) -> str | None:
            copy = copies.get()
            try:
                with _seeded(copy / mutation.file, mutation):
                    return _first_failure(copy, mutation.tests)
            except DidNotRun as error:
                return f"{_DID_NOT_RUN}\n{error}"
            finally:
                copies.put(copy)

        _must_pass_without_a_fault(Path(folder) / "0", chosen)
        found = zip(chosen, pool.map(run, chosen), strict=True)
        sys.exit(_report(found, len(chosen), began))


def _must_pass_without_a_fault(copy: Path, chosen: Sequence[Mutation]) -> None:
    failed = _first_failure(copy, sorted({test for one in chosen for test in one.tests}))
    if failed is not None:
        sys.exit(f"Without any fault this fails: {failed}")


def _report(found: Iterable[tuple[Mutation, str | None]], total: int, began: float) -> int:
    """The exit code."""
    caught, wrong = 0, 0
    for mutation, failed in found:
        expected = mutation.name in ACCEPTED
        if failed is None:
            wrong += not expected
            verdict = "survives, accepted" if expected else f"SURVIVES: {mutation.harm}"
        elif failed.startswith(_DID_NOT_RUN):
            wrong += 1
            verdict = failed
        else:
            caught += 1
            wrong += expected
            verdict = f"{failed} (so take it off ACCEPTED)" if expected else failed
        print(f"{mutation.name:68} {verdict}", flush=True)
    minutes = (time.monotonic() - began) / 60
    print(f"{caught} of {total} caught, in {minutes:.1f} minutes.")
    for name, reason in ACCEPTED.items():
        print(f"accepted: {name}: {reason}")
    return 1 if wrong else 0


def _check_catalogue(chosen: Sequence[Mutation]) -> None:
    """Stops where a fault no longer fits the code: it would be counted as caught for nothing."""
    stale = []
    for mutation in chosen:
        count = (ROOT / mutation.file).read_text("utf-8").count(mutation.before)
        if count != 1:
            stale.append(f"{mutation.name}: text found {count} times in {mutation.file}")
        stale += [
            f"{mutation.name}: no file {test}"
            for test in mutation.tests
            if not (ROOT / test.partition("::")[0]).exists()
        ]
    names = [mutation.name for mutation in (*IN_CORE, *IN_ADAPTERS)]
    stale += sorted({f"{name}: listed twice" for name in names if names.count(name) > 1})
    stale += [f"{name}: accepted, but not seeded" for name in ACCEPTED if name not in names]
    if stale:
        sys.exit("\n".join(stale))


def _copy(to: Path) -> Path:
    to.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


@contextmanager
def _seeded(file: Path, mutation: Mutation) -> Iterator[None]:
    code = file.read_text("utf-8")
    _write(file, code.replace(mutation.before, mutation.after))
    try:
        yield
    finally:
        _write(file, code)


def _write(file: Path, code: str) -> None:
    """With the compiled file removed: it would pass for that of a text as long and as old."""
    file.write_text(code, "utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def _first_failure(copy: Path, tests: Sequence[str]) -> str | None:
    """Run from the copy, whose modules come before the installed ones."""
    options = ["-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", "not postgres"]
    finished = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    if finished.returncode == 0:
        return None
    found = _FAILED.search(finished.stdout)
    if finished.returncode != _TESTS_FAILED or found is None:
        raise DidNotRun(f"{finished.stdout}{finished.stderr}")
    return found[1]


if __name__ == "__main__":
    main()
