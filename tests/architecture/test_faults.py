"""A short run of the fault harness; `make faults` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.faults.power import is_possible

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
needs_fuse = pytest.mark.skipif(not is_possible(), reason="no FUSE, or no C compiler")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tests.soak.faults", "--people", "20", "--movers", "20", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_lost_or_doubled() -> None:
    """With a power cut at each kill, where that can be had."""
    done = run("--rounds", "3", *(["--power-cut"] if is_possible() else []))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything is settled, each effect happened once, nothing is lost" in done.stdout


@needs_fuse
def test_what_is_not_synced_is_missed() -> None:
    """The control: `synchronous=NORMAL` on the same file system."""
    done = run("--rounds", "3", "--power-cut", "--control", "synchronous-normal")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "acknowledged mutations have no entry" in done.stdout
