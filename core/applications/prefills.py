"""Values read from a citizen's ID documents, offered in the form and stored as long as the draft.

They are separate from the draft and never overwrite what the citizen types.
"""

import msgspec
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, bindparam, delete, select

from core.applications.drafts import RETENTION
from core.crypto import Vault
from core.db import Id, Query, Reader, Writes, metadata
from core.imaging import ReadField, Side
from core.kernel.clock import Instant

prefills_table = Table(
    "prefills",
    metadata,
    Column(
        "subject_id", Id, ForeignKey("citizens.subject_id"), primary_key=True, autoincrement=False
    ),
    Column("fields", LargeBinary, nullable=False),
    Column("read_at", BigInteger, nullable=False),
)

_FIND = Query(
    select(prefills_table).where(
        prefills_table.c.subject_id == bindparam("subject_id"),
        prefills_table.c.read_at > bindparam("since"),
    )
)
_SAVE = Query(
    lambda insert: (
        insert(prefills_table)
        .values(
            subject_id=bindparam("subject_id"), fields=bindparam("fields"), read_at=bindparam("at")
        )
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={"fields": bindparam("fields"), "read_at": bindparam("at")},
        )
    )
)
_DISCARD = Query(
    delete(prefills_table).where(prefills_table.c.subject_id == bindparam("subject_id"))
)
DISCARD_OLD = Query(delete(prefills_table).where(prefills_table.c.read_at < bindparam("before")))

_BySide = dict[Side, list[ReadField]]


async def find(db: Reader, vault: Vault, citizen_id: int, now: Instant) -> dict[str, ReadField]:
    """The fields of both sides by name."""
    stored = await _find(db, vault, citizen_id, now)
    return {entry.name: entry for side in stored.values() for entry in side}


async def save(
    db: Reader,
    writes: Writes,
    vault: Vault,
    citizen_id: int,
    side: Side,
    read: tuple[ReadField, ...],
    now: Instant,
) -> None:
    """Replaces the values from an earlier picture of the same side."""
    stored = await _find(db, vault, citizen_id, now) | {side: list(read)}
    if not any(stored.values()):
        discard(writes, citizen_id)
        return
    sealed = vault.seal(msgspec.json.encode(stored), "prefills.fields", citizen_id)
    writes.add(_SAVE, subject_id=citizen_id, fields=sealed, at=now)


def discard(writes: Writes, citizen_id: int) -> None:
    writes.add(_DISCARD, subject_id=citizen_id)


async def _find(db: Reader, vault: Vault, citizen_id: int, now: Instant) -> _BySide:
    row = await db.fetch_one(_FIND, subject_id=citizen_id, since=now - RETENTION)
    if row is None:
        return {}
    opened = vault.open_bytes(bytes(row["fields"]), "prefills.fields", citizen_id)
    return msgspec.json.decode(opened, type=_BySide)
