"""Key rotation while the gateway runs: re-encrypts values of older keys under the current ones.

In batches of short transactions. Every value begins with the id of its key, so an interrupted run
continues without a journal: it selects the rows whose key is not current.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import bindparam, func, select, tuple_, update

from core.audit import anchors
from core.crypto import CannotOpen, Keys
from core.db import Database, DatabaseUnavailable, Query, Row, Transaction, UniqueViolation
from core.kernel.clock import Instant
from core.keys import claim_keys
from core.keys.plans import COLUMN_PLANS, ColumnPlan
from core.storage import Objects, Picture, pictures

T = TypeVar("T")

ROWS_AT_ONCE = 100
_MAX_PASSES = 5
_ATTEMPTS = 20
_RETRY_SECONDS = 0.5


@dataclass(slots=True)
class RotationProgress:
    """`failed` names rows, by table and key, that cannot be decrypted or whose new index is taken, as
    the last pass has found them."""

    reencrypted: int = 0
    failed: set[str] = field(default_factory=set)


async def count_stale(database: Database, keys: Keys) -> int:
    """Number of rows with values under an older key; objects are not counted."""
    total = 0
    for plan in COLUMN_PLANS:
        statement = select(func.count().label("rows")).where(plan.is_stale(keys))
        row = await database.fetch_one(Query(statement.select_from(plan.table)))
        total += row["rows"] if row else 0
    return total + await claim_keys.count_stale(database, keys.vault)


async def rotate(
    database: Database, keys: Keys, objects: Objects, now: Instant
) -> AsyncIterator[RotationProgress]:
    """Yields its progress after each batch. Rows written meanwhile are not overwritten, and found by a
    further pass."""
    progress = RotationProgress()
    for _ in range(_MAX_PASSES):
        before = progress.reencrypted
        progress.failed.clear()
        for plan in COLUMN_PLANS:
            async for _ in _rotate_table(database, keys, plan, progress):
                yield progress
        async for _ in _rotate_claims(database, keys, progress):
            yield progress
        async for _ in _rotate_objects(database, objects, progress):
            yield progress
        if progress.reencrypted == before:
            break
    await anchors.anchor_under_current_key(database, keys.seals, now)
    yield progress


async def _rotate_table(
    database: Database, keys: Keys, plan: ColumnPlan, progress: RotationProgress
) -> AsyncIterator[None]:
    table = _TableRotation(plan, keys)
    after: tuple[Any, ...] | None = None
    while True:
        began = time.monotonic()
        done = await _with_retries(database, table, after, ROWS_AT_ONCE, progress)
        if done is None:
            return
        after = done
        yield
        # Pause as long as the batch took, so that half of the time is left for the gateway's writes.
        await asyncio.sleep(time.monotonic() - began)


async def _with_retries(
    database: Database,
    table: "_TableRotation",
    after: tuple[Any, ...] | None,
    limit: int,
    progress: RotationProgress,
) -> tuple[Any, ...] | None:
    try:
        batch = await _patiently(
            lambda: database.write(lambda db: table.reencrypt_batch(db, after, limit))
        )
    except UniqueViolation:
        if limit > 1:
            return await _with_retries(database, table, after, 1, progress)
        return await _skip_conflict(database, table, after, progress)
    progress.reencrypted += batch.reencrypted
    progress.failed |= batch.failed
    return batch.last


async def _patiently(step: Callable[[], Awaitable[T]]) -> T:
    """What may be repeated, also where it is unknown whether it was committed."""
    for _ in range(_ATTEMPTS):
        try:
            return await step()
        except DatabaseUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)
    raise DatabaseUnavailable("the database stayed busy")


async def _skip_conflict(
    database: Database,
    table: "_TableRotation",
    after: tuple[Any, ...] | None,
    progress: RotationProgress,
) -> tuple[Any, ...] | None:
    """Reports a row whose new index belongs to another row, for an operator, and skips it."""
    rows = await table.stale(database, after, 1)
    if not rows:
        return None
    progress.failed.add(table.name_of(rows[0]))
    return table.key_of(rows[0])


@dataclass(frozen=True, slots=True)
class _Batch:
    reencrypted: int
    failed: set[str]
    last: tuple[Any, ...] | None


class _TableRotation:
    def __init__(self, plan: ColumnPlan, keys: Keys) -> None:
        self._plan = plan
        self._keys = keys
        names = dict.fromkeys([*(column.name for column in plan.key), plan.needs, *plan.columns])
        wanted = (
            select(*(plan.table.c[name] for name in names))
            .where(plan.is_stale(keys))
            .order_by(*plan.key)
            .limit(bindparam("limit"))
        )
        following = tuple_(*plan.key) > tuple_(
            *(bindparam(f"after_{column.name}", type_=column.type) for column in plan.key)
        )
        self._first, self._next = Query(wanted), Query(wanted.where(following))
        unchanged = [
            plan.table.c[name].is_not_distinct_from(
                bindparam(f"seen_{name}", type_=plan.table.c[name].type)
            )
            for name in plan.columns
        ]
        self._update = Query(
            update(plan.table)
            .where(*(column == bindparam(f"of_{column.name}") for column in plan.key), *unchanged)
            .values({name: bindparam(name) for name in plan.columns})
        )

    async def reencrypt_batch(
        self, db: Transaction, after: tuple[Any, ...] | None, limit: int
    ) -> _Batch:
        rows, failed, reencrypted = await self.stale(db, after, limit), set[str](), []
        for row in rows:
            try:
                values = self._plan.reencrypt(self._keys, row)
            except CannotOpen:
                failed.add(self.name_of(row))
                continue
            key = {f"of_{column.name}": row[column.name] for column in self._plan.key}
            seen = {f"seen_{name}": row[name] for name in self._plan.columns}
            reencrypted.append({**values, **key, **seen})
        await db.execute_many(self._update, reencrypted)
        return _Batch(len(reencrypted), failed, self.key_of(rows[-1]) if rows else None)

    async def stale(
        self, db: Transaction | Database, after: tuple[Any, ...] | None, limit: int
    ) -> Sequence[Row]:
        if after is None:
            return await db.fetch(self._first, limit=limit)
        names = (f"after_{column.name}" for column in self._plan.key)
        return await db.fetch(self._next, limit=limit, **dict(zip(names, after, strict=True)))

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[column.name] for column in self._plan.key)

    def name_of(self, row: Row) -> str:
        key = (part.hex() if isinstance(part, bytes) else str(part) for part in self.key_of(row))
        return f"{self._plan.table.name} {' '.join(key)}"


async def _rotate_objects(
    database: Database, objects: Objects, progress: RotationProgress
) -> AsyncIterator[None]:
    place = (0, 0)
    while found := await pictures.after(database, place, ROWS_AT_ONCE):
        for picture in found:
            await _reencrypt_object(database, objects, picture, progress)
            yield
        place = (found[-1].citizen_id, found[-1].id)


async def _rotate_claims(
    database: Database, keys: Keys, progress: RotationProgress
) -> AsyncIterator[None]:
    place = claim_keys.FIRST
    while stale := await claim_keys.stale(database, keys.vault, place, ROWS_AT_ONCE):
        for claim in stale:
            try:
                if await _patiently(partial(claim_keys.renew, database, keys.vault, claim)):
                    progress.reencrypted += 1
            except claim_keys.CannotRenew:
                progress.failed.add(f"claims {claim.kind} of {claim.subject_id}")
            yield
        place = stale[-1].place


async def _reencrypt_object(
    database: Database, objects: Objects, picture: Picture, progress: RotationProgress
) -> None:
    try:
        if not await objects.reencrypt(picture.object_name, picture.citizen_id):
            return
    except CannotOpen:
        progress.failed.add(f"pictures {picture.id}")
        return
    progress.reencrypted += 1
    if await pictures.find(database, picture.citizen_id, picture.id) is None:
        # The picture was deleted during re-encryption.
        await objects.remove(picture.object_name)
