"""The history of an order's nodes, for live subscriptions that missed changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, func, select

from core.db import Query, Reader, fetch_in, in_batch
from core.kernel.clock import Instant
from core.kernel.confirmation import CONFIRMATIONS
from core.production.closures import CLOSE_REASONS
from core.production.corrections import Correction, from_column
from core.production.orders import (
    NODES,
    ORDER_CHANGES,
    NodeResult,
    ProductionNode,
    ProductionOrder,
    ProductionSnapshot,
    ProgressCursor,
    production_changes_table,
    production_orders_table,
)

_SINCE = Query(
    select(production_changes_table)
    .where(
        production_changes_table.c.subject_id == bindparam("subject_id"),
        production_changes_table.c.order_id == bindparam("order"),
        production_changes_table.c.revision > bindparam("after"),
        production_changes_table.c.revision <= bindparam("until"),
    )
    .order_by(production_changes_table.c.revision)
)
_SNAPSHOTS = Query(
    select(
        production_orders_table.c.subject_id,
        production_orders_table.c.id,
        production_orders_table.c.confirmation,
        production_orders_table.c.pending_change,
        production_orders_table.c.close_reason,
        func.coalesce(func.max(production_changes_table.c.revision), 0).label("revision"),
    )
    .select_from(
        production_orders_table.outerjoin(
            production_changes_table,
            and_(
                production_changes_table.c.subject_id == production_orders_table.c.subject_id,
                production_changes_table.c.order_id == production_orders_table.c.id,
            ),
        )
    )
    .where(in_batch(production_orders_table.c.subject_id))
    .group_by(
        production_orders_table.c.subject_id,
        production_orders_table.c.id,
        production_orders_table.c.confirmation,
        production_orders_table.c.pending_change,
        production_orders_table.c.close_reason,
    )
    .order_by(production_orders_table.c.id)
)


@dataclass(frozen=True, slots=True)
class ProductionChange:
    """A result of a node that the card issuer reported."""

    position: ProgressCursor
    node: ProductionNode
    result: NodeResult
    at: Instant
    reason: str | None
    corrections: tuple[Correction, ...]


async def changes_since(
    db: Reader, order: ProductionOrder, seen: ProgressCursor | None
) -> list[ProductionChange]:
    """The changes after `seen` up to the state of `order`; all of them if `seen` is of another order."""
    after = seen.revision if seen is not None and seen.order_id == order.id else 0
    rows = await db.fetch(
        _SINCE,
        subject_id=order.citizen_id,
        order=order.id,
        after=after,
        until=order.position.revision,
    )
    return [
        ProductionChange(
            ProgressCursor(row["order_id"], row["revision"]),
            NODES[row["node"] - 1],
            NodeResult(row["result"]),
            row["at"],
            row["reason"],
            from_column(row["corrections"]),
        )
        for row in rows
    ]


async def snapshots(db: Reader, citizen_ids: Iterable[int]) -> dict[int, ProductionSnapshot]:
    """The state of each citizen's newest order."""
    return {
        row["subject_id"]: ProductionSnapshot(
            ProgressCursor(row["id"], row["revision"]),
            CONFIRMATIONS[row["confirmation"]],
            ORDER_CHANGES.get(row["pending_change"]),
            CLOSE_REASONS.get(row["close_reason"]),
        )
        for row in await fetch_in(db, _SNAPSHOTS, citizen_ids)
    }
