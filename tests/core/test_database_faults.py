"""While the database fails, citizens are told so at once, and nothing that they did or saw is lost."""

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest
import structlog

from core.audit import AccessLogWriter, writer
from core.db import DatabaseUnavailable, Limits, postgres_errors, sqlite
from tests import database_faults
from tests.database_faults import Fault, Rounds, faulty
from tests.services.parts import keep_pictures

READ_ONLY = ("read-only", "read-only after a failover")
HANGING = ("locked by another process", "frozen")


@pytest.mark.slow
async def test_refuses_cleanly_loses_nothing_and_recovers(
    database_url: str, tmp_path: Path
) -> None:
    async with faulty(database_url, tmp_path) as rounds:
        found = {name: await rounds.run(fault) for name, fault in rounds.faults.items()}

    assert {name: tally.wrong for name, tally in found.items() if tally.wrong} == {}
    assert all(tally.looks and tally.refused for tally in found.values()), found


async def test_an_error_that_only_a_list_would_know_is_not_a_clean_refusal(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with a list of what counts as unavailable, a failover is in none."""
    if database_url.startswith("sqlite"):
        return

    def by_a_list(error: Exception) -> Exception:
        listed = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)
        return DatabaseUnavailable(str(error)) if isinstance(error, listed) else error

    monkeypatch.setattr(postgres_errors, "translated", by_a_list)
    monkeypatch.setattr(database_faults, "RECOVERY_SECONDS", 0.1)
    monkeypatch.setattr(writer, "STOP_SECONDS", 0.1)

    # To print so many tracebacks would keep the event loop from the database's answers.
    with structlog.testing.capture_logs():
        async with faulty(database_url, tmp_path) as rounds:
            tally = await rounds.run(one_of(rounds, READ_ONLY), 2.0)

    assert "INTERNAL" in tally.wrong


async def test_what_a_forgetful_writer_drops_is_missed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the count: records that cannot be written do not wait."""
    flush = AccessLogWriter.flush

    async def flush_or_forget(self: AccessLogWriter) -> None:
        await flush(self)
        self._waiting.clear()

    monkeypatch.setattr(AccessLogWriter, "flush", flush_or_forget)

    async with faulty(database_url, tmp_path) as rounds:
        tally = await rounds.run(one_of(rounds, READ_ONLY), 1.0)

    assert any(wrong.endswith("looks lost") for wrong in tally.wrong)


@pytest.mark.slow
async def test_without_a_deadline_citizens_wait_as_long_as_the_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the deadline."""
    monkeypatch.setattr(sqlite, "_PRAGMAS", (*sqlite._PRAGMAS, "PRAGMA busy_timeout = 30000"))

    async with faulty(database_url, tmp_path, limits=Limits().patient()) as rounds:
        tally = await rounds.run(one_of(rounds, HANGING), 4.0)

    assert any(wrong.startswith("answered after") for wrong in tally.wrong)


async def test_what_cannot_be_recorded_for_seconds_is_not_shown(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "REFUSE_AFTER_SECONDS", 0.3)

    async with faulty(database_url, tmp_path) as rounds:
        citizen = rounds.citizens[0]
        async with one_of(rounds, READ_ONLY).lasting():
            await eventually(rounds, 503)
            first = await citizen.status()
            await asyncio.sleep(1.0)
            refused = await citizen.status()
            ready = await rounds.world.http.get("/readyz")
        await eventually(rounds, 200)
        again = await citizen.status()
        await rounds.world.application.access_log.flush()
        recorded = (await rounds.world.rows("access_log"))["access_log"]

    assert (first["__typename"], refused["code"]) == ("CardStatus", "TRY_AGAIN_LATER")
    assert (ready.status_code, ready.json()["accessLog"]) == (503, "behind")
    assert again["__typename"] == "CardStatus"
    assert [row.action for row in recorded] == ["CARD_STATUS"] * 2


async def test_at_its_end_the_process_waits_for_the_database(
    database_url: str, tmp_path: Path
) -> None:
    async with faulty(database_url, tmp_path) as rounds:
        access_log = rounds.world.application.access_log
        async with one_of(rounds, READ_ONLY).lasting():
            await eventually(rounds, 503)
            await rounds.citizens[0].status()
            stopping = asyncio.create_task(access_log.stop())
            await asyncio.sleep(0.7)
            waited = not stopping.done()
        await stopping
        recorded = (await rounds.world.rows("access_log"))["access_log"]

    assert waited
    assert [row.action for row in recorded] == ["CARD_STATUS"]


async def test_what_could_not_be_written_to_the_end_is_in_the_application_log(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STOP_SECONDS", 0.3)

    async with faulty(database_url, tmp_path) as rounds:
        access_log = rounds.world.application.access_log
        async with one_of(rounds, READ_ONLY).lasting():
            await eventually(rounds, 503)
            await rounds.citizens[0].status()
            with structlog.testing.capture_logs() as logged:
                await access_log.stop()

    unwritten = [line for line in logged if line["event"] == "audit.unwritten"]
    assert [(line["action"], line["result"], line["channel"]) for line in unwritten] == [
        ("CARD_STATUS", "DONE", "UNIONPAY")
    ]


async def test_a_picture_is_refused_cleanly_too(database_url: str, tmp_path: Path) -> None:
    """What is not GraphQL has no error in plain words by itself."""
    async with faulty(database_url, tmp_path) as rounds:
        if "rights revoked" not in rounds.faults:
            return
        applicant = await rounds.world.enter("no-card")
        await keep_pictures(rounds.world, applicant)
        form = await applicant.ask(
            "{ applicationForm { ... on ApplicationForm { portrait { url } } } }"
        )
        async with rounds.faults["rights revoked"].lasting():
            response = await rounds.world.http.get(form["portrait"]["url"])

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


def one_of(rounds: Rounds, names: tuple[str, ...]) -> Fault:
    return next(rounds.faults[name] for name in names if name in rounds.faults)


async def eventually(rounds: Rounds, status: int) -> None:
    async with asyncio.timeout(5):
        while (await rounds.world.http.get("/readyz")).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_who_waits_behind_a_change_is_refused_with_it(
    database_url: str, tmp_path: Path
) -> None:
    """Else several changes of one person would wait one after the other, each to its deadline."""
    change = "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename } }"
    async with faulty(database_url, tmp_path) as rounds:
        citizen, faults = rounds.citizens[0], rounds.faults
        hanging = faults.get("locked by another process") or faults["frozen"]

        async def ask(number: int) -> float:
            began = time.monotonic()
            await citizen.post(change, {"i": {"residentialPostalCode": f"61000{number}"}})
            return time.monotonic() - began

        async with hanging.lasting():
            took = await asyncio.gather(*(ask(number) for number in range(5)))

    assert max(took) < database_faults.ANSWER_SECONDS
