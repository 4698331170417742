"""Production orders: six nodes as in the guide, whose results the card issuer reports."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    ScalarSelect,
    SmallInteger,
    String,
    Table,
    and_,
    bindparam,
    func,
    select,
    text,
    update,
)

from core.applications import Application, application_columns, applications_table
from core.citizens import CitizenIdentity, citizens_table
from core.citizens import citizens as people
from core.crypto import Sealed, Vault
from core.db import (
    Query,
    Reader,
    Row,
    Writes,
    fetch_in,
    in_batch,
    insert_into,
    json_arrays,
    metadata,
)
from core.kernel import lengths
from core.kernel.clock import Instant, china_date
from core.kernel.confirmation import CONFIRMATIONS, Confirmation
from core.kernel.ids import new_id
from core.kernel.refusals import (
    ApplicationBeingChanged,
    ApplicationClosed,
    CardBeingTransferred,
    ManufactureBegun,
    NothingToCorrect,
    Refusal,
)
from core.kernel.texts import Text
from core.production.closures import CLOSE_REASONS, CloseReason, Closure
from core.production.corrections import Correction, from_column, to_column

production_orders_table = Table(
    "production_orders",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("application_id", BigInteger, nullable=False),
    Column("bank_code", String(lengths.REFERENCE_CODE), nullable=False),
    Column("outlet_code", String(lengths.REFERENCE_CODE), nullable=False),
    Column("batch_number", String(lengths.BATCH_NUMBER)),
    Column("card_number", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmation", String(16), nullable=False, server_default=Confirmation.CONFIRMED.value),
    Column("pending_change", String(16)),
    Column("close_reason", String(16)),
    Column("closed_at", BigInteger),
    ForeignKeyConstraint(
        ["subject_id", "application_id"],
        ["applications.subject_id", "applications.id"],
        name="fk_production_orders_application_id",
    ),
    Index("uq_production_orders_application_id", "subject_id", "application_id", unique=True),
    sqlite_with_rowid=False,
)


def _order_of(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["subject_id", "order_id"],
        ["production_orders.subject_id", "production_orders.id"],
        name=name,
    )


production_nodes_table = Table(
    "production_nodes",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("node", SmallInteger, primary_key=True, autoincrement=False),
    Column("result", String(16), nullable=False),
    Column("at", BigInteger),
    Column("reason", String(lengths.NODE_REASON)),
    Column("corrections", String(lengths.CORRECTIONS)),
    Column("revision", Integer, nullable=False, server_default="0"),
    _order_of("fk_production_nodes_order_id"),
    Index(
        "ix_production_nodes_ready",
        "at",
        sqlite_where=text("node = 6 AND result = 'DONE'"),
        postgresql_where=text("node = 6 AND result = 'DONE'"),
    ),
    sqlite_with_rowid=False,
)

production_changes_table = Table(
    "production_changes",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("node", SmallInteger, nullable=False),
    Column("result", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("reason", String(lengths.NODE_REASON)),
    Column("corrections", String(lengths.CORRECTIONS)),
    _order_of("fk_production_changes_order_id"),
    sqlite_with_rowid=False,
)


class ProductionNode(StrEnum):
    INTAKE = "INTAKE"
    BANK_ACCOUNT = "BANK_ACCOUNT"
    MANUFACTURE = "MANUFACTURE"
    KEY_LOADING = "KEY_LOADING"
    STOCK_TRANSFER = "STOCK_TRANSFER"
    READY_FOR_PICKUP = "READY_FOR_PICKUP"

    @property
    def position(self) -> int:
        return NODES.index(self) + 1


NODES: Sequence[ProductionNode] = tuple(ProductionNode)

NODE_NAMES = {
    ProductionNode.INTAKE: Text("采集信息受理", "Intake"),
    ProductionNode.BANK_ACCOUNT: Text("银行开户", "Bank account"),
    ProductionNode.MANUFACTURE: Text("卡商制卡", "Manufacture"),
    ProductionNode.KEY_LOADING: Text("密钥加载", "Key loading"),
    ProductionNode.STOCK_TRANSFER: Text("卡库存转移", "Stock transfer"),
    ProductionNode.READY_FOR_PICKUP: Text("可领卡", "Ready for pickup"),
}


class NodeResult(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    DONE = "DONE"
    FAILED = "FAILED"
    NEEDS_CORRECTION = "NEEDS_CORRECTION"

    @property
    def stops(self) -> bool:
        """Whether production waits: FAILED for the card issuer, NEEDS_CORRECTION for the citizen."""
        return self in (NodeResult.FAILED, NodeResult.NEEDS_CORRECTION)


NODE_RESULTS: dict[str, NodeResult] = {result.value: result for result in NodeResult}
"""By stored value."""

RESULT_NAMES = {
    NodeResult.PENDING: Text("未开始", "Not started"),
    NodeResult.IN_PROGRESS: Text("办理中", "In progress"),
    NodeResult.DONE: Text("已完成", "Done"),
    NodeResult.FAILED: Text("未通过", "Failed"),
    NodeResult.NEEDS_CORRECTION: Text("待更正", "Needs correction"),
}


class OrderChange(StrEnum):
    """A change that the citizen wants of an open order; it takes effect once the card issuer accepts it."""

    CANCELLATION = "CANCELLATION"
    PICKUP_OUTLET = "PICKUP_OUTLET"
    CORRECTION = "CORRECTION"


ORDER_CHANGES: dict[str, OrderChange] = {change.value: change for change in OrderChange}
"""By stored value."""

CHANGE_NAMES = {
    OrderChange.CANCELLATION: Text("取消申请", "cancellation of the application"),
    OrderChange.PICKUP_OUTLET: Text("更改领卡网点", "change of the pickup outlet"),
    OrderChange.CORRECTION: Text("更正申请资料", "correction of the application"),
}


class NodeState(Struct, frozen=True):
    """`reason` is the card issuer's, with every number redacted; `corrections` is what the citizen is
    to correct."""

    node: ProductionNode
    result: NodeResult
    at: Instant | None
    reason: str | None
    revision: int = 0
    corrections: tuple[Correction, ...] = ()


def collect_by(ready_at: Instant, within_days: int) -> date | None:
    """The last day on which the outlet has the card; None if 0 days are given."""
    return china_date(ready_at) + timedelta(days=within_days) if within_days else None


class ProgressCursor(NamedTuple):
    """The position of a subscriber: an order, and the number of results reported for it."""

    order_id: int
    revision: int

    @property
    def cursor(self) -> str:
        return f"{self.order_id}.{self.revision}"

    @classmethod
    def from_cursor(cls, cursor: str) -> "ProgressCursor | None":
        """None if it is not a valid cursor."""
        parts = cursor.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
            return None
        return cls(*map(int, parts)) if len(cursor) < 40 else None


class ProductionSnapshot(NamedTuple):
    """The part of an order's state whose changes are sent to subscribers."""

    position: ProgressCursor
    confirmation: Confirmation
    pending_change: OrderChange | None
    close_reason: CloseReason | None


class ProductionOrder(Struct, frozen=True):
    """`pending_change` is one that the card issuer has not accepted yet; `closure` tells of an order that
    ended before its card was in its holder's hands."""

    id: int
    citizen_id: int
    application: Application
    bank_code: str
    outlet_code: str
    batch_number: str | None
    card_number: Sealed | None
    created_at: Instant
    nodes: tuple[NodeState, ...]
    confirmation: Confirmation = Confirmation.CONFIRMED
    pending_change: OrderChange | None = None
    closure: Closure | None = None

    @property
    def ready(self) -> bool:
        return self.nodes[-1].result is NodeResult.DONE

    @property
    def ready_at(self) -> Instant | None:
        return self.nodes[-1].at if self.ready else None

    @property
    def position(self) -> ProgressCursor:
        return ProgressCursor(self.id, max(state.revision for state in self.nodes))

    @property
    def snapshot(self) -> ProductionSnapshot:
        return ProductionSnapshot(
            self.position,
            self.confirmation,
            self.pending_change,
            None if self.closure is None else self.closure.reason,
        )

    @property
    def current(self) -> NodeState | None:
        """The first unfinished node; None once the card is ready."""
        return next((state for state in self.nodes if state.result is not NodeResult.DONE), None)

    def state_of(self, node: ProductionNode) -> NodeState:
        return self.nodes[node.position - 1]

    def may_be_changed(self, change: OrderChange) -> bool:
        """Whether it is early enough: before manufacture, before stock transfer, or while it is asked for."""
        current = self.current
        if current is None or self.closure is not None:
            return False
        if change is OrderChange.CORRECTION:
            return current.result is NodeResult.NEEDS_CORRECTION
        return current.node.position < _CHANGEABLE_BEFORE[change].position

    def require_changeable(self, change: OrderChange) -> NodeState:
        """The node at which production stands. Raises a refusal if the change is not possible now."""
        if self.closure is not None:
            raise ApplicationClosed
        if self.pending_change is not None:
            raise ApplicationBeingChanged(
                change=CHANGE_NAMES[self.pending_change], retry_after=_ANSWERED_AFTER_SECONDS
            )
        current = self.current
        if current is None or not self.may_be_changed(change):
            raise _TOO_LATE[change]
        return current


_ANSWERED_AFTER_SECONDS = 60
_CHANGEABLE_BEFORE = {
    OrderChange.CANCELLATION: ProductionNode.MANUFACTURE,
    OrderChange.PICKUP_OUTLET: ProductionNode.STOCK_TRANSFER,
}
_TOO_LATE: dict[OrderChange, type[Refusal]] = {
    OrderChange.CANCELLATION: ManufactureBegun,
    OrderChange.PICKUP_OUTLET: CardBeingTransferred,
    OrderChange.CORRECTION: NothingToCorrect,
}


class Progress(Struct, frozen=True):
    """An order with the citizen it is for."""

    citizen: CitizenIdentity
    order: ProductionOrder


_HEAD_COLUMNS = [
    *(
        production_orders_table.c[name].label(f"order_{name}")
        for name in (
            "id",
            "subject_id",
            "bank_code",
            "outlet_code",
            "batch_number",
            "card_number",
            "created_at",
            "confirmation",
            "pending_change",
            "close_reason",
            "closed_at",
        )
    ),
    *application_columns("application_"),
]
_ORDER_COLUMNS = [
    *_HEAD_COLUMNS,
    production_nodes_table.c.node,
    production_nodes_table.c.result,
    production_nodes_table.c.at,
    production_nodes_table.c.reason,
    production_nodes_table.c.revision,
    production_nodes_table.c.corrections,
]
_applied = and_(
    applications_table.c.subject_id == production_orders_table.c.subject_id,
    applications_table.c.id == production_orders_table.c.application_id,
)
_JOINED = production_orders_table.join(applications_table, _applied).join(
    production_nodes_table,
    and_(
        production_nodes_table.c.subject_id == production_orders_table.c.subject_id,
        production_nodes_table.c.order_id == production_orders_table.c.id,
    ),
)


def progress_columns(citizen_id: ColumnElement[int]) -> tuple[ColumnElement[Any], ...]:
    """What `latest_progress` reads. The nodes are one JSON value: as six rows they would repeat the
    order and the citizen."""
    nodes = select(
        json_arrays(
            production_nodes_table.c.node,
            production_nodes_table.c.result,
            production_nodes_table.c.at,
            production_nodes_table.c.reason,
            production_nodes_table.c.revision,
            production_nodes_table.c.corrections,
        )
    ).where(
        production_nodes_table.c.subject_id == citizen_id,
        production_nodes_table.c.order_id == production_orders_table.c.id,
    )
    return (
        *_HEAD_COLUMNS,
        *people.identity_columns("citizen_"),
        nodes.scalar_subquery().label("nodes"),
    )


def join_progress_tables(order: FromClause) -> FromClause:
    """Joins application and citizen to a FROM clause that contains the order, if there is one."""
    return order.outerjoin(applications_table, _applied).outerjoin(
        citizens_table, citizens_table.c.subject_id == production_orders_table.c.subject_id
    )


def newest_of(citizen_id: ColumnElement[int]) -> ScalarSelect[int]:
    """The id of the citizen's newest order."""
    others = production_orders_table.alias("others")
    return select(func.max(others.c.id)).where(others.c.subject_id == citizen_id).scalar_subquery()


_citizen_id: BindParameter[int] = bindparam("citizen_id", type_=BigInteger)
OF_CITIZEN = Query(
    select(*progress_columns(_citizen_id))
    .select_from(join_progress_tables(production_orders_table))
    .where(
        production_orders_table.c.subject_id == _citizen_id,
        production_orders_table.c.id == newest_of(_citizen_id),
    )
)
_BY_NUMBER = Query(
    select(*_ORDER_COLUMNS)
    .select_from(_JOINED)
    .where(
        production_orders_table.c.subject_id == bindparam("subject_id"),
        applications_table.c.number == bindparam("number"),
    )
    .order_by(production_nodes_table.c.node)
)
_OF_CITIZENS = Query(
    select(*_ORDER_COLUMNS)
    .select_from(_JOINED)
    .where(in_batch(production_orders_table.c.subject_id))
    .order_by(production_orders_table.c.id, production_nodes_table.c.node)
)
_INSERT_ORDER = insert_into(production_orders_table)
_INSERT_NODE = insert_into(production_nodes_table)
_SET_NODE = Query(
    update(production_nodes_table)
    .where(
        production_nodes_table.c.subject_id == bindparam("of_subject"),
        production_nodes_table.c.order_id == bindparam("order"),
        production_nodes_table.c.node == bindparam("position"),
    )
    .values(
        result=bindparam("new_result"),
        at=bindparam("finished_at"),
        reason=bindparam("why"),
        corrections=bindparam("what"),
        revision=bindparam("new_revision"),
    )
)
_ADD_CHANGE = insert_into(production_changes_table)
_is_this = (
    production_orders_table.c.subject_id == bindparam("of_subject"),
    production_orders_table.c.id == bindparam("order"),
)


@cache
def _change(columns: tuple[str, ...]) -> Query:
    """One statement for all columns: two would overwrite each other on PostgreSQL."""
    values: dict[str, BindParameter[Any]] = {
        column: bindparam(f"new_{column}") for column in columns
    }
    return Query(update(production_orders_table).where(*_is_this).values(values))


def place(
    writes: Writes,
    now: Instant,
    *,
    citizen_id: int,
    application: Application,
    bank_code: str,
    outlet_code: str,
    confirmation: Confirmation = Confirmation.CONFIRMED,
) -> ProductionOrder:
    order_id = new_id(now)
    writes.add(
        _INSERT_ORDER,
        subject_id=citizen_id,
        id=order_id,
        application_id=application.id,
        bank_code=bank_code,
        outlet_code=outlet_code,
        batch_number=None,
        card_number=None,
        created_at=now,
        confirmation=confirmation.value,
        pending_change=None,
        close_reason=None,
        closed_at=None,
    )
    for node in NODES:
        writes.add(
            _INSERT_NODE,
            subject_id=citizen_id,
            order_id=order_id,
            node=node.position,
            result=_first_result(node).value,
            at=None,
            reason=None,
            revision=0,
            corrections=None,
        )
    return ProductionOrder(
        id=order_id,
        citizen_id=citizen_id,
        application=application,
        bank_code=bank_code,
        outlet_code=outlet_code,
        batch_number=None,
        card_number=None,
        created_at=now,
        nodes=tuple(NodeState(node, _first_result(node), None, None) for node in NODES),
        confirmation=confirmation,
    )


async def latest_progress(db: Reader, vault: Vault, citizen_id: int) -> Progress | None:
    row = await db.fetch_one(OF_CITIZEN, citizen_id=citizen_id)
    if row is None:
        return None
    nodes = [
        NodeState(NODES[node - 1], NODE_RESULTS[result], at, reason, revision, from_column(what))
        for node, result, at, reason, revision, what in sorted(_NODES.decode(row["nodes"]))
    ]
    order = _order(row, vault, nodes)
    return Progress(people.identity_of(row, vault, "citizen_"), order)


async def find_order(
    db: Reader, vault: Vault, citizen_id: int, application_number: str
) -> ProductionOrder | None:
    rows = await db.fetch(_BY_NUMBER, subject_id=citizen_id, number=application_number)
    return _order_from(rows, vault) if rows else None


async def orders_of(db: Reader, vault: Vault, citizen_ids: Iterable[int]) -> list[ProductionOrder]:
    """All orders of these citizens, oldest first."""
    rows = await fetch_in(db, _OF_CITIZENS, citizen_ids)
    return [
        _order_from(list(own), vault) for _, own in groupby(rows, key=lambda row: row["order_id"])
    ]


def set_nodes(writes: Writes, order: ProductionOrder, states: Iterable[NodeState]) -> None:
    """Writes new node states. A state with a time was reported and becomes a numbered change; without
    one, the node has only begun."""
    revision = order.position.revision
    for state in states:
        if state.at is not None:
            revision += 1
            writes.add(
                _ADD_CHANGE,
                subject_id=order.citizen_id,
                order_id=order.id,
                revision=revision,
                node=state.node.position,
                result=state.result.value,
                at=state.at,
                reason=state.reason,
                corrections=to_column(state.corrections),
            )
        stored = order.state_of(state.node)
        writes.add(
            _SET_NODE,
            of_subject=order.citizen_id,
            order=order.id,
            position=state.node.position,
            new_result=state.result.value,
            finished_at=state.at,
            why=state.reason,
            what=to_column(state.corrections),
            new_revision=stored.revision if state.at is None else revision,
        )


def change(
    writes: Writes,
    vault: Vault,
    order: ProductionOrder,
    *,
    confirmation: Confirmation | None = None,
    numbers: tuple[str | None, str | None] | None = None,
    outlet_code: str | None = None,
    pending: OrderChange | None = None,
    is_settled: bool = False,
    closure: Closure | None = None,
) -> None:
    """Changes what is not None; `numbers` are batch number and card number. `is_settled`: nothing is
    pending any more, as also with a `closure`."""
    changed: dict[str, str | bytes | int | None] = {}
    if confirmation is not None:
        changed["confirmation"] = confirmation.value
    if numbers is not None:
        batch, number = numbers
        changed["batch_number"] = batch
        changed["card_number"] = number and vault.seal(
            number, "production_orders.card_number", order.id
        )
    if outlet_code is not None:
        changed["outlet_code"] = outlet_code
    if pending is not None or is_settled or closure is not None:
        changed["pending_change"] = None if pending is None else pending.value
    if closure is not None:
        changed |= {"close_reason": closure.reason.value, "closed_at": closure.at}
    if changed:
        new = {f"new_{column}": value for column, value in changed.items()}
        writes.add(_change(tuple(changed)), of_subject=order.citizen_id, order=order.id, **new)


def _first_result(node: ProductionNode) -> NodeResult:
    return NodeResult.IN_PROGRESS if node is ProductionNode.INTAKE else NodeResult.PENDING


_NODES = msgspec.json.Decoder(list[tuple[int, str, Instant | None, str | None, int, str | None]])


def _order_from(rows: Sequence[Row], vault: Vault) -> ProductionOrder:
    nodes = [
        NodeState(
            NODES[row["node"] - 1],
            NODE_RESULTS[row["result"]],
            row["at"],
            row["reason"],
            row["revision"],
            from_column(row["corrections"]),
        )
        for row in rows
    ]
    return _order(rows[0], vault, nodes)


def _order(first: Row, vault: Vault, nodes: Iterable[NodeState]) -> ProductionOrder:
    order_id: int = first["order_id"]
    number, pending = first["order_card_number"], first["order_pending_change"]
    closed_for = first["order_close_reason"]
    return ProductionOrder(
        id=order_id,
        citizen_id=first["order_subject_id"],
        application=Application.from_row(first, "application_"),
        bank_code=first["order_bank_code"],
        outlet_code=first["order_outlet_code"],
        batch_number=first["order_batch_number"],
        card_number=None
        if number is None
        else Sealed(vault, number, "production_orders.card_number", order_id),
        created_at=first["order_created_at"],
        nodes=tuple(nodes),
        confirmation=CONFIRMATIONS[first["order_confirmation"]],
        pending_change=None if pending is None else ORDER_CHANGES[pending],
        closure=None
        if closed_for is None
        else Closure(CLOSE_REASONS[closed_for], first["order_closed_at"]),
    )
