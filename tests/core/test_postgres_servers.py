"""A URL of several servers leads to the first that answers and takes writes."""

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from core import migrations
from core.db import (
    DatabaseUnavailable,
    Limits,
    Query,
    Transaction,
    WrongUrl,
    connect,
    sqlite_path,
)
from core.db.urls import PostgresUrl
from core.kernel.settings import Settings, SettingsError
from core.live.relay import PostgresRelay
from tests.conftest import POSTGRES_URL, _postgres
from tests.core.clusters import Cluster, standby
from tests.live import free_port

pytestmark = pytest.mark.server

PORT = Query(text("SELECT inet_server_port() AS port"))
INSERT = Query(text("INSERT INTO spots VALUES (inet_server_port()) RETURNING port"))
_BECOME_READ_ONLY = (
    "ALTER SYSTEM SET default_transaction_read_only = on",
    "SELECT pg_reload_conf()",
)
_PARTS = urlsplit(POSTGRES_URL)
HOST = f"{_PARTS.hostname}:{_PARTS.port or 5432}"


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never says anything, like a server that hangs."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def hot_standby(postgres_template: str) -> Iterator[Cluster]:
    with standby() as cluster:
        yield cluster


async def port_of(url: str, limits: Limits = Limits()) -> int:  # noqa: B008 - immutable
    """The port of the server that a URL leads to, seen by a read and by a job."""
    database = await connect(url, limits)

    async def job(transaction: Transaction) -> int:
        row = await transaction.fetch_one(PORT)
        assert row is not None
        return int(row["port"])

    try:
        row = await database.fetch_one(PORT)
        assert row is not None
        assert row["port"] == await database.write(job)
        return int(row["port"])
    finally:
        await database.close()


async def test_a_dead_server_is_passed_over(postgres_template: str, closed: str) -> None:
    assert await port_of(f"postgresql://{closed},{HOST}/postgres") == int(HOST.split(":")[1])


async def test_without_another_server_a_dead_one_is_unavailable(closed: str) -> None:
    """The control."""
    with pytest.raises(DatabaseUnavailable):
        await port_of(f"postgresql://{closed},{closed}/postgres")


async def test_a_server_that_hangs_is_passed_over_and_not_asked_again(
    postgres_template: str, silent: str
) -> None:
    limits = Limits(acquire_seconds=3.0, deadline_seconds=9, pool_size=4)
    database = await connect(f"postgresql://{silent},{HOST}/postgres", limits)
    began = time.monotonic()
    await asyncio.gather(
        *(database.fetch(Query(text("SELECT pg_sleep(0.1)"))) for _ in range(limits.pool_size))
    )
    took = time.monotonic() - began
    await database.close()

    assert took < 1.4, "new connections go to the server that answered"


async def test_a_standby_is_passed_over(hot_standby: Cluster) -> None:
    url = f"postgresql://{hot_standby.host},{HOST}/postgres"

    assert await port_of(url) == int(HOST.split(":")[1])
    assert await port_of(f"{url}?target_session_attrs=primary") == int(HOST.split(":")[1])


async def test_where_any_server_will_do_the_first_is_taken(hot_standby: Cluster) -> None:
    """The control."""
    url = f"postgresql://{hot_standby.host},{HOST}/postgres?target_session_attrs=any"

    assert await port_of(url) == hot_standby.port


async def test_after_a_failover_the_promoted_standby_is_used(
    postgres_template: str, closed: str
) -> None:
    with standby() as cluster:
        url = f"postgresql://{closed},{cluster.host}/postgres"
        with pytest.raises(DatabaseUnavailable):
            await port_of(url)

        await asyncio.to_thread(cluster.control, "promote")

        assert await port_of(url) == cluster.port


async def test_a_server_that_becomes_read_only_is_left(empty: str) -> None:
    """A failover under an open pool; the table shows that jobs fail only in between."""
    with standby() as cluster:
        await asyncio.to_thread(cluster.control, "promote")
        await execute(f"postgresql://{cluster.host}/postgres", f"CREATE DATABASE {empty}")
        for host in (cluster.host, HOST):
            await execute(f"postgresql://{host}/{empty}", "CREATE TABLE spots (port int)")
        database = await connect(f"postgresql://{cluster.host},{HOST}/{empty}", Limits())

        async def job(transaction: Transaction) -> int:
            row = await transaction.fetch_one(INSERT)
            assert row is not None
            return int(row["port"])

        assert await database.write(job) == cluster.port
        await execute(f"postgresql://{cluster.host}/{empty}", *_BECOME_READ_ONLY)
        refused = 0
        async with asyncio.timeout(5):
            while True:
                try:
                    port = await database.write(job)
                except DatabaseUnavailable:
                    refused += 1
                    continue
                if port != cluster.port:
                    break
        await database.close()

    assert port == int(HOST.split(":")[1])
    assert refused


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def empty(postgres_template: str) -> AsyncIterator[str]:
    """The name of a database without tables."""
    name = f"card_gateway_servers_{uuid.uuid4().hex[:12]}"
    await _postgres(f"CREATE DATABASE {name}")
    yield name
    await _postgres(f"DROP DATABASE {name} WITH (FORCE)")


async def test_migrations_and_the_live_relay_find_the_server_too(empty: str, closed: str) -> None:
    url = f"postgresql://{closed},{HOST}/{empty}"

    assert (await migrations.state(url)).revision is None
    await asyncio.to_thread(migrations.migrate, url)
    assert (await migrations.state(url)).revision == migrations.HEAD

    relay = PostgresRelay(url)
    woken = asyncio.Event()
    relay.start(lambda _: None, woken.set)
    async with asyncio.timeout(5):
        await woken.wait()
    await relay.stop()


async def test_migrations_do_not_run_on_a_standby(hot_standby: Cluster, closed: str) -> None:
    url = f"postgresql://{closed},{hot_standby.host}/postgres"

    with pytest.raises(DatabaseUnavailable):
        await asyncio.to_thread(migrations.migrate, url)

    admin = await asyncpg.connect(f"postgresql://{hot_standby.host}/postgres")
    tables = await admin.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
    await admin.close()
    assert tables == []


# --- URLs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "mysql://somewhere/else",
        "sqlite:///",
        "postgresql:/h/db",
        "postgresql://h:port/db",
        "postgresql://h:70000/db",
        "postgresql://h1,/db",
        "postgresql://h1,,h2/db",
        "postgresql://h1:1:2/db",
        "postgresql://u@v@h/db",
        "postgresql://h1,h2/db?target_session_attrs=standby",
        "postgresql://h1,h2/db?target_session_attrs=",
    ],
)
def test_a_wrong_url_is_named_before_anything_starts(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^CARD_GATEWAY_DATABASE_URL .*\.$"):
        Settings(database_url=url)


@pytest.mark.parametrize(
    ("url", "dsns"),
    [
        ("postgresql://h/db", ["postgresql://h/db"]),
        ("postgresql+asyncpg://u@h:1,[::1]:2/db?sslmode=require",
         ["postgresql://u@h:1/db?sslmode=require", "postgresql://u@[::1]:2/db?sslmode=require"]),
        ("postgresql://u:p%40s/?#s@h/db", ["postgresql://u:p%40s%2F%3F%23s@h/db"]),
        ("postgresql://u@/db?host=/run/postgresql", ["postgresql://u@/db?host=/run/postgresql"]),
    ],
)  # fmt: skip
def test_each_server_has_a_url_of_its_own_for_the_driver(url: str, dsns: list[str]) -> None:
    parsed = PostgresUrl(url)
    Settings(database_url=url)

    assert [parsed.dsn(host) for host in parsed.hosts] == dsns


def test_the_file_of_sqlite_is_relative_or_absolute() -> None:
    assert str(sqlite_path("sqlite:///var/a.sqlite3")) == "var/a.sqlite3"
    assert str(sqlite_path("sqlite+aiosqlite:////srv/a.sqlite3?x=1")) == "/srv/a.sqlite3"
    assert sqlite_path("postgresql://h/db") is None
    with pytest.raises(WrongUrl):
        PostgresUrl("sqlite:///a")


@pytest.mark.parametrize("name", ["deadline_seconds", "acquire_seconds", "pool_size"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    given: dict[str, Any] = {f"database_{name}": 0}

    with pytest.raises(SettingsError, match=f"CARD_GATEWAY_DATABASE_{name.upper()}"):
        Settings(**given)


def test_the_limits_are_settings() -> None:
    given = Settings(database_deadline_seconds=9, database_pool_size=3).database_limits

    assert (given.deadline_seconds, given.pool_size) == (9, 3)
    assert Settings().database_limits == Limits()
