"""The services' tests on Citus: what goes to more than one shard must be listed in `MANY`.

    TEST_CITUS_URL=postgresql://HOST:PORT .venv/bin/python -m tests.soak.on_citus [--control] [ARGS]

The URL names a coordinator, without a database; ARGS are pytest's. Citus announces by a notice
that it sends a statement to several shards. With `--control` nothing counts as listed: then tests
must fail. The module is pytest's plugin too.
"""

import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import asyncpg
import pytest

from core.db.postgres import PostgresDatabase
from tests import citus
from tests.architecture.all_statements import MANY, PACKAGES, named_queries

ROOT = Path(__file__).parents[2]
TESTS = ("tests/services", "tests/channels/over_http/test_services.py")
_NOTICE = "multi-task query about to be executed"
_ROTATION = "core.keys."
"""Its statements are made when it runs, over all rows."""
_THIS = Path(__file__)
_DATABASE = ROOT / "core" / "db"
_OURS = {*PACKAGES, "sandbox", "tests"}


class Sent(NamedTuple):
    text: str
    by: str
    """The function of the program that sent it: `core.cards.cards.confirm`."""


class _Watched(asyncpg.Connection):  # type: ignore[misc]
    """Notes the statements that go to more than one shard. A pool does not bear a listener."""

    sent: list[Sent]
    sender: str | None = None

    async def _execute(self, *given: Any, **named: Any) -> Any:
        self.sender = _sender()
        return await super()._execute(*given, **named)

    async def _executemany(self, *given: Any, **named: Any) -> Any:
        self.sender = _sender()
        return await super()._executemany(*given, **named)

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        if fields.get("M") == _NOTICE and self.sender is not None:
            self.sent.append(Sent(last_query, self.sender))


def _sender() -> str | None:
    """None if the statement is a test's own or the sandbox's."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        part = path.relative_to(ROOT).parts[0] if path.is_relative_to(ROOT) else ""
        if part in _OURS and path != _THIS and not path.is_relative_to(_DATABASE):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            return f"{name}.{frame.f_code.co_qualname}" if part in PACKAGES else None
        frame = frame.f_back
    return "nobody knows"


def unexpected(sent: Iterable[Sent], listed: Iterable[str]) -> list[Sent]:
    """What is sent alone or as a part of a change is known by its text, but for the numbers in it."""
    queries = named_queries()
    texts = [_shape(queries[name].compiled(PostgresDatabase.dialect)[0]) for name in listed]
    return [
        one
        for one in sent
        if not one.by.startswith(_ROTATION) and not any(text in _shape(one.text) for text in texts)
    ]


def _shape(text: str) -> str:
    return re.sub(r"\$\d+", "$", text)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--control", action="store_true")


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test whose statements went to several shards for no listed reason."""
    sent: list[Sent] = []
    kind = type("Watched", (_Watched,), {"sent": sent})
    connect = functools.partial(asyncpg.connect, connection_class=kind)
    monkeypatch.setattr(asyncpg, "connect", connect)
    yield
    listed = () if request.config.getoption("--control") else MANY
    found = dict.fromkeys(unexpected(sent, listed))
    assert not found, "\n".join(f"{one.by}: {one.text}" for one in found)


def main() -> int:
    if not citus.URL:
        sys.exit("TEST_CITUS_URL names no coordinator.")
    control = "--control" in sys.argv
    chosen = [argument for argument in sys.argv[1:] if argument != "--control"] or TESTS
    options = ["-p", "tests.soak.on_citus", "-k", "postgres", *(["--control"] if control else [])]
    if not control and (ended := pytest.main(["tests/soak/rules_on_citus.py"])):
        return ended
    ended = pytest.main([*options, *chosen])
    expected = pytest.ExitCode.TESTS_FAILED if control else pytest.ExitCode.OK
    return 0 if ended == expected else 1


if __name__ == "__main__":
    sys.exit(main())
