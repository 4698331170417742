"""Verification codes: six digits by SMS, for one purpose, one phone and one session.

A code is valid for five minutes, even if the clock is set back meanwhile, and works once. The fifth wrong
attempt voids it; nobody learns whether an attempt was right before it is counted, so concurrent
attempts gain nothing. Only a MAC of the code is stored.
"""

import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    bindparam,
    select,
    update,
)

from core.audit import ACTIONS
from core.citizens import PHONE, Limit, quotas
from core.db import Query, Row, insert_into, metadata
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
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, nullable=False),
    Column("phone_index", LargeBinary, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("consumed_at", BigInteger),
    sqlite_with_rowid=False,
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
_OF_SESSION = Query(
    select(
        verification_codes_table.c.id,
        verification_codes_table.c.phone_index,
        verification_codes_table.c.mac,
        verification_codes_table.c.expires_at,
        verification_codes_table.c.tries,
        verification_codes_table.c.consumed_at,
    )
    .where(
        verification_codes_table.c.subject_id == bindparam("subject_id"),
        verification_codes_table.c.session_id == bindparam("session_id"),
        verification_codes_table.c.purpose == bindparam("purpose"),
    )
    .order_by(verification_codes_table.c.id)
)
_TRY = Query(
    update(verification_codes_table)
    .where(
        verification_codes_table.c.subject_id == bindparam("of_subject"),
        verification_codes_table.c.id == bindparam("code_id"),
        verification_codes_table.c.tries == bindparam("seen_tries"),
        verification_codes_table.c.consumed_at.is_(None),
    )
    .values(tries=verification_codes_table.c.tries + 1, consumed_at=bindparam("at"))
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
    unit.writes.add(
        _INSERT,
        subject_id=session.subject_id,
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
    outbox.put_sms(
        unit,
        subject_id=session.subject_id,
        phone=phone,
        template="VERIFICATION_CODE",
        text=f"【成都人社】{code} 是您办理社会保障卡{PURPOSE_NAMES[purpose].zh}的验证码，"
        f"{minutes} 分钟内有效。请勿告知他人。",
        purpose=purpose.value,
        code=code,
        expires_at=expires_at,
    )
    return SentCode(phone, expires_at, settings.code_resend_seconds)


@dataclass(frozen=True, slots=True)
class CorrectCode:
    """It is used up by `consume`."""

    id: int
    tries: int


async def check(unit: UnitOfWork, phone: str, purpose: VerificationPurpose, code: str) -> None:
    """Checks the code and consumes it; a wrong attempt is counted.

    Raises `CodeWrong`, `CodeVoid`, `CodeExpired` or `CodeNotSent`.
    """
    consume(unit, await verify(unit, phone, purpose, code))


async def verify(
    unit: UnitOfWork, phone: str, purpose: VerificationPurpose, code: str
) -> CorrectCode:
    """As `check`, without consuming the code. Of several attempts at once, each loses its race but
    one, so that none learns anything uncounted."""
    newest = await _usable_code(unit, phone, purpose)
    if unit.dependencies.seals.matches_code(bytes(newest["mac"]), newest["id"], phone, code):
        return CorrectCode(newest["id"], newest["tries"])
    tries = newest["tries"] + 1
    _try(unit, newest["id"], newest["tries"], None)
    if tries >= MAX_TRIES:
        raise CodeVoid(field="code")
    raise CodeWrong(field="code", left=MAX_TRIES - tries)


def consume(unit: UnitOfWork, code: CorrectCode) -> None:
    _try(unit, code.id, code.tries, unit.now)


def _try(unit: UnitOfWork, code_id: int, tries: int, consumed_at: Instant | None) -> None:
    unit.writes.guard(
        _TRY,
        of_subject=unit.session.subject_id,
        code_id=code_id,
        seen_tries=tries,
        at=consumed_at,
    )


async def _usable_code(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> Row:
    """The newest code, without those of the future: a clock that was set back would keep new codes
    from working."""
    indexes = unit.dependencies.vault.indexes(phone, PHONE)
    sent = [
        row
        for row in await unit.db.fetch(
            _OF_SESSION,
            subject_id=unit.session.subject_id,
            session_id=unit.session.session_id,
            purpose=purpose.value,
        )
        if bytes(row["phone_index"]) in indexes
    ]
    not_yet = first_id_at(unit.now + CLOCK_SKEW)
    usable = [row for row in sent if row["id"] < not_yet]
    if not usable:
        raise CodeExpired(field="code") if sent else CodeNotSent(field="code")
    newest = usable[-1]
    if newest["consumed_at"] is not None:
        raise CodeNotSent(field="code")
    if newest["tries"] >= MAX_TRIES:
        raise CodeVoid(field="code").without_counting()
    if newest["expires_at"] <= unit.now:
        raise CodeExpired(field="code")
    return newest


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
    keys = [(indexes(key, "quota"), limits) for key, limits in counted]
    free_at = await quotas.consume(unit.db, unit.writes, keys, unit.now)
    if free_at:
        raise TooManyCodes(retry_after=seconds_until(free_at, unit.now))
