"""Verification codes: six digits by SMS, for one purpose, one phone and one session.

A code is valid for five minutes, even if the clock is set back meanwhile, and works once. The fifth wrong
attempt voids it; nobody learns whether an attempt was right before it is counted, so concurrent
attempts gain nothing. Wrong attempts are limited over all phones as well: by person, and by network where
the phone is not the person's own. Only a MAC of the code is stored.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    bindparam,
    delete,
    select,
    update,
)

from core import audit
from core.audit import ACTIONS, Action
from core.citizens import PHONE, quotas
from core.db import Query, Row, insert_into, json_arrays, metadata
from core.kernel.clock import CLOCK_SKEW, HOUR, SECOND, Instant, seconds_until
from core.kernel.ids import first_id_at, new_id
from core.kernel.next_steps import LOSS_BY_PHONE, NextStep
from core.kernel.refusals import (
    CodeExpired,
    CodeNotSent,
    CodeVoid,
    CodeWrong,
    RefusalCode,
    SmsRefused,
    TooManyTries,
)
from core.messaging import allowances, outbox
from core.messaging.outbox import OutboxMessage
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


_TO_OTHERS = {
    VerificationPurpose.BIND_CARD,
    VerificationPurpose.APPLY_CARD,
    VerificationPurpose.CHANGE_PHONE,
}
"""Those whose code may go to a phone that is not the person's own."""
TRIES_WINDOW = HOUR

PURPOSE_NAMES = {purpose: ACTIONS[purpose.value].text for purpose in VerificationPurpose}
"""A purpose is named like the audited action of the same name."""

_INSERT = insert_into(verification_codes_table)
OF_SUBJECT = Query(
    select(verification_codes_table)
    .where(verification_codes_table.c.subject_id == bindparam("subject_id"))
    .order_by(verification_codes_table.c.id)
)
_PREFETCHED = (
    "id",
    "session_id",
    "purpose",
    "phone_index",
    "mac",
    "expires_at",
    "tries",
    "consumed_at",
)
_TRY = Query(
    update(verification_codes_table)
    .where(
        verification_codes_table.c.subject_id == bindparam("of_subject"),
        verification_codes_table.c.id == bindparam("code_id"),
        verification_codes_table.c.tries == bindparam("seen_tries"),
        verification_codes_table.c.consumed_at.is_(None),
    )
    .values(
        tries=verification_codes_table.c.tries + bindparam("more_tries", type_=SmallInteger),
        consumed_at=bindparam("at"),
    )
)
_WITHDRAW = Query(
    delete(verification_codes_table).where(
        verification_codes_table.c.subject_id == bindparam("of_subject"),
        verification_codes_table.c.id == bindparam("code_id"),
    )
)


def prefetched_column(subject_id: ColumnElement[int]) -> ColumnElement[str]:
    """All codes of the subject, for `answer_prefetched`."""
    return (
        select(json_arrays(*(verification_codes_table.c[name] for name in _PREFETCHED)))
        .where(verification_codes_table.c.subject_id == subject_id)
        .scalar_subquery()
        .label("codes")
    )


def answer_prefetched(first: Row, _: Mapping[str, Any]) -> list[Row]:
    """What `OF_SUBJECT` would read."""
    found: list[Row] = []
    for each in sorted(orjson.loads(first["codes"] or "[]")):
        code = dict(zip(_PREFETCHED, each, strict=True))
        code["phone_index"] = bytes.fromhex(code["phone_index"])
        code["mac"] = bytes.fromhex(code["mac"])
        found.append(code)
    return found


@dataclass(frozen=True, slots=True)
class SentCode:
    """`resend_after` is in whole seconds."""

    phone: str = field(repr=False)
    expires_at: Instant
    resend_after: int


async def send(
    unit: UnitOfWork, phone: str, purpose: VerificationPurpose, *, is_own: bool
) -> SentCode:
    """Generates a code and puts its SMS into the outbox. `is_own`: the phone is the one on file.

    Raises `TooManyCodes`; whoever commits raises `SmsRefused` if the SMS gateway rejects it.
    """
    settings, session = unit.dependencies.settings, unit.session
    if is_own:
        counted = await allowances.take_own(
            unit, purpose.value, next_step(purpose), is_for_loss=is_for_loss(purpose)
        )
    else:
        counted = await allowances.take_other(unit, phone)
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
        if_rejected=SmsRefused(field="phone").with_next_step(next_step(purpose)),
        codeId=code_id,
        counted=[(key.hex(), at) for key, at in counted],
    )
    return SentCode(phone, expires_at, settings.code_resend_seconds)


@dataclass(frozen=True, slots=True)
class CorrectCode:
    """It is used up by `consume`."""

    id: int
    tries: int


async def check(unit: UnitOfWork, phone: str, purpose: VerificationPurpose, code: str) -> None:
    """Checks the code and consumes it; a wrong attempt is counted.

    Raises `CodeWrong`, `CodeVoid`, `CodeExpired`, `CodeNotSent` or `TooManyTries`.
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
    left = MAX_TRIES - newest["tries"] - 1
    if purpose in _TO_OTHERS and not await allowances.take_wrong_try(unit):
        left = 0
    _try(unit, newest["id"], newest["tries"], MAX_TRIES - left - newest["tries"], None)
    if left == 0:
        raise _void(purpose)
    raise CodeWrong(field="code", left=left)


def consume(unit: UnitOfWork, code: CorrectCode) -> None:
    _try(unit, code.id, code.tries, 1, unit.now)


def _try(
    unit: UnitOfWork, code_id: int, tries: int, more: int, consumed_at: Instant | None
) -> None:
    unit.writes.guard(
        _TRY,
        of_subject=unit.session.subject_id,
        code_id=code_id,
        seen_tries=tries,
        more_tries=more,
        at=consumed_at,
    )


async def withdraw(unit: UnitOfWork, message: OutboxMessage) -> None:
    """Removes a code whose SMS was rejected, and gives back what it counted for."""
    payload = message.payload
    unit.writes.add(_WITHDRAW, of_subject=message.subject_id, code_id=payload["codeId"])
    counted = [(bytes.fromhex(key), at) for key, at in payload["counted"]]
    await quotas.restore(unit.db, unit.writes, counted, unit.now)
    await audit.record(
        unit,
        message.subject_id,
        Action.SEND_CODE,
        RefusalCode.SMS_REFUSED.value,
        actor=audit.WORKER,
        purpose=payload["purpose"],
    )


def is_for_loss(purpose: VerificationPurpose) -> bool:
    return purpose is VerificationPurpose.REPORT_LOSS


def next_step(purpose: VerificationPurpose) -> NextStep | None:
    """What else the citizen can do when no code helps."""
    return LOSS_BY_PHONE if is_for_loss(purpose) else None


def _void(purpose: VerificationPurpose) -> CodeVoid:
    return CodeVoid(field="code").with_next_step(next_step(purpose))


async def _usable_code(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> Row:
    """The newest code, without those of the future: a clock that was set back would keep new codes
    from working."""
    of_subject = await unit.db.fetch(OF_SUBJECT, subject_id=unit.session.subject_id)
    _limit_tries(unit, purpose, of_subject)
    indexes = unit.dependencies.vault.indexes(phone, PHONE)
    rows = [
        row
        for row in of_subject
        if row["session_id"] == unit.session.session_id
        and row["purpose"] == purpose.value
        and bytes(row["phone_index"]) in indexes
    ]
    not_yet = first_id_at(unit.now + CLOCK_SKEW)
    usable = [row for row in rows if row["id"] < not_yet]
    if not usable:
        raise CodeExpired(field="code") if rows else CodeNotSent(field="code")
    newest = usable[-1]
    if newest["consumed_at"] is not None:
        raise CodeNotSent(field="code")
    if newest["tries"] >= MAX_TRIES:
        raise _void(purpose).without_counting()
    if newest["expires_at"] <= unit.now:
        raise CodeExpired(field="code")
    return newest


def _limit_tries(unit: UnitOfWork, purpose: VerificationPurpose, of_subject: Sequence[Row]) -> None:
    """Wrong attempts at all codes of the last hour; those for 挂失 are counted by themselves."""
    for_loss = VerificationPurpose.REPORT_LOSS.value
    tried = [
        row
        for row in of_subject
        if (row["purpose"] == for_loss) is is_for_loss(purpose)
        and unit.now - TRIES_WINDOW < row["expires_at"]
    ]
    wrong = sum(row["tries"] - _was_right(row) for row in tried)
    if wrong >= unit.dependencies.settings.wrong_codes_per_account_hour:
        first = next(row for row in tried if row["tries"])
        wait = seconds_until(first["expires_at"] + TRIES_WINDOW, unit.now)
        refusal = TooManyTries(field="code", retry_after=wait)
        raise refusal.with_next_step(next_step(purpose) or refusal.next_step)


def _was_right(row: Row) -> bool:
    """One that is over without having been used is marked with its end."""
    return row["consumed_at"] is not None and row["consumed_at"] < row["expires_at"]
