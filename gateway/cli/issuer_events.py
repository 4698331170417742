"""`card-gateway issuer-events`: loads a file of events; lists and repairs unprocessed ones."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from core.audit import operators
from core.issuer import IssuerEvent, Outcome, event_store
from core.kernel.clock import Instant
from core.kernel.settings import SettingsError
from gateway.cli.common import (
    OPERATOR,
    SANDBOX,
    change,
    china_time,
    operator_named,
    with_application,
)
from gateway.resolvers.context import Application

issuer_events = typer.Typer(no_args_is_help=True, help="What the card issuer reported.")

_ID = typer.Argument(metavar="ID", help="As `issuer-events list` shows it.")
_BATCH = 1_000


@dataclass(slots=True)
class _Loaded:
    offset: int = 0
    line: int = 0
    bad: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)


@issuer_events.command()
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="UTF-8, one JSON event a line.")],
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Loads a file of events in the format of the HTTP endpoint, without signatures.

    Every bad line is reported and skipped; the exit code is then 1. An interrupted run resumes
    (FILE.progress); an event that was received before has no effect. The operator
    stands in the audit log.
    """
    name = operator_named(operator)
    journal = file.with_name(file.name + ".progress")

    async def work(application: Application) -> _Loaded:
        await operators.record_command(
            application.database,
            application.dependencies.seals,
            application.clock(),
            "issuer-events load",
            name,
        )
        return await _load(application, file, journal)

    try:
        size = file.stat().st_size
        loaded = with_application(work, sandbox)
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    if loaded.offset >= size:
        journal.unlink(missing_ok=True)
    counts = ", ".join(f"{count:,} {outcome.value}" for outcome, count in loaded.outcomes.items())
    print(f"{loaded.line:,} lines read: {counts or 'nothing new'}; {loaded.bad:,} bad lines.")
    if loaded.bad:
        raise SystemExit(1)


async def _load(application: Application, file: Path, journal: Path) -> _Loaded:
    from gateway.http.endpoints import UnreadableEvent, apply_all, read_events

    loaded = _position(journal)
    for offset, lines in _batches(file, loaded.offset):
        events: list[IssuerEvent] = []
        for text in lines:
            loaded.line += 1
            if not text.strip():
                continue
            try:
                events += read_events(text)
            except UnreadableEvent as error:
                loaded.bad += 1
                print(f"line {loaded.line}: {error}", file=sys.stderr)
        for outcome in await apply_all(application, events):
            loaded.outcomes[outcome] = loaded.outcomes.get(outcome, 0) + 1
        loaded.offset = offset
        _record(journal, loaded)
    return loaded


def _position(journal: Path) -> _Loaded:
    """The progress of an interrupted run; its unrecorded batch is loaded again."""
    with suppress(FileNotFoundError, ValueError):
        offset, line, bad = (int(part) for part in journal.read_text().split())
        return _Loaded(offset, line, bad)
    return _Loaded()


def _record(journal: Path, loaded: _Loaded) -> None:
    journal.write_text(f"{loaded.offset} {loaded.line} {loaded.bad}")


def _batches(file: Path, offset: int) -> Iterator[tuple[int, list[bytes]]]:
    """Batches of lines, each with the offset of the next line."""
    with file.open("rb") as source:
        source.seek(offset)
        while lines := [line for _, line in zip(range(_BATCH), source, strict=False)]:
            offset += sum(map(len, lines))
            yield offset, lines


@issuer_events.command("list")
def list_events(
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Lists unprocessed events, oldest first.

    WAITING: early, the preceding node is not done. CONTRADICTION: inconsistent with other
    events. UNKNOWN_SUBJECT: there is no such order or card.
    """

    async def work(application: Application) -> list[tuple[str, str, str, Instant, Instant]]:
        return [
            (row["id"], row["type"], row["outcome"], row["at"] or 0, row["received_at"])
            for row in await event_store.open_events(application.database, most)
        ]

    found = with_application(work, sandbox)
    print(f"{'ID':<34}{'TYPE':<16}{'OUTCOME':<17}{'HAPPENED':<20}RECEIVED")
    for id_, kind, outcome, at, received_at in found:
        print(f"{id_:<34}{kind:<16}{outcome:<17}{china_time(at):<20}{china_time(received_at)}")
    print(f"{len(found)} shown.")


@issuer_events.command()
def retry(
    event_id: Annotated[str, _ID],
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Processes an event again, as if it had just been received."""
    from core.services.issuer_events import retry_issuer_event

    name = operator_named(operator)

    async def work(application: Application) -> Outcome | None:
        return await change(application, lambda unit: retry_issuer_event(unit, event_id, name))

    outcome = with_application(work, sandbox)
    if outcome is None:
        _none(event_id)
    print(outcome.value)


@issuer_events.command()
def drop(
    event_id: Annotated[str, _ID],
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Deletes an unprocessed event; it is new if the issuer sends it again."""

    from core.services.issuer_events import drop_issuer_event

    name = operator_named(operator)

    async def work(application: Application) -> bool:
        return await change(application, lambda unit: drop_issuer_event(unit, event_id, name))

    if not with_application(work, sandbox):
        _none(event_id)
    print("Dropped.")


def _none(event_id: str) -> NoReturn:
    print(f"No unprocessed event has the id {event_id}.")
    raise SystemExit(1)
