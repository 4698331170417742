"""Estimates the remaining production time from the newest completed orders."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, select, text

from core.db import Database, Query, Row
from core.kernel.clock import HOUR, Instant, Monotonic, monotonic_clock
from core.production.orders import (
    NODES,
    ProductionOrder,
    production_nodes_table,
    production_orders_table,
)

MAX_ORDERS = 1_000
MIN_ORDERS = 20
"""With fewer comparable orders there is no estimate."""
MAX_AGE = HOUR

_ready = production_nodes_table.alias("ready")
_newest = (
    select(_ready.c.subject_id, _ready.c.order_id)
    # Literally as in the partial index `ix_production_nodes_ready`, otherwise SQLite ignores it.
    .where(text("ready.node = 6 AND ready.result = 'DONE'"))
    .order_by(_ready.c.at.desc())
    .limit(MAX_ORDERS)
    .subquery("newest")
)
_COMPLETED = Query(
    select(
        production_orders_table.c.id,
        production_orders_table.c.created_at,
        production_nodes_table.c.node,
        production_nodes_table.c.at,
    )
    .select_from(
        _newest.join(
            production_orders_table,
            and_(
                production_orders_table.c.subject_id == _newest.c.subject_id,
                production_orders_table.c.id == _newest.c.order_id,
            ),
        ).join(
            production_nodes_table,
            and_(
                production_nodes_table.c.subject_id == production_orders_table.c.subject_id,
                production_nodes_table.c.order_id == production_orders_table.c.id,
            ),
        )
    )
    .where(production_nodes_table.c.result == text("'DONE'"))
    .order_by(production_orders_table.c.id, production_nodes_table.c.node)
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Among orders that waited at least as long at the same node, the median was ready at `around`
    and 90 % by `by`."""

    around: Instant
    by: Instant
    based_on: int


@dataclass(frozen=True, slots=True)
class Waits:
    """Sorted durations per node, in milliseconds from its start until the card was ready."""

    until_ready: Sequence[Sequence[int]] = field(default_factory=lambda: [[] for _ in NODES])

    @classmethod
    def measured(cls, rows: Iterable[Row]) -> "Waits":
        times: dict[int, list[Instant]] = {}
        for row in rows:
            times.setdefault(row["id"], [row["created_at"]]).append(row["at"])
        waits: Mapping[int, list[int]] = defaultdict(list)
        for started, *done in times.values():
            # Imported orders may have nodes older than the order itself.
            if len(done) == len(NODES) and started <= min(done):
                for position in range(len(NODES)):
                    waits[position].append(max(done) - max([started, *done[:position]]))
        return cls([sorted(waits[position]) for position in range(len(NODES))])

    def estimate(self, order: ProductionOrder, now: Instant) -> Estimate | None:
        """None if the card is ready, production stands still, or there is too little data."""
        current = order.current
        if current is None or current.result.stops or order.closure is not None:
            return None
        earlier = order.nodes[: current.node.position - 1]
        started = max([order.created_at, *(state.at or 0 for state in earlier)])
        waited = now - started
        longer = [wait for wait in self.until_ready[current.node.position - 1] if wait > waited]
        if len(longer) < MIN_ORDERS:
            return None
        return Estimate(
            around=started + longer[len(longer) // 2],
            by=started + longer[len(longer) * 9 // 10],
            based_on=len(longer),
        )


class ProductionHistory:
    """Caches the history for an hour; it is read on demand."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], Instant],
        monotonic: Monotonic = monotonic_clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._waits = Waits()
        self._read_at: int | None = None
        self._reading = asyncio.Lock()

    async def estimate(self, order: ProductionOrder) -> Estimate | None:
        if not self._is_fresh():
            async with self._reading:
                if not self._is_fresh():
                    self._waits = Waits.measured(await self._database.fetch(_COMPLETED))
                    self._read_at = self._monotonic()
        return self._waits.estimate(order, self._clock())

    def _is_fresh(self) -> bool:
        return self._read_at is not None and self._monotonic() - self._read_at < MAX_AGE
