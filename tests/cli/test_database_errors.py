"""What every command says about a database that it cannot use: one line, and what to do."""

import asyncio
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import migrations
from tests.cli.conftest import BY, Command, Done
from tests.conftest import POSTGRES_URL, _postgres

COMMANDS = (
    ("migrate",),
    ("verify-audit",),
    ("anchor-audit",),
    ("rotate-keys", *BY),
    ("outbox", "list"),
    ("issuer-events", "list"),
    ("import-cards", *BY, "cards.csv"),
)
SERVER = POSTGRES_URL.partition("://")[2]
SECRET = "s3cret"
HEADING = "name,social_security_number,phone,card_number,state,bank_code,issue_date,batch_number\n"


def assert_one_line(done: Done, *parts: str) -> None:
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    assert SECRET not in done.err
    for part in parts:
        assert part in done.err


CASES = (
    *(
        (arguments, f"postgresql://u:{SECRET}@127.0.0.1:1/x", "Connect call failed")
        for arguments in COMMANDS
    ),
    *(
        (arguments, url, reason)
        for arguments in (("migrate",), ("outbox", "list"))
        for url, reason in (
            (f"postgresql://nobody_here:{SECRET}@{SERVER}/postgres", "nobody_here"),
            (f"postgresql://{SERVER}/no_such_database", "no_such_database"),
            ("sqlite:///no-database.sqlite3", "not a database"),
        )
    ),
)


@pytest.mark.parametrize(("arguments", "url", "reason"), CASES)
@pytest.mark.server
def test_a_database_that_cannot_be_used(
    command: Command, environment: Path, arguments: tuple[str, ...], url: str, reason: str
) -> None:
    (environment / "no-database.sqlite3").write_text("no database" * 500)
    (environment / "cards.csv").write_text(HEADING)

    done = command(*arguments, database_url=url)

    assert_one_line(
        done, "The database cannot be used: ", reason, "Check CARD_GATEWAY_DATABASE_URL."
    )


@pytest.mark.parametrize("arguments", [("verify-audit",), ("outbox", "list")])
def test_one_that_is_locked_is_not_told_to_be_migrated(
    command: Command, environment: Path, arguments: tuple[str, ...]
) -> None:
    migrations.migrate("sqlite:///gateway.sqlite3")
    with sqlite3.connect("gateway.sqlite3") as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        done = command(*arguments, database_url="sqlite:///gateway.sqlite3")

    assert_one_line(done, "The database cannot be used: ", "locked")


@pytest.fixture
def migrated() -> Iterator[str]:
    name = f"card_gateway_cli_{uuid.uuid4().hex[:12]}"
    asyncio.run(_postgres(f"CREATE DATABASE {name}"))
    url = f"{POSTGRES_URL}/{name}"
    migrations.migrate(url, 2)
    yield url
    asyncio.run(_postgres(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.server
def test_tables_that_are_not_there(
    command: Command, keys: str, migrated: str, environment: Path
) -> None:
    asyncio.run(_postgres("DROP TABLE outbox, audit_entries, issuer_events", migrated))

    for arguments in (("verify-audit",), ("rotate-keys", *BY), ("outbox", "list")):
        done = command(*arguments, database_url=migrated)
        assert done.code == 1
        assert "Traceback" not in done.err
        assert done.err.splitlines()[-1] == (
            "The database's tables are not those of this version (UndefinedTableError 42P01). "
            "Check CARD_GATEWAY_DATABASE_URL, or migrate an empty database."
        )


@pytest.mark.server
def test_a_revision_of_a_newer_version(command: Command, migrated: str) -> None:
    asyncio.run(_postgres("UPDATE alembic_version SET version_num = '9999'", migrated))

    for arguments in (("migrate",), ("verify-audit",)):
        assert_one_line(command(*arguments, database_url=migrated), "9999", "newer version")


@pytest.mark.server
def test_tables_without_a_revision(command: Command, migrated: str) -> None:
    asyncio.run(_postgres("DROP TABLE alembic_version", migrated))

    done = command("migrate", database_url=migrated, database_partitions="2")

    assert_one_line(done, "The database's tables are not those of this version")


@pytest.mark.server
@pytest.mark.parametrize("partitions", ["0", "16", "2"])
def test_partitions_that_the_database_does_not_have(
    command: Command, migrated: str, partitions: str
) -> None:
    """Those that it has are accepted: the control."""
    done = command("migrate", database_url=migrated, database_partitions=partitions)

    if partitions == "2":
        assert (done.code, done.err) == (0, "")
    else:
        assert_one_line(
            done,
            f"CARD_GATEWAY_DATABASE_PARTITIONS is {partitions}, but the database was migrated with 2",
        )
