"""The audit log: who did what, when and through which channel, in a keyed chain per person.

Each entry's mark covers its content and the mark before it, and each person's head keeps
the last number and mark: an entry that is changed, removed, reordered or cut off breaks
the chain. Persons never wait for each other. No personal data stands in an entry.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    select,
)

from core.callers import Caller
from core.database import Id, Query, Reader, insert_into, metadata
from core.seals import Seals
from core.unit import Unit

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("person", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("result", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("session_id", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Column("mark", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("person", Id, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("mark", LargeBinary, nullable=False),
)


class Action(StrEnum):
    SIGN_IN = "SIGN_IN"
    SIGN_OUT = "SIGN_OUT"
    END_SESSION = "END_SESSION"
    BIND_CARD = "BIND_CARD"
    UNBOUND = "UNBOUND"
    SEND_CODE = "SEND_CODE"
    REQUEST_UPLOAD = "REQUEST_UPLOAD"
    UPLOAD_PORTRAIT = "UPLOAD_PORTRAIT"
    CONFIRM_PORTRAIT = "CONFIRM_PORTRAIT"
    UPLOAD_ID_DOCUMENT = "UPLOAD_ID_DOCUMENT"
    CONFIRM_ID_DOCUMENTS = "CONFIRM_ID_DOCUMENTS"
    SAVE_DRAFT = "SAVE_DRAFT"
    APPLY_CARD = "APPLY_CARD"
    ACTIVATE_CARD = "ACTIVATE_CARD"
    REPORT_LOSS = "REPORT_LOSS"
    CANCEL_LOSS = "CANCEL_LOSS"
    CHANGE_PASSWORD = "CHANGE_PASSWORD"  # noqa: S105 - the name of an action
    CHANGE_PHONE = "CHANGE_PHONE"
    CHANGE_CONTACT = "CHANGE_CONTACT"
    TRANSFER_IN = "TRANSFER_IN"
    REISSUE_CARD = "REISSUE_CARD"
    ISSUER_EVENT = "ISSUER_EVENT"
    CARD_ISSUED = "CARD_ISSUED"
    CARD_CANCELLED = "CARD_CANCELLED"
    IMPORTED = "IMPORTED"


DONE = "DONE"
ISSUER = "ISSUER"
OPERATOR = "OPERATOR"

_HEAD = Query(
    select(audit_heads).where(audit_heads.c.person == bindparam("person")).with_for_update()
)
_INSERT = insert_into(audit_entries)
_MOVE_HEAD = Query(
    lambda insert: (
        insert(audit_heads)
        .values(person=bindparam("person"), number=bindparam("number"), mark=bindparam("mark"))
        .on_conflict_do_update(
            index_elements=["person"],
            set_={"number": bindparam("number"), "mark": bindparam("mark")},
        )
    )
)
_HEADS_AFTER = Query(
    select(audit_heads)
    .where(audit_heads.c.person > bindparam("after"))
    .order_by(audit_heads.c.person)
    .limit(500)
)
_CHAIN = Query(
    select(audit_entries)
    .where(audit_entries.c.person == bindparam("person"))
    .order_by(audit_entries.c.number)
)
_HEADLESS = Query(
    select(audit_entries.c.person)
    .where(
        ~select(audit_heads.c.person).where(audit_heads.c.person == audit_entries.c.person).exists()
    )
    .distinct()
)


async def record(
    unit: Unit, person: int, action: Action, result: str = DONE, **details: str | int
) -> None:
    """Adds an entry to a person's chain (a citizen's id, or a session's while nobody is known)."""
    head = await unit.db.fetch_one(_HEAD, person=person)
    number, before = (head["number"] + 1, bytes(head["mark"])) if head else (1, b"")
    channel, session_id = _origin(unit.caller)
    text = json.dumps(details, ensure_ascii=False, sort_keys=True)
    mark = unit.tools.seals.audit(
        person, number, unit.now, action, result, channel, session_id, text, before.hex()
    )
    await unit.db.fetch(
        _INSERT,
        person=person,
        number=number,
        at=unit.now,
        action=action.value,
        result=result,
        channel=channel,
        session_id=session_id,
        details=text,
        mark=mark,
    )
    await unit.db.fetch(_MOVE_HEAD, person=person, number=number, mark=mark)


def _origin(caller: Caller | None) -> tuple[str, int]:
    return (ISSUER, 0) if caller is None else (caller.channel.value, caller.session_id)


@dataclass(frozen=True, slots=True)
class BrokenChain:
    person: int
    number: int
    what: str


async def verify(db: Reader, seals: Seals) -> AsyncIterator[BrokenChain | int]:
    """Yields every break found, and after each batch of persons the count read so far."""
    after, read = -1, 0
    while heads := await db.fetch(_HEADS_AFTER, after=after):
        for head in heads:
            broken = await _verify_chain(
                db, seals, head["person"], head["number"], bytes(head["mark"])
            )
            if broken is not None:
                yield broken
        after, read = heads[-1]["person"], read + len(heads)
        yield read
    for row in await db.fetch(_HEADLESS):
        yield BrokenChain(row["person"], 0, "the chain has no head")


async def _verify_chain(
    db: Reader, seals: Seals, person: int, last: int, head_mark: bytes
) -> BrokenChain | None:
    before, expected = b"", 0
    for row in await db.fetch(_CHAIN, person=person):
        expected += 1
        if row["number"] != expected:
            return BrokenChain(person, expected, "an entry is missing")
        intact = seals.matches_audit(
            bytes(row["mark"]),
            person,
            row["number"],
            row["at"],
            row["action"],
            row["result"],
            row["channel"],
            row["session_id"],
            row["details"],
            before.hex(),
        )
        if not intact:
            return BrokenChain(person, expected, "an entry was changed")
        before = bytes(row["mark"])
    if expected != last or before != head_mark:
        return BrokenChain(person, last, "the end was cut off")
    return None
