"""A real PgBouncer in transaction mode, with the configuration of docs/deployment.md."""

import asyncio
import getpass
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from sqlalchemy import text

from core import migrations
from core.db import Database, DatabaseUnavailable, Limits, Query, Transaction, connect
from tests.conftest import ADDRESS, POSTGRES_URL, _postgres, _put_back, running, settings_for
from tests.core.clusters import AS_SERVER
from tests.front_end import World
from tests.live import free_port

pytestmark = pytest.mark.server

_DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
_PARTS = urlsplit(POSTGRES_URL)
_PATIENCE_SECONDS = 10
SERVER_CONNECTIONS = 3
CLIENTS = 12
IGNORED = "ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout\n"
WITHOUT_CACHE = Limits(statement_cache=False, pool_size=CLIENTS, deadline_seconds=10)
WITH_CACHE = Limits(pool_size=CLIENTS, deadline_seconds=10)


def documented() -> str:
    found = re.search(r"```ini\n(\[databases\].*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@contextmanager
def pgbouncer(configuration: str) -> Iterator[str]:
    """The address of a PgBouncer that knows the databases of the tests' server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("NO PGBOUNCER: nothing is tested behind it. Install it to test it.")
    folder, port = Path(tempfile.mkdtemp()), free_port()
    folder.chmod(0o777)
    server = f"host={_PARTS.hostname} port={_PARTS.port or 5432} user={getpass.getuser()}"
    for given, own in {
        "card_gateway = host=10.0.0.5 port=5432": f"* = {server}",
        "listen_port = 6432": f"listen_port = {port}\nunix_socket_dir =",
        "auth_type = scram-sha-256\nauth_file = /etc/pgbouncer/userlist.txt": "auth_type = any",
        "default_pool_size = 40": f"default_pool_size = {SERVER_CONNECTIONS}",
    }.items():
        assert given in configuration
        configuration = configuration.replace(given, own)
    (folder / "pgbouncer.ini").write_text(configuration)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*AS_SERVER, program, str(folder / "pgbouncer.ini")], cwd="/", stdout=log, stderr=log
        )
    try:
        _wait_until_listening(port, process, folder)
        yield f"postgresql://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PgBouncer did not start:\n{(folder / 'log').read_text()}")


@pytest.fixture(scope="module")
def bouncer(postgres_template: str) -> Iterator[str]:
    with pgbouncer(documented()) as url:
        yield url


@pytest.fixture
async def url(bouncer: str, postgres_database: str) -> str:
    await _put_back(postgres_database)
    return f"{bouncer}{urlsplit(postgres_database).path}"


async def traffic(database: Database) -> list[int | BaseException]:
    """Reads and jobs of many clients over few connections of the server, each with its number."""

    async def client(number: int) -> int:
        added = 0
        for turn in range(10):
            query = Query(text(f"SELECT CAST(:number AS integer) + {turn} AS sum"))

            async def job(transaction: Transaction, query: Query = query) -> list[int]:
                found = [await transaction.fetch_one(query, number=number) for _ in range(2)]
                return [row["sum"] for row in found if row is not None]

            row = await database.fetch_one(query, number=number)
            assert row is not None
            assert await database.write(job) == [row["sum"]] * 2 == [number + turn] * 2
            added += row["sum"]
        return added

    clients = (client(number) for number in range(CLIENTS))
    return await asyncio.gather(*clients, return_exceptions=True)


async def test_without_a_statement_cache_everything_works(url: str) -> None:
    database = await connect(url, WITHOUT_CACHE)

    found = await traffic(database)
    await database.close()

    assert found == [10 * number + 45 for number in range(CLIENTS)]


async def test_with_a_statement_cache_it_fails_and_the_log_says_why(url: str) -> None:
    """The control."""
    database = await connect(url, WITH_CACHE)

    with structlog.testing.capture_logs() as logged:
        found = await traffic(database)
    await database.close()

    assert any(isinstance(one, DatabaseUnavailable) for one in found)
    assert "database.pooler" in {line["event"] for line in logged}


async def test_limits_of_time_that_are_not_ignored_are_refused(postgres_database: str) -> None:
    """Why the documented configuration has that line."""
    configuration = documented()
    assert IGNORED in configuration
    with (
        pgbouncer(configuration.replace(IGNORED, "")) as address,
        pytest.raises(DatabaseUnavailable, match="unsupported startup parameter"),
    ):
        await connect(f"{address}{urlsplit(postgres_database).path}", WITHOUT_CACHE)


async def test_a_citizen_signs_in_looks_and_changes(url: str, tmp_path: Path) -> None:
    settings = settings_for(url, tmp_path, database_statement_cache=False, live_relay="none")
    async with running(settings) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            citizen = await World(http, app.state.application).enter("active")
            change = await citizen.do("changeContact", residentialPostalCode="610041")
            status = await citizen.status()

    assert (change["__typename"], status["__typename"]) == ("ContactChanged", "CardStatus")


async def test_migrations_pass_through_it(bouncer: str) -> None:
    name = f"card_gateway_bouncer_{uuid.uuid4().hex[:12]}"
    await _postgres(f"CREATE DATABASE {name}")
    try:
        await asyncio.to_thread(migrations.migrate, f"{bouncer}/{name}")
        found = (await migrations.state(f"{bouncer}/{name}")).revision
    finally:
        await _postgres(f"DROP DATABASE {name} WITH (FORCE)")

    assert found == migrations.HEAD
