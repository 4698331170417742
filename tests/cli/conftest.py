"""Runs the gateway's commands as an operator does: arguments and environment in, text and exit code out."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.kernel.settings import PREFIX
from gateway.cli import main
from tests.conftest import settings_for

BY = ("--operator", "王芳")
SECRETS = ("column_keys", "index_keys", "peppers", "audit_keys")


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No settings at all, and a working folder of its own."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs `card-gateway` in this process; `settings` are set for this and later runs."""

    def run(*arguments: str | Path, **settings: str) -> Done:
        for name, value in settings.items():
            monkeypatch.setenv(PREFIX + name.upper(), value)
        monkeypatch.setattr(sys, "argv", ["card-gateway", *map(str, arguments)])
        code: object = 0
        try:
            main.main()
        except SystemExit as stopped:
            code = stopped.code or 0
        assert isinstance(code, int)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def keys(environment: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> str:
    """The settings of the seeded database, its keys included. Returns the database's URL."""
    settings = settings_for(database_url, environment)
    monkeypatch.setenv(PREFIX + "DATABASE_URL", database_url)
    for name in SECRETS:
        monkeypatch.setenv(PREFIX + name.upper(), getattr(settings, name).reveal())
    return database_url


def start(*arguments: str | Path) -> "subprocess.Popen[bytes]":
    """The command as a process of its own, to be killed."""
    program = Path(sys.executable).with_name("card-gateway")
    return subprocess.Popen(  # noqa: S603 - our own command
        [program, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
