"""What changes have written, so that every variant is seen to do the same work."""

import asyncio
from typing import NamedTuple

from sqlalchemy import BigInteger, cast, func, literal, select

from core.audit import audit_entries_table
from core.audit.access_log import LANES
from core.citizens import audit_heads_table
from core.db import Limits, Query, connect
from core.messaging import outbox_table, verification_codes_table
from core.migrations.tables import TABLES

_BY_THE_CLOCK = {"access_log", "audit_anchors", "audit_anchored_heads", "scheduled_jobs"}
"""Tables to which something is added at any moment."""
_COUNTED = {"audit_entries", "audit_heads", "outbox", "verification_codes"}
_SECONDS = 0.3


class Written(NamedTuple):
    """Audit entries, moves of their heads, messages, used codes, and rows of any other table."""

    entries: int
    moves: int
    messages: int
    used_codes: int
    others: int

    def since(self, before: "Written") -> "Written":
        return Written(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def changes(self) -> int | None:
        """How many changes have written this; None if no number of them can have."""
        same = self.entries == self.moves == self.messages == self.used_codes
        return self.entries if same and not self.others else None


_after_lanes = LANES[-1]
_others = sum(
    (
        select(func.count()).select_from(table).scalar_subquery()
        for table in TABLES
        if table.name not in _BY_THE_CLOCK | _COUNTED
    ),
    start=literal(0),
)
_WRITTEN = Query(
    select(
        select(func.count())
        .select_from(audit_entries_table)
        .where(audit_entries_table.c.subject_id > _after_lanes)
        .scalar_subquery()
        .label("entries"),
        select(cast(func.sum(audit_heads_table.c.version), BigInteger))
        .where(audit_heads_table.c.subject_id > _after_lanes)
        .scalar_subquery()
        .label("moves"),
        select(func.count()).select_from(outbox_table).scalar_subquery().label("messages"),
        select(func.count(verification_codes_table.c.consumed_at))
        .scalar_subquery()
        .label("used_codes"),
        _others.label("others"),
    )
)


def written(url: str) -> Written:
    """Once nothing more is being written."""
    return asyncio.run(_written(url))


async def _written(url: str) -> Written:
    database = await connect(url, Limits().patient())
    try:
        before = None
        while True:
            (row,) = await database.fetch(_WRITTEN)
            now = Written(*(row[name] for name in Written._fields))
            if now == before:
                return now
            before = now
            await asyncio.sleep(_SECONDS)
    finally:
        await database.close()
