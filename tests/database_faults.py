"""Faults of a database, and rounds of citizens who look and change while one of them lasts."""

import asyncio
import contextlib
import os
import random
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import httpx
from sqlalchemy import func, select

from core.audit import access_log_table, audit_entries_table
from core.db import Limits, Query
from core.db.sqlite import SqliteDatabase
from tests.conftest import ADDRESS, limits_as_settings, running, settings_for
from tests.front_end import REFUSAL, FrontEnd, World

_USUAL = Limits()
ANSWER_SECONDS = 3.0
"""In which a citizen is answered, whatever the database does."""
READY_SECONDS = 1.0
RECOVERY_SECONDS = 10.0


class Fault(NamedTuple):
    """`hangs`: the database gives no answer; `flickers`: between two failures it works."""

    lasting: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    hangs: bool = False
    flickers: bool = False

    @property
    def seconds(self) -> float:
        return 3.5 if self.hangs else 0.5


Faults: TypeAlias = dict[str, Fault]

_LOOKS_RECORDED = Query(
    select(func.count().label("count"))
    .select_from(access_log_table)
    .where(access_log_table.c.action == "CARD_STATUS", access_log_table.c.result == "DONE")
)
_CHANGES_RECORDED = Query(
    select(func.count().label("count"))
    .select_from(audit_entries_table)
    .where(audit_entries_table.c.action == "CHANGE_CONTACT")
)
_LOOK = f"{{ cardStatus {{ __typename {REFUSAL} }} }}"
_CHANGE = (
    f"mutation($i: ChangeContactInput!) {{ changeContact(input: $i) {{ __typename {REFUSAL} }} }}"
)


# --- PostgreSQL ----------------------------------------------------------------------------


class Wire:
    """A TCP proxy before PostgreSQL; while it is frozen, bytes wait in it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._lines: list[asyncio.Event] = []
        self._cut: tuple[bytes, ...] = ()
        self._delivered = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @contextlib.asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        self._thawed.clear()
        try:
            yield
        finally:
            self._thawed.set()

    def hang(self, count: int) -> None:
        """So many of the connections, the last ones, never give an answer again."""
        for line in self._lines[-count:]:
            line.clear()

    @contextlib.contextmanager
    def cutting(self, *parts: bytes, delivered: bool = True) -> Iterator[None]:
        """Ends each connection over which these come, after or before the server has them."""
        self._cut, self._delivered = parts, delivered
        try:
            yield
        finally:
            self._cut = ()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(*self._target)
        line = asyncio.Event()
        line.set()
        self._lines.append(line)
        ends = asyncio.Event()
        for source, target in ((reader, here), (there, writer)):
            is_asking = source is reader
            task = asyncio.create_task(self._pump(source, target, line, ends, is_asking))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        line: asyncio.Event,
        ends: asyncio.Event,
        is_asking: bool,
    ) -> None:
        try:
            while data := await source.read(65_536):
                await self._thawed.wait()
                await line.wait()
                if is_asking and self._cut and all(part in data for part in self._cut):
                    ends.set()
                if ends.is_set() and not (is_asking and self._delivered):
                    break
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


class PostgresFaults:
    """The application connects as `role`, which faults may limit, through `wire`."""

    def __init__(self, url: str, role: str) -> None:
        self._url, self._role = url, role
        parts = urlsplit(url)
        self._name = parts.path.strip("/")
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._wire = Wire(self._host, self._port)

    async def open(self) -> str:
        """The URL for the application."""
        await self._admin(
            f"CREATE ROLE {self._role} LOGIN",
            f"GRANT USAGE ON SCHEMA public TO {self._role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {self._role}",
        )
        return f"postgresql://{self._role}@127.0.0.1:{await self._wire.open()}/{self._name}"

    async def close(self) -> None:
        await self._wire.close()
        await self._admin(f"DROP OWNED BY {self._role}", f"DROP ROLE {self._role}")

    def all(self) -> Faults:
        states = {
            "disk full": "53100",
            "I/O error": "58030",
            "corrupt": "XX001",
            "unknown error": random.choice(["ZZ999", "0A0Z9", "P0001", "26000", "57P05"]),
        }
        return {
            "read-only after a failover": Fault(self._read_only),
            "connections terminated": Fault(self._terminated, flickers=True),
            "no new connections": Fault(self._closed),
            "connection slots exhausted": Fault(self._no_slots),
            "frozen": Fault(self._wire.frozen, hangs=True),
            "tables locked": Fault(self._locked, hangs=True),
            "rights revoked": Fault(self._revoked),
            **{name: self._raising(state) for name, state in states.items()},
        }

    @contextlib.asynccontextmanager
    async def _read_only(self) -> AsyncIterator[None]:
        await self._admin(
            f"ALTER DATABASE {self._name} SET default_transaction_read_only = on", self._end_all
        )
        try:
            yield
        finally:
            await self._admin(
                "SET default_transaction_read_only = off",
                f"ALTER DATABASE {self._name} RESET default_transaction_read_only",
            )

    @contextlib.asynccontextmanager
    async def _terminated(self) -> AsyncIterator[None]:
        async def again_and_again() -> None:
            while True:
                await self._admin(self._end_all)
                await asyncio.sleep(0.005)

        task = asyncio.create_task(again_and_again())
        try:
            yield
        finally:
            task.cancel()

    @contextlib.asynccontextmanager
    async def _closed(self) -> AsyncIterator[None]:
        await self._admin(
            f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false",
            self._end_all,
            database="postgres",
        )
        try:
            yield
        finally:
            await self._admin(
                f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true", database="postgres"
            )

    @contextlib.asynccontextmanager
    async def _no_slots(self) -> AsyncIterator[None]:
        await self._admin(f"ALTER ROLE {self._role} CONNECTION LIMIT 0", self._end_all)
        try:
            yield
        finally:
            await self._admin(f"ALTER ROLE {self._role} CONNECTION LIMIT -1")

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        connection = await self._connect()
        try:
            await _execute(
                connection,
                "BEGIN; LOCK TABLE write_probes, audit_entries, audit_heads IN ACCESS EXCLUSIVE MODE",
            )
            yield
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def _revoked(self) -> AsyncIterator[None]:
        await self._admin(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {self._role}")
        try:
            yield
        finally:
            await self._admin(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {self._role}")

    def _raising(self, state: str) -> Fault:
        @contextlib.asynccontextmanager
        async def raising() -> AsyncIterator[None]:
            tables = ("write_probes", "audit_entries", "audit_heads", "access_log", "citizens")
            await self._admin(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END $$",
                *(
                    f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON {table}"
                    " FOR EACH STATEMENT EXECUTE FUNCTION fail()"
                    for table in tables
                ),
            )
            try:
                yield
            finally:
                await self._admin("DROP FUNCTION fail CASCADE")

        return Fault(raising)

    @property
    def _end_all(self) -> str:
        return (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE usename = '{self._role}' AND pid <> pg_backend_pid()"
        )

    async def _admin(self, *statements: str, database: str = "") -> None:
        connection = await self._connect(database)
        try:
            for statement in statements:
                await _execute(connection, statement)
        finally:
            await connection.close()

    async def _connect(self, database: str = "") -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(
            host=self._host, port=self._port, database=database or self._name
        )


async def _execute(connection: "asyncpg.Connection[Any]", statements: str) -> None:
    """Once more after a deadlock with those whom the fault is to meet."""
    while True:
        try:
            await connection.execute(statements)
        except asyncpg.DeadlockDetectedError:
            await connection.execute("ROLLBACK")
        else:
            return


# --- SQLite --------------------------------------------------------------------------------


class SqliteFaults:
    """Faults of the file, and of the connection that writes it."""

    def __init__(self, path: str, database: SqliteDatabase) -> None:
        self._path, self._database = path, database

    def all(self) -> Faults:
        return {
            "locked by another process": Fault(self._locked, hangs=True),
            "read-only": Fault(self._read_only),
            "I/O error": Fault(self._io_error),
            "an error in no list": Fault(self._denied),
            "interrupted": Fault(self._interrupted),
        }

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        other = sqlite3.connect(
            self._path, isolation_level=None, timeout=10, check_same_thread=False
        )
        try:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            yield
        finally:
            other.close()

    @contextlib.asynccontextmanager
    async def _read_only(self) -> AsyncIterator[None]:
        await self._pragma("query_only = ON")
        try:
            yield
        finally:
            await self._pragma("query_only = OFF")

    @contextlib.asynccontextmanager
    async def _io_error(self) -> AsyncIterator[None]:
        """The kernel refuses every write to the log file (EBADF)."""
        self._reopen_log(os.O_RDONLY)
        try:
            yield
        finally:
            self._reopen_log(os.O_RDWR)

    @contextlib.asynccontextmanager
    async def _denied(self) -> AsyncIterator[None]:
        """SQLITE_AUTH, which the driver raises as a plain `DatabaseError`."""
        await self._authorize(lambda *_: sqlite3.SQLITE_DENY)
        try:
            yield
        finally:
            await self._authorize(None)

    @contextlib.asynccontextmanager
    async def _interrupted(self) -> AsyncIterator[None]:
        writer = self._database._writer
        await writer.set_progress_handler(lambda: 1, 1)
        try:
            yield
        finally:
            await writer.set_progress_handler(lambda: 0, 0)

    async def _authorize(self, rule: Callable[..., int] | None) -> None:
        writer: Any = self._database._writer
        await writer._execute(writer._conn.set_authorizer, rule)

    async def _pragma(self, pragma: str) -> None:
        await self._database._writer.execute_fetchall(f"PRAGMA {pragma}")

    def _reopen_log(self, flags: int) -> None:
        log = f"{self._path}-wal"
        opened = os.open(log, flags)
        for descriptor in _descriptors_of(log):
            if descriptor != opened:
                os.dup2(opened, descriptor)
        os.close(opened)


def _descriptors_of(path: str) -> Iterator[int]:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == path:
                yield int(name)


# --- a round -------------------------------------------------------------------------------


@dataclass
class Tally:
    """What citizens were answered, and what went wrong."""

    looks: int = 0
    changes: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    unready_after: float = 0.0
    recovered_after: float = 0.0

    def __iadd__(self, other: "Tally") -> "Tally":
        self.looks += other.looks
        self.changes += other.changes
        self.refused += other.refused
        self.wrong += other.wrong
        self.slowest = max(self.slowest, other.slowest)
        self.unready_after = max(self.unready_after, other.unready_after)
        self.recovered_after = max(self.recovered_after, other.recovered_after)
        return self


class Rounds:
    """Citizens who look and change, before, during and after a fault."""

    def __init__(self, world: World, citizens: list[FrontEnd], kinds: Callable[[], Faults]) -> None:
        self.world, self.citizens, self._kinds = world, citizens, kinds
        self._postal_code = 610_000

    @property
    def faults(self) -> Faults:
        return self._kinds()

    async def run(self, fault: Fault, seconds: float = 0) -> Tally:
        """One round; `wrong` is empty if nothing was lost, slow or answered in another way."""
        tally, before = Tally(), await self._recorded()
        done = asyncio.Event()
        async with asyncio.TaskGroup() as citizens:
            for one in self.citizens:
                citizens.create_task(self._ask(one, tally, done))
            await asyncio.sleep(0.05)
            async with fault.lasting():
                began = time.monotonic()
                if not fault.flickers:
                    tally.unready_after = await self._until_ready(503, READY_SECONDS)
                end = began + (seconds or fault.seconds)
                await asyncio.sleep(max(0.0, end - time.monotonic()))
            tally.recovered_after = await self._until_ready(200, RECOVERY_SECONDS)
            done.set()
        await self.world.application.access_log.flush()
        after = await self._recorded()
        lost_looks = tally.looks - (after[0] - before[0])
        lost_changes = tally.changes - (after[1] - before[1])
        if lost_looks > 0:
            tally.wrong.append(f"{lost_looks} looks lost")
        if lost_changes > 0:
            tally.wrong.append(f"{lost_changes} changes lost")
        if tally.unready_after > READY_SECONDS:
            tally.wrong.append(f"/readyz says so after {tally.unready_after:.1f} s")
        if tally.recovered_after > RECOVERY_SECONDS:
            tally.wrong.append("does not recover")
        return tally

    async def _ask(self, citizen: FrontEnd, tally: Tally, done: asyncio.Event) -> None:
        while not done.is_set():
            is_look = random.random() < 0.7
            self._postal_code += 1
            given = {"i": {"residentialPostalCode": str(self._postal_code % 1_000_000)}}
            began = time.monotonic()
            response = await citizen.post(*((_LOOK,) if is_look else (_CHANGE, given)))
            tally.slowest = max(tally.slowest, seconds := time.monotonic() - began)
            if seconds > ANSWER_SECONDS:
                tally.wrong.append(f"answered after {seconds:.1f} s")
            outcome = _outcome(response)
            if outcome == "CardStatus":
                tally.looks += 1
            elif outcome == "ContactChanged":
                tally.changes += 1
            elif outcome == "TRY_AGAIN_LATER" or (outcome == "OUTCOME_UNKNOWN" and not is_look):
                tally.refused += 1
            else:
                tally.wrong.append(outcome)
            await asyncio.sleep(0.02)

    async def _until_ready(self, status: int, patience: float) -> float:
        began = time.monotonic()
        while (await self.world.http.get("/readyz")).status_code != status:
            if time.monotonic() - began > patience:
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _recorded(self) -> tuple[int, int]:
        fetch_one = self.world.application.database.fetch_one
        looks, changes = await fetch_one(_LOOKS_RECORDED), await fetch_one(_CHANGES_RECORDED)
        assert looks is not None
        assert changes is not None
        return int(looks["count"]), int(changes["count"])


def _outcome(response: httpx.Response) -> str:
    """The type of the answer, the code of a clean refusal, or what else it was."""
    if response.status_code == 503 and "retry-after" in response.headers:
        return "TRY_AGAIN_LATER"
    try:
        body = response.json()
    except ValueError:
        return f"{response.status_code} in plain text"
    if body.get("errors"):
        return str(body["errors"][0]["extensions"]["code"])
    answer = next(iter(body["data"].values()))
    return str(answer.get("code") or answer["__typename"])


@contextlib.asynccontextmanager
async def faulty(
    url: str, folder: Path, citizens: int = 3, limits: Limits = _USUAL
) -> AsyncIterator[Rounds]:
    """The application on a seeded database, citizens in it, and the faults of its engine."""
    budgets = dict.fromkeys(("session_budget", "address_budget", "total_budget"), 10**9)
    given = budgets | limits_as_settings(limits)
    async with contextlib.AsyncExitStack() as stack:
        of_postgres = None
        if url.startswith("postgresql"):
            of_postgres = PostgresFaults(url, f"card_gateway_{secrets.token_hex(4)}")
            url = await of_postgres.open()
            stack.push_async_callback(of_postgres.close)
        app = await stack.enter_async_context(running(settings_for(url, folder, **given)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=ADDRESS)
        )
        world = World(http, app.state.application)
        people = [await world.enter(persona) for persona in ("active", "lost", "locked")]
        database = world.application.database
        if of_postgres is None:
            assert isinstance(database, SqliteDatabase)
            kinds = SqliteFaults(url.removeprefix("sqlite:///"), database).all
        else:
            kinds = of_postgres.all
        yield Rounds(world, [people[number % 3] for number in range(citizens)], kinds)
