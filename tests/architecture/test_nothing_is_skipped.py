"""What CI can install it must install: there a test that finds something missing fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

_ROOT = Path(__file__).parents[2]
_ON_POSTGRES = "tests/services/test_sign_out.py"
_NOWHERE = "postgresql://127.0.0.1:1"


@pytest.mark.parametrize(("ci", "closing"), [("true", "errors"), ("", "skipped")])
def test_without_postgresql_a_test_fails_in_ci_and_is_skipped_elsewhere(
    ci: str, closing: str
) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pytest", _ON_POSTGRES, "-k", "postgres"],
        cwd=_ROOT,
        env=os.environ | {"CI": ci, "TEST_POSTGRES_URL": _NOWHERE},
        capture_output=True,
        text=True,
        check=False,
    )

    assert closing in done.stdout.splitlines()[-1]
    assert f"NO POSTGRESQL AT {_NOWHERE}" in done.stdout
