"""Wake-ups within a process, between processes, and without a relay."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest

from core.citizens import sessions
from core.crypto import KeyRing, Suite, Vault
from core.db import Database, Writes, connect
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import HOUR, Instant
from core.kernel.confirmation import Confirmation
from core.live import Live, Watcher, live
from core.live.relay import PostgresRelay
from core.production import ProductionSnapshot, ProgressCursor
from tests.conftest import POSTGRES_URL, _postgres_answers

SOMEBODY = 4711
MAX_SECONDS = 0.5


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await connect(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll would find what a relay lost."""
    monkeypatch.setattr(live, "POLL_SECONDS", 3600)


@pytest.fixture
def relay() -> Callable[..., PostgresRelay]:
    """Makes a relay; with a port, one that reaches PostgreSQL through that port."""

    def make(port: int | None = None) -> PostgresRelay:
        return PostgresRelay(through(f"{POSTGRES_URL}/postgres", port))

    if not _postgres_answers():
        pytest.skip(f"NO POSTGRESQL AT {POSTGRES_URL}")
    return make


def through(url: str, port: int | None) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return url if port is None else parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl()


class Line:
    """A TCP connection to a server, which can be cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> int:
        self._listening = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return int(self._listening.sockets[0].getsockname()[1])

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self._listening.close()
        self.cut()
        await asyncio.sleep(0.05)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        self._writers += [writer, server_writer]
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def started(database: Database, relay: PostgresRelay | None) -> AsyncIterator[Live]:
    running = Live(database, clock, relay)
    running.start()
    try:
        yield running
    finally:
        await running.stop()


def clock() -> Instant:
    return time.time_ns() // 1_000_000


async def is_woken(watcher: Watcher, seconds: float = MAX_SECONDS) -> bool:
    try:
        return await asyncio.wait_for(watcher.changed(), seconds)
    except TimeoutError:
        return False


async def connected(one: Live, other: Live) -> None:
    """Until a wake-up goes through: the relays connect in the background."""
    with other.watch(1, 0) as probe:
        await probe.changed()
        for _ in range(100):
            one.publish(1)
            if await is_woken(probe, 0.05):
                return
    pytest.fail("the relays do not connect")


async def test_a_watcher_is_woken_by_what_is_theirs_alone(database: Database) -> None:
    async with started(database, None) as running:
        with running.watch(SOMEBODY, 1) as theirs, running.watch(SOMEBODY + 1, 2) as others:
            assert await is_woken(theirs)
            assert await is_woken(others)

            running.publish(SOMEBODY)

            assert await is_woken(theirs)
            assert not await is_woken(others, 0.05)
    assert running.watching == 0


async def test_a_session_that_watches_too_often_loses_its_oldest_watcher(
    database: Database,
) -> None:
    async with started(database, None) as running:
        with contextlib.ExitStack() as watched:
            watchers = [
                watched.enter_context(running.watch(SOMEBODY, 1))
                for _ in range(live.MAX_WATCHERS_PER_SESSION)
            ]
            of_another_session = watched.enter_context(running.watch(SOMEBODY, 2))
            watchers.append(watched.enter_context(running.watch(SOMEBODY, 1)))

            going_on = [await is_woken(watcher) for watcher in (*watchers, of_another_session)]

            assert going_on == [False] + [True] * (live.MAX_WATCHERS_PER_SESSION + 1)
            assert running.watching == live.MAX_WATCHERS_PER_SESSION + 1
    assert running.watching == 0


async def test_a_relay_wakes_watchers_of_another_process(
    database: Database, relay: Callable[..., PostgresRelay]
) -> None:
    async with started(database, relay()) as one, started(database, relay()) as other:
        await connected(one, other)
        with other.watch(SOMEBODY, 1) as watcher:
            await watcher.changed()
            waits = []
            for _ in range(20):
                begin = time.monotonic()
                one.publish(SOMEBODY)
                assert await is_woken(watcher)
                waits.append(time.monotonic() - begin)

    assert max(waits) < MAX_SECONDS


async def test_beside_a_relay_polling_finds_what_was_never_notified(
    database: Database, relay: Callable[..., PostgresRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.01)

    writes, ring = Writes(), KeyRing({"k": b"k" * 32})
    session = sessions.start(
        writes,
        Vault(Suite.INTERNATIONAL, ring, ring),
        clock(),
        channel=ChannelId.UNIONPAY,
        account_index=b"",
        account=b"",
        citizen_id=SOMEBODY,
        level=RealNameLevel.PLATFORM,
        lifetime=HOUR,
    )
    await database.apply(writes)
    session_id = session.id
    deaf = relay()
    async with started(database, deaf) as running:
        for _ in range(500):
            if deaf.connected:
                break
            await asyncio.sleep(0.01)
        assert deaf.connected
        with running.watch(SOMEBODY, session_id) as watcher:
            assert await is_woken(watcher)
            watcher.seen = ProductionSnapshot(
                ProgressCursor(1, 1), Confirmation.CONFIRMED, None, None
            )

            assert await is_woken(watcher, 5)


async def test_without_a_relay_nothing_crosses(database: Database) -> None:
    """The control of the test above: polling is off, so only a relay can have woken them."""
    async with started(database, None) as one, started(database, None) as other:
        with other.watch(SOMEBODY, 1) as watcher:
            await watcher.changed()
            one.publish(SOMEBODY)

            assert not await is_woken(watcher)


async def test_a_thousand_wake_ups_at_once_all_cross(
    database: Database, relay: Callable[..., PostgresRelay]
) -> None:
    async with started(database, relay()) as one, started(database, relay()) as other:
        await connected(one, other)
        with contextlib.ExitStack() as watched:
            watchers = [watched.enter_context(other.watch(2**60 + n, n)) for n in range(1000)]
            for watcher in watchers:
                await watcher.changed()
            for watcher in watchers:
                one.publish(watcher.citizen_id)

            woken = await asyncio.gather(*(is_woken(watcher, 5) for watcher in watchers))

    assert all(woken)


async def test_after_a_lost_connection_every_watcher_reads_again(
    database: Database, relay: Callable[..., PostgresRelay]
) -> None:
    line = Line(POSTGRES_URL)
    port = await line.open()
    async with started(database, relay()) as one, started(database, relay(port)) as other:
        await connected(one, other)
        with other.watch(SOMEBODY, 1) as watcher:
            await watcher.changed()

            line.cut()
            # Nobody published: it must read again, because a notification may have been lost.
            assert await is_woken(watcher, 5)

        await connected(one, other)
    await line.close()


async def test_a_relay_that_hears_nothing_is_not_connected(
    database: Database, relay: Callable[..., PostgresRelay], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PgBouncer in transaction mode accepts LISTEN and delivers nothing: polling must go on."""

    async def accept(*_: object) -> None:
        return None

    monkeypatch.setattr("asyncpg.Connection.add_listener", accept)
    deaf = relay()
    async with started(database, deaf):
        await asyncio.sleep(0.5)

        assert not deaf.connected


async def test_a_relay_that_hears_itself_is_connected(
    database: Database, relay: Callable[..., PostgresRelay]
) -> None:
    """The control of the test above."""
    hearing = relay()
    async with started(database, hearing):
        await asyncio.sleep(0.5)

        assert hearing.connected
