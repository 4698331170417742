"""`rotate-keys`, as an operator runs it: killed and started again."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from bench.people import write_people
from core.db import connect
from core.kernel.settings import PREFIX, Settings
from core.keys import rotation
from gateway.app import keys_from
from tests.cli.conftest import BY, SECRETS, Command, start
from tests.core.test_key_rotation import NEW_KEY


async def _stale() -> int:
    settings = Settings.read(os.environ)
    database = await connect(settings.database_url)
    try:
        return await rotation.count_stale(database, keys_from(settings))
    finally:
        await database.close()


def stale() -> int:
    return asyncio.run(_stale())


@pytest.fixture
def new_keys(keys: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The new key comes first, the old one stays behind it."""
    for name in SECRETS:
        old = os.environ[PREFIX + name.upper()]
        monkeypatch.setenv(PREFIX + name.upper(), f"new:{NEW_KEY},{old}")
    return keys


def test_says_that_nothing_is_left(command: Command, new_keys: str) -> None:
    count = stale()

    done, again = command("rotate-keys", *BY), command("rotate-keys", *BY)

    assert count > 20
    assert (done.code, done.out) == (
        0,
        f"{count} rows and pictures re-encrypted, 0 rows left under older keys.\n",
    )
    assert again.out == "0 rows and pictures re-encrypted, 0 rows left under older keys.\n"


def test_with_one_key_there_is_nothing_to_do(command: Command, keys: str) -> None:
    assert command("rotate-keys", *BY).out.startswith(
        "0 rows and pictures re-encrypted, 0 rows left"
    )


def test_says_when_a_key_is_missing(command: Command, keys: str) -> None:
    alone = dict.fromkeys(SECRETS, f"new:{NEW_KEY}")

    done = command("rotate-keys", *BY, **alone)

    assert done.code == 1
    assert "cannot be re-encrypted" in done.err
    assert "0 rows and pictures re-encrypted" in done.out


@pytest.mark.server
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_goes_on_after_it_was_killed(
    command: Command, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_people(tmp_path / "people.csv", 2_500)
    assert command("import-cards", *BY, file).code == 0
    for name in SECRETS:
        old = os.environ[PREFIX + name.upper()]
        monkeypatch.setenv(PREFIX + name.upper(), f"new:{NEW_KEY},{old}")
    total = stale()
    left = [total]

    for _ in range(3):
        process = start("rotate-keys", *BY)
        deadline = time.monotonic() + 120
        while process.poll() is None and left[-1] == stale() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        left.append(stale())

    done = command("rotate-keys", *BY)
    assert total > 1200
    assert total > left[1] >= left[2] >= left[3]
    assert left[1] > 0, "killed too late to prove anything"
    assert done.code == 0
    assert stale() == 0
