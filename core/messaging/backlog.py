"""Who has a due message: what the worker finds by itself, without having been woken.

These are messages that were postponed, that a dead process left, or that a process without a worker
wrote. They are read without a lock, page after page and then from the start again: messages that
wait for an earlier one of the same subject may fill pages, but hide no others for ever.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, literal_column, select, tuple_, union_all

from core.db import Query, Reader, Row, fetch_in, in_batch
from core.kernel.clock import Instant
from core.messaging.outbox import (
    MessageKind,
    is_unclaimed,
    is_waiting,
    is_waiting_of_subject,
    latest_due,
    lease_limits,
    outbox_table,
)

PAGE = 500
"""Messages in a page, for each kind."""
MAX_PAGES = 4
"""Read by one call of `find`."""
MAX_SUBJECTS = 64
"""Found by one call of `find`, for each kind."""

_NOTHING, _LATEST = -1, 2**63 - 1
_KEY = ("due_at", "subject_id", "id")
_key = tuple_(*(outbox_table.c[name] for name in _KEY))


@dataclass(slots=True)
class _Span:
    """A kind's messages that are due; or planned so late that a clock was set back since."""

    kind: MessageKind
    is_too_late: bool
    after: tuple[int, ...] | None = None
    """The key of the last message read; None at the start."""

    @property
    def name(self) -> str:
        return f"{self.kind.value}_{'too_late' if self.is_too_late else 'due'}"

    def statement(self) -> Select[Any]:
        """A page of unclaimed messages, those that wait for an earlier one included."""
        after = tuple_(*(bindparam(f"{self.name}_{name}", type_=BigInteger) for name in _KEY))
        page = (
            select(literal_column(f"'{self.name}'").label("span"), *_key.clauses)
            .where(is_waiting, outbox_table.c.kind == literal_column(f"'{self.kind.value}'"))
            .where(_key > after, outbox_table.c.due_at <= bindparam(f"{self.name}_until"))
            .where(is_unclaimed)
            .order_by(*_key.clauses)
            .limit(literal_column(str(PAGE)))
        )
        return select(page.subquery())

    def parameters(self, now: Instant, wanted: bool) -> dict[str, int]:
        since, until = (latest_due(now), _LATEST) if self.is_too_late else (_NOTHING, now)
        after = self.after or (since, _LATEST, _LATEST)
        names = (f"{self.name}_{name}" for name in (*_KEY, "until"))
        return dict(zip(names, (*after, until if wanted else _NOTHING), strict=True))

    def turn(self, page: Sequence[Row]) -> bool:
        """Goes on after this page. False if it was the last one: the next is the first again."""
        is_full = len(page) == PAGE
        self.after = max(tuple(row[name] for name in _KEY) for row in page) if is_full else None
        return is_full


def _spans() -> list[_Span]:
    return [_Span(kind, is_too_late) for kind in MessageKind for is_too_late in (False, True)]


_PAGES = Query(union_all(*(span.statement() for span in _spans())))
_WAITING = Query(
    select(outbox_table.c.subject_id, outbox_table.c.kind, outbox_table.c.id).where(
        in_batch(outbox_table.c.subject_id), is_waiting_of_subject
    )
)


@dataclass(slots=True)
class Found:
    """Subjects whose first message of a kind is due, in random order, so that several workers seldom
    claim the same ones. `are_all`: no others follow."""

    subjects: list[int] = field(default_factory=list)
    are_all: bool = True


class Backlog:
    """Knows how far it has read."""

    def __init__(self) -> None:
        self._spans = _spans()

    async def find(
        self, db: Reader, now: Instant, kinds: Collection[MessageKind]
    ) -> dict[MessageKind, Found]:
        """For each kind, reads on until it finds anybody, comes to the end, or has read `MAX_PAGES`."""
        found = {kind: Found() for kind in kinds}
        unread = [span for span in self._spans if span.kind in found]
        for _ in range(MAX_PAGES):
            unread = await self._read(db, now, unread, found)
            if not unread:
                break
        for span in unread:
            found[span.kind].are_all = False
        return found

    async def _read(
        self, db: Reader, now: Instant, spans: list[_Span], found: dict[MessageKind, Found]
    ) -> list[_Span]:
        """Reads a page of each span; returns the spans to go on with."""
        names = {span.name for span in spans}
        parameters: dict[str, int] = {}
        for span in self._spans:
            parameters |= span.parameters(now, span.name in names)
        rows = await db.fetch(_PAGES, **parameters, **lease_limits(now))
        firsts = await _firsts(db, rows)
        pages: dict[str, list[Row]] = {name: [] for name in names}
        for row in rows:
            pages[row["span"]].append(row)
        unread = []
        for span in spans:
            page = pages[span.name]
            free = [row["subject_id"] for row in page if (row["subject_id"], row["id"]) in firsts]
            some = random.sample(free, min(len(free), MAX_SUBJECTS))
            found[span.kind].subjects += some
            has_more = len(some) < len(free) or span.turn(page)
            found[span.kind].are_all &= not (has_more and free)
            if has_more and not free:
                unread.append(span)
        return unread


async def _firsts(db: Reader, page: Sequence[Row]) -> set[tuple[int, int]]:
    """Subject and id of each first waiting message of its kind, of the subjects in the page."""
    firsts: dict[tuple[int, str], int] = {}
    for row in await fetch_in(db, _WAITING, {row["subject_id"] for row in page}):
        kind = (row["subject_id"], row["kind"])
        firsts[kind] = min(firsts.get(kind, row["id"]), row["id"])
    return {(subject_id, message_id) for (subject_id, _), message_id in firsts.items()}
