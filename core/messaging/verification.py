"""Verification codes: six digits by SMS, for one purpose, one phone and one session.

A code is valid for five minutes, even if the clock is set back meanwhile, and works once. The fifth wrong
attempt voids it; each attempt is counted by a conditional update before it is checked, so concurrent
attempts gain nothing. Only a MAC of the code is stored.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    bindparam,
    func,
    select,
    update,
)

from core.audit import ACTIONS
from core.citizens import PHONE, Limit, quotas
from core.crypto import index_is, index_params
from core.db import Id, Query, insert_into, metadata
from core.kernel.addresses import network_of
from core.kernel.clock import CLOCK_SKEW, DAY, HOUR, MINUTE, SECOND, Instant, seconds_until
from core.kernel.ids import first_id_at, new_id
from core.kernel.refusals import CodeExpired, CodeNotSent, CodeVoid, CodeWrong, TooManyCodes
from core.messaging import outbox
from core.unit_of_work import UnitOfWork

MAX_TRIES = 5

verification_codes_table = Table(
    "verification_codes",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, nullable=False),
    Column("phone_index", LargeBinary, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("consumed_at", BigInteger),
    Index("ix_verification_codes_session", "session_id", "purpose", "phone_index"),
)


class VerificationPurpose(StrEnum):
    BIND_CARD = "BIND_CARD"
    APPLY_CARD = "APPLY_CARD"
    ACTIVATE_CARD = "ACTIVATE_CARD"
    REPORT_LOSS = "REPORT_LOSS"
    CANCEL_LOSS = "CANCEL_LOSS"
    CHANGE_PHONE = "CHANGE_PHONE"
    TRANSFER_IN = "TRANSFER_IN"
    REISSUE_CARD = "REISSUE_CARD"


PURPOSE_NAMES = {purpose: ACTIONS[purpose.value].text for purpose in VerificationPurpose}
"""A purpose is named like the audited action of the same name."""

_INSERT = insert_into(verification_codes_table)
_codes = (
    verification_codes_table.c.session_id == bindparam("of_session"),
    verification_codes_table.c.purpose == bindparam("for_purpose"),
    index_is(verification_codes_table.c.phone_index, "of_phone"),
)
_newest_id = select(func.max(verification_codes_table.c.id)).where(*_codes)
_COUNT_TRY = Query(
    update(verification_codes_table)
    .where(
        # Without those of the future: a clock that was set back would keep new codes from working.
        verification_codes_table.c.id
        == _newest_id.where(verification_codes_table.c.id < bindparam("not_yet")).scalar_subquery(),
        verification_codes_table.c.tries < MAX_TRIES,
        verification_codes_table.c.consumed_at.is_(None),
        verification_codes_table.c.expires_at > bindparam("now"),
    )
    .values(tries=verification_codes_table.c.tries + 1)
    .returning(
        verification_codes_table.c.id,
        verification_codes_table.c.mac,
        verification_codes_table.c.tries,
    )
)
_NEWEST = Query(
    select(verification_codes_table).where(
        verification_codes_table.c.id == _newest_id.scalar_subquery()
    )
)
_CONSUME = Query(
    update(verification_codes_table)
    .where(verification_codes_table.c.id == bindparam("code_id"))
    .values(consumed_at=bindparam("at"))
)
_RESTORE = Query(
    update(verification_codes_table)
    .where(verification_codes_table.c.id == bindparam("code_id"))
    .values(consumed_at=None, tries=verification_codes_table.c.tries - 1)
)


@dataclass(frozen=True, slots=True)
class SentCode:
    """`resend_after` is in whole seconds."""

    phone: str = field(repr=False)
    expires_at: Instant
    resend_after: int


async def send(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> SentCode:
    """Generates a code and puts its SMS into the outbox. Raises `TooManyCodes`."""
    settings, session = unit.dependencies.settings, unit.session
    await _check_limits(unit, phone, purpose)
    code = f"{secrets.randbelow(10**6):06d}"
    code_id = new_id(unit.now)
    expires_at = unit.now + settings.code_lifetime_seconds * SECOND
    await unit.db.fetch(
        _INSERT,
        id=code_id,
        session_id=session.session_id,
        phone_index=unit.dependencies.vault.index(phone, PHONE),
        purpose=purpose.value,
        mac=unit.dependencies.seals.code(code_id, phone, code),
        expires_at=expires_at,
        tries=0,
        consumed_at=None,
    )
    minutes = settings.code_lifetime_seconds // 60
    await outbox.put_sms(
        unit,
        subject_id=session.citizen_id or session.session_id,
        phone=phone,
        template="VERIFICATION_CODE",
        text=f"【成都人社】{code} 是您办理社会保障卡{PURPOSE_NAMES[purpose].zh}的验证码，"
        f"{minutes} 分钟内有效。请勿告知他人。",
        purpose=purpose.value,
        code=code,
        expires_at=expires_at,
    )
    return SentCode(phone, expires_at, settings.code_resend_seconds)


async def check(unit: UnitOfWork, phone: str, purpose: VerificationPurpose, code: str) -> int:
    """Counts the attempt, then checks the code; consumes a correct code and returns its id.

    Raises `CodeWrong`, `CodeVoid`, `CodeExpired` or `CodeNotSent`.
    """
    where = {
        "of_session": unit.session.session_id,
        "for_purpose": purpose.value,
        **index_params("of_phone", unit.dependencies.vault.indexes(phone, PHONE)),
    }
    row = await unit.db.fetch_one(
        _COUNT_TRY, now=unit.now, not_yet=first_id_at(unit.now + CLOCK_SKEW), **where
    )
    if row is None:
        raise await _unusable_code(unit, where)
    if unit.dependencies.seals.matches_code(bytes(row["mac"]), row["id"], phone, code):
        await unit.db.fetch(_CONSUME, code_id=row["id"], at=unit.now)
        return int(row["id"])
    if row["tries"] >= MAX_TRIES:
        raise CodeVoid(field="code")
    raise CodeWrong(field="code", left=MAX_TRIES - row["tries"])


async def restore(unit: UnitOfWork, code_id: int) -> None:
    """Makes a consumed code usable again, after something else was refused."""
    await unit.db.fetch(_RESTORE, code_id=code_id)


async def _unusable_code(
    unit: UnitOfWork, where: Mapping[str, Any]
) -> CodeNotSent | CodeVoid | CodeExpired:
    row = await unit.db.fetch_one(_NEWEST, **where)
    if row is None or row["consumed_at"] is not None:
        return CodeNotSent(field="code")
    if row["tries"] >= MAX_TRIES:
        return CodeVoid(field="code").without_counting()
    return CodeExpired(field="code")


async def _check_limits(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> None:
    settings, session, indexes = (
        unit.dependencies.settings,
        unit.session,
        unit.dependencies.vault.indexes,
    )
    counted = (
        (f"{phone}|{purpose}", [Limit(1, settings.code_resend_seconds * SECOND)]),
        (
            phone,
            [
                Limit(settings.codes_per_phone_hour, HOUR),
                Limit(settings.codes_per_phone_day, DAY),
            ],
        ),
        (f"session|{session.session_id}", [Limit(settings.codes_per_session_hour, HOUR)]),
        (f"address|{network_of(session.address)}", [Limit(settings.codes_per_address_hour, HOUR)]),
        ("everybody", [Limit(settings.codes_in_all_minute, MINUTE)]),
    )
    for key, limits in counted:
        free_at = await quotas.consume(unit.db, indexes(key, "quota"), limits, unit.now)
        if free_at:
            raise TooManyCodes(retry_after=seconds_until(free_at, unit.now))
