"""The unfinished application form of a citizen: stored for 30 days, shared by all channels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, bindparam, delete, select

from core.crypto import Vault
from core.db import Id, Query, Reader, Writes, metadata
from core.kernel.clock import DAY, Instant

RETENTION = 30 * DAY

application_drafts_table = Table(
    "application_drafts",
    metadata,
    Column(
        "subject_id", Id, ForeignKey("citizens.subject_id"), primary_key=True, autoincrement=False
    ),
    Column("form", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

_FIND = Query(
    select(application_drafts_table).where(
        application_drafts_table.c.subject_id == bindparam("subject_id"),
        application_drafts_table.c.updated_at > bindparam("since"),
    )
)
_SAVE = Query(
    lambda insert: (
        insert(application_drafts_table)
        .values(
            subject_id=bindparam("subject_id"), form=bindparam("form"), updated_at=bindparam("at")
        )
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={"form": bindparam("form"), "updated_at": bindparam("at")},
        )
    )
)
_DISCARD = Query(
    delete(application_drafts_table).where(
        application_drafts_table.c.subject_id == bindparam("subject_id")
    )
)
DISCARD_OLD = Query(
    delete(application_drafts_table).where(
        application_drafts_table.c.updated_at < bindparam("before")
    )
)


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields typed so far, by name."""

    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)


async def find(db: Reader, vault: Vault, citizen_id: int, now: Instant) -> Draft:
    row = await db.fetch_one(_FIND, subject_id=citizen_id, since=now - RETENTION)
    if row is None:
        return Draft()
    return Draft(json.loads(vault.open(bytes(row["form"]), "application_drafts.form", citizen_id)))


def save(
    writes: Writes, vault: Vault, citizen_id: int, fields: Mapping[str, Any], now: Instant
) -> None:
    form = json.dumps(fields, ensure_ascii=False)
    writes.add(
        _SAVE,
        subject_id=citizen_id,
        form=vault.seal(form, "application_drafts.form", citizen_id),
        at=now,
    )


def discard(writes: Writes, citizen_id: int) -> None:
    writes.add(_DISCARD, subject_id=citizen_id)
