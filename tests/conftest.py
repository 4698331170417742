"""Shared fixtures: the real application over ASGI, on SQLite and on PostgreSQL.

The sandbox answers the gateway's calls to platforms and partners, over the same transport.
The project's own code is never mocked; `time_machine` moves the clock of the whole process.
"""

import asyncio
import base64
import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import asdict
from pathlib import Path

import asyncpg
import httpx
import pytest
import structlog
import time_machine
from sqlalchemy import func, select
from starlette.applications import Starlette

from core import migrations
from core.audit.log import audit_entries_table
from core.db import Limits, Query, connect
from core.kernel.clock import Monotonic, monotonic_clock
from core.kernel.settings import Secret, Settings, variable
from core.migrations.tables import TABLES
from gateway.app import create_app
from gateway.resolvers.context import Application
from sandbox.settings import sandbox_settings
from tests import citus
from tests.front_end import FrontEnd, World

ADDRESS = "http://127.0.0.1:8000"
PARTITIONS = int(os.environ.get("TEST_POSTGRES_PARTITIONS", "16"))
"""Of the tables of persons: they prove the keys that splitting by person needs."""
POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgresql://127.0.0.1:5432")
PATIENT = Limits(deadline_seconds=20.0, acquire_seconds=20.0, statement_seconds=20.0)
_SEEDED_AT = Query(select(func.max(audit_entries_table.c.at).label("at")))
_KEY = base64.b64encode(b"k" * 32).decode()


def settings_for(database_url: str, folder: Path, **given: object) -> Settings:
    """Sandbox settings with fixed keys, so that a seeded database can be copied."""
    keys = {
        name: Secret(f"test:{_KEY}")
        for name in ("column_keys", "index_keys", "peppers", "audit_keys")
    }
    return sandbox_settings(
        Settings(
            database_url=database_url,
            objects_dir=folder / "objects",
            sandbox=True,
            public_url=ADDRESS,
            **(limits_as_settings(PATIENT) | keys | given),  # type: ignore[arg-type]
        )
    )


def limits_as_settings(limits: Limits) -> dict[str, object]:
    return {f"database_{name}": value for name, value in asdict(limits).items()}


class LateTransport(httpx.AsyncBaseTransport):
    """Sends the application's outgoing calls back into the application."""

    def __init__(self) -> None:
        self.app: Starlette | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self.app is not None
        return await httpx.ASGITransport(self.app).handle_async_request(request)


@contextlib.asynccontextmanager
async def running(
    settings: Settings, monotonic: Monotonic = monotonic_clock
) -> AsyncIterator[Starlette]:
    """The application between start and stop."""
    transport = LateTransport()
    app = transport.app = create_app(settings, monotonic=monotonic, transport=transport)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that compete for the processor are not about how long a database may take."""
    monkeypatch.setattr(connect, "__defaults__", (PATIENT,))
    for name, value in limits_as_settings(PATIENT).items():
        monkeypatch.setenv(variable(name), str(value))


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Restores logging, environment and umask, which commands change in the tests' process."""
    environment = dict(os.environ)
    umask = os.umask(0o022)
    os.umask(umask)
    root = logging.getLogger()
    level, handlers, config = root.level, root.handlers[:], structlog.get_config()
    yield
    os.umask(umask)
    root.setLevel(level)
    root.handlers[:] = handlers
    structlog.configure(**config)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


# --- what a test needs ---------------------------------------------------------------------


_SERVER_FIXTURES = {"live_server", "postgres_template", "postgres_url"}
_SERVER_PARAMETERS = {"postgres", "postgresql", "redis", "bucket"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make test-quick` leaves out; what starts a server by itself says so in its file."""
    for item in items:
        assert isinstance(item, pytest.Function)
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        names = {value for value in given if isinstance(value, str)}
        if names & _SERVER_PARAMETERS or _SERVER_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything that a test needs is installed: one that is skipped has failed."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"In CI no test is skipped. {report.longreprtext}"
    return report


# --- databases -----------------------------------------------------------------------------


async def _postgres(statement: str, url: str = f"{POSTGRES_URL}/postgres") -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _postgres_answers() -> bool:
    try:
        asyncio.run(_postgres("SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def _seed(settings: Settings) -> None:
    async with running(settings):
        pass


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated and seeded database file, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    url = f"sqlite:///{folder}/template.sqlite3"
    migrations.migrate(url)
    asyncio.run(_seed(settings_for(url, folder)))
    return folder / "template.sqlite3"


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated and seeded database, to be used as a template."""
    if not _postgres_answers():
        pytest.skip(_NO_POSTGRES)
    name = f"card_gateway_template_{uuid.uuid4().hex[:12]}"
    asyncio.run(_postgres(f"CREATE DATABASE {name}"))
    folder = tmp_path_factory.mktemp("template")
    url = f"{POSTGRES_URL}/{name}"
    migrations.migrate(url, PARTITIONS)
    asyncio.run(_seed(settings_for(url, folder)))
    yield name
    asyncio.run(_postgres(f"DROP DATABASE {name}"))


@pytest.fixture(scope="session")
def postgres_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One database per process, whose rows are restored before each test: a new one takes ten times as long."""
    if citus.URL:
        with citus.database() as url, pytest.MonkeyPatch.context() as patch:
            patch.setattr(connect, "__defaults__", (PATIENT,))
            asyncio.run(_seed(settings_for(url, tmp_path_factory.mktemp("citus"))))
            asyncio.run(_postgres(_KEEP_ROWS, url))
            yield url
        return
    template: str = request.getfixturevalue("postgres_template")
    name = f"card_gateway_test_{uuid.uuid4().hex[:12]}"
    asyncio.run(_postgres(f"CREATE DATABASE {name} TEMPLATE {template}"))
    asyncio.run(_postgres(_KEEP_ROWS, f"{POSTGRES_URL}/{name}"))
    yield f"{POSTGRES_URL}/{name}"
    asyncio.run(_postgres(f"DROP DATABASE {name} WITH (FORCE)"))


async def _put_back(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_END_OTHERS)
        for (table,) in await connection.fetch(_FOREIGN_TABLES):
            await connection.execute(f'DROP TABLE public."{table}" CASCADE')
        await connection.execute(_PUT_BACK)
    finally:
        await connection.close()


_NAMES = [table.name for table in TABLES]
_KEEP_ROWS = "CREATE SCHEMA kept; " + " ".join(
    f"CREATE TABLE kept.{name} AS TABLE public.{name};" for name in _NAMES
)
_PUT_BACK = "SET session_replication_role = replica; BEGIN; " + " ".join(
    [
        *(f"DELETE FROM {name};" for name in reversed(_NAMES)),
        *(f"INSERT INTO {name} TABLE kept.{name};" for name in _NAMES),
        "COMMIT;",
    ]
)
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_FOREIGN_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    " AND tablename <> 'alembic_version' AND tablename !~ '_p[0-9]+$' AND NOT EXISTS"
    " (SELECT FROM pg_tables AS kept WHERE kept.schemaname = 'kept' AND kept.tablename = pg_tables.tablename)"
)
_NO_POSTGRES = (
    f"NO POSTGRESQL AT {POSTGRES_URL}: only SQLite is tested. Set TEST_POSTGRES_URL to test both."
)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with the personas in it; every test that uses it runs on both engines."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "gateway.sqlite3")
        yield f"sqlite:///{tmp_path}/gateway.sqlite3"
        return
    url: str = request.getfixturevalue("postgres_database")
    asyncio.run(_put_back(url))
    yield url


# --- the application -----------------------------------------------------------------------


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_for(database_url, tmp_path)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    async with running(settings) as app:
        yield app


@pytest.fixture
def application(app: Starlette) -> Application:
    """The objects inside, for reading rows and counting statements."""
    found = app.state.application
    assert isinstance(found, Application)
    return found


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def world(http: httpx.AsyncClient, application: Application) -> World:
    """Personas' front-ends, the SMS inbox, the issuer's desk, and the rows behind them."""
    return World(http, application)


@pytest.fixture
async def since_seeding(application: Application) -> AsyncIterator[None]:
    """The moment at which the sandbox was seeded: entries that wait long for an anchor are tampering."""
    [row] = await application.database.fetch(_SEEDED_AT)
    with time_machine.travel(row["at"] / 1000, tick=True):
        yield


@pytest.fixture
async def active(world: World) -> FrontEnd:
    """The persona with an active card, signed in through UnionPay."""
    return await world.enter("active")
