"""The outbox: an outside effect is a row, written in the transaction of its cause.

A worker claims what is due by a guarded update, delivers it under the row's idempotency
key, and settles it: delivered, due again later, or parked for an operator. A person's
rows of one kind keep their order. The sealed payload is erased once delivered.
"""

import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    bindparam,
    select,
    text,
    update,
)

from core.clock import DAY, Instant
from core.database import Id, Query, Row, Transaction, insert_into, metadata
from core.encryption import CannotOpen, Vault
from core.ids import new_id
from core.unit import Signal, Unit

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("person", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("payload", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("parked_at", BigInteger),
    Column("failure", String(200)),
    Index("uq_outbox_idempotency_key", "idempotency_key", unique=True),
    Index(
        "ix_outbox_waiting",
        "person",
        "kind",
        "id",
        sqlite_where=text("settled_at IS NULL AND parked_at IS NULL"),
        postgresql_where=text("settled_at IS NULL AND parked_at IS NULL"),
    ),
)


class EffectKind(StrEnum):
    SMS = "SMS"
    ISSUER_ORDER = "ISSUER_ORDER"
    REGION_MOVE = "REGION_MOVE"
    CHANNEL_MESSAGE = "CHANNEL_MESSAGE"


CLAIM_LASTS = 30_000
CLAIM_MOST = 16
LIFETIME = 7 * DAY

_INSERT = insert_into(outbox)
_earlier = outbox.alias("earlier")
_waiting = and_(outbox.c.settled_at.is_(None), outbox.c.parked_at.is_(None))
_due = (
    select(outbox.c.id)
    .where(
        _waiting,
        outbox.c.due_at <= bindparam("now"),
        outbox.c.claimed_until <= bindparam("now"),
        ~select(_earlier.c.id)
        .where(
            _earlier.c.person == outbox.c.person,
            _earlier.c.kind == outbox.c.kind,
            _earlier.c.id < outbox.c.id,
            _earlier.c.settled_at.is_(None),
            _earlier.c.parked_at.is_(None),
        )
        .exists(),
    )
    .order_by(outbox.c.id)
    .limit(CLAIM_MOST)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
ANY_DUE = Query(
    select(outbox.c.id)
    .where(
        _waiting,
        outbox.c.due_at <= bindparam("now"),
        outbox.c.claimed_until <= bindparam("now"),
    )
    .limit(1)
)
ANY_NEW = Query(select(outbox.c.id).where(_waiting, outbox.c.failure.is_(None)).limit(1))
_CLAIM = Query(
    update(outbox)
    .where(outbox.c.id.in_(_due))
    .values(claimed_until=bindparam("until"), attempts=outbox.c.attempts + 1)
    .returning(*outbox.c)
)
_held = and_(outbox.c.id == bindparam("effect_id"), outbox.c.claimed_until == bindparam("claim"))
_SETTLE = Query(
    update(outbox).where(_held).values(settled_at=bindparam("at"), payload=None, failure=None)
)
_POSTPONE = Query(
    update(outbox)
    .where(_held)
    .values(due_at=bindparam("next_due"), claimed_until=0, failure=bindparam("why"))
)
_WITH_PAYLOAD = Query(
    select(outbox).where(
        outbox.c.person == bindparam("person"),
        outbox.c.kind == bindparam("kind"),
        outbox.c.payload.is_not(None),
    )
)
_WITHDRAW = Query(
    update(outbox)
    .where(outbox.c.id == bindparam("effect_id"))
    .values(settled_at=bindparam("at"), payload=None, failure="withdrawn")
)
_PARK = Query(
    update(outbox).where(_held).values(parked_at=bindparam("at"), failure=bindparam("why"))
)


@dataclass(frozen=True, slots=True)
class Effect:
    id: int
    person: int
    kind: EffectKind
    idempotency_key: str
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    expires_at: Instant
    claimed_until: Instant


async def put(
    unit: Unit,
    *,
    person: int,
    kind: EffectKind,
    payload: Mapping[str, Any],
    expires_at: Instant = 0,
) -> None:
    """Adds an effect. `person` is the citizen's id, or the session's while nobody is known."""
    effect_id = new_id(unit.now)
    sealed = unit.tools.vault.seal(json.dumps(payload), "outbox.payload", effect_id)
    await unit.db.fetch(
        _INSERT,
        id=effect_id,
        person=person,
        kind=kind.value,
        idempotency_key=secrets.token_hex(16),
        payload=sealed,
        created_at=unit.now,
        due_at=unit.now,
        expires_at=expires_at or unit.now + LIFETIME,
        attempts=0,
        claimed_until=0,
        settled_at=None,
        parked_at=None,
        failure=None,
    )
    unit.signals.add(Signal.OUTBOX)


async def put_sms(
    unit: Unit,
    *,
    person: int,
    phone: str,
    template: str,
    text: str,
    purpose: str | None = None,
    code: str | None = None,
    expires_at: Instant = 0,
) -> None:
    await put(
        unit,
        person=person,
        kind=EffectKind.SMS,
        payload={
            "phone": phone,
            "template": template,
            "text": text,
            "purpose": purpose,
            "code": code,
        },
        expires_at=expires_at,
    )


async def claim(db: Transaction, vault: Vault, now: Instant) -> list[Effect]:
    """Takes what is due for 30 seconds; a worker that dies loses its claim by then."""
    effects = []
    for row in await db.fetch(_CLAIM, now=now, until=now + CLAIM_LASTS):
        try:
            effects.append(_effect_from(row, vault))
        except CannotOpen:
            await db.fetch(
                _PARK,
                effect_id=row["id"],
                claim=row["claimed_until"],
                at=now,
                why="cannot be opened",
            )
    return sorted(effects, key=lambda effect: effect.id)


async def settle(db: Transaction, effect: Effect, now: Instant) -> None:
    await db.fetch(_SETTLE, effect_id=effect.id, claim=effect.claimed_until, at=now)


async def postpone(db: Transaction, effect: Effect, due_at: Instant, why: str) -> None:
    await db.fetch(
        _POSTPONE, effect_id=effect.id, claim=effect.claimed_until, next_due=due_at, why=why
    )


async def park(db: Transaction, effect: Effect, now: Instant, why: str) -> None:
    await db.fetch(_PARK, effect_id=effect.id, claim=effect.claimed_until, at=now, why=why)


async def withdraw(unit: Unit, person: int, kind: EffectKind, holding: Mapping[str, Any]) -> None:
    """Forgets a person's effects of a kind whose payload holds these values, parked ones too.

    One that a worker has claimed may still be delivered; one that cannot be opened stays.
    """
    for row in await unit.db.fetch(_WITH_PAYLOAD, person=person, kind=kind.value):
        with contextlib.suppress(CannotOpen):
            payload = _effect_from(row, unit.tools.vault).payload
            if all(payload.get(name) == value for name, value in holding.items()):
                await unit.db.fetch(_WITHDRAW, effect_id=row["id"], at=unit.now)


def _effect_from(row: Row, vault: Vault) -> Effect:
    effect_id: int = row["id"]
    return Effect(
        id=effect_id,
        person=row["person"],
        kind=EffectKind(row["kind"]),
        idempotency_key=row["idempotency_key"],
        payload=json.loads(vault.open(bytes(row["payload"]), "outbox.payload", effect_id)),
        attempts=row["attempts"],
        expires_at=row["expires_at"],
        claimed_until=row["claimed_until"],
    )
