"""Events of the card issuer: node results, card numbers, temporary losses, locks, cancellations.

An event is taken once, by its id. It says what happened outside, so it is never refused to
a citizen: what contradicts the state here is kept aside for an operator. Node results may
come in any order: the card is issued with the one that completes the six.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import BigInteger, Column, String, Table, bindparam, select

from core import applications, audit, cards, citizens, holders, notices, production
from core.audit import Action
from core.cards import CHENGDU, NUMBER, Card, CardState
from core.clock import Instant, china_date
from core.database import Query, metadata
from core.errors import Refusal
from core.forms import normal_card_number
from core.lookups import index_is, named
from core.notification_settings import Notice
from core.production import NODES, NodeResult, NodeState, ProductionNode, ProductionOrder
from core.unit import Unit

issuer_events = Table(
    "issuer_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("type", String(24), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("outcome", String(24), nullable=False),
)

_TAKE = Query(
    lambda insert: (
        insert(issuer_events)
        .values(
            id=bindparam("id"),
            type=bindparam("type"),
            received_at=bindparam("at"),
            outcome=bindparam("outcome"),
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(issuer_events.c.id)
    )
)
_SETTLE = Query(
    issuer_events.update()
    .where(issuer_events.c.id == bindparam("event_id"))
    .values(outcome=bindparam("new_outcome"))
)
_CARD_OF_NUMBER = Query(
    select(cards.cards.c.id).where(
        cards.cards.c.region_code == CHENGDU,
        index_is(cards.cards.c.number_index, "number_index"),
    )
)


class IssuerEventType(StrEnum):
    NODE_RESULT = "NODE_RESULT"
    TEMPORARY_LOSS = "TEMPORARY_LOSS"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    CANCEL = "CANCEL"


class Outcome(StrEnum):
    TAKEN = "TAKEN"
    REPEATED = "REPEATED"
    CONTRADICTION = "CONTRADICTION"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"


@dataclass(frozen=True, slots=True)
class IssuerEvent:
    """`at` is when it happened. Node results name an order, the others a card and its person."""

    id: str
    type: IssuerEventType
    at: Instant
    order_number: str | None = None
    node: ProductionNode | None = None
    result: NodeResult | None = None
    reason: str | None = None
    batch_number: str | None = None
    card_number: str | None = field(default=None, repr=False)
    social_security_number: str | None = field(default=None, repr=False)


async def take_issuer_event(unit: Unit, event: IssuerEvent) -> Outcome:
    taken = await unit.db.fetch_one(
        _TAKE, id=event.id, type=event.type.value, at=unit.now, outcome=Outcome.TAKEN.value
    )
    if taken is None:
        return Outcome.REPEATED
    if event.type is IssuerEventType.NODE_RESULT:
        outcome = await _take_node_result(unit, event)
    else:
        outcome = await _take_card_event(unit, event)
    if outcome is not Outcome.TAKEN:
        await unit.db.fetch(_SETTLE, event_id=event.id, new_outcome=outcome.value)
    return outcome


async def _take_node_result(unit: Unit, event: IssuerEvent) -> Outcome:
    vault = unit.tools.vault
    owner = await production.owner_of(unit.db, event.order_number or "")
    if owner is None or event.node is None or event.result is None:
        return Outcome.UNKNOWN_SUBJECT
    await citizens.lock(unit.db, owner)
    order = await production.find_order(unit.db, vault, event.order_number or "")
    assert order is not None
    if order.state_of(event.node).result is NodeResult.DONE:
        return Outcome.CONTRADICTION
    reported = NodeState(event.node, event.result, event.at, event.reason)
    nodes = {state.node: state for state in (*order.nodes, reported)}
    complete = all(state.result is NodeResult.DONE for state in nodes.values())
    if complete and not await _is_free(unit, _number_of(order, event)):
        return Outcome.CONTRADICTION
    await production.set_node(unit.db, order.id, reported)
    await _start_next(unit, order, nodes)
    await _note_card(unit, order, event)
    await audit.record(unit, owner, Action.ISSUER_EVENT, event.result.value, node=event.node.value)
    if complete:
        await _issue_card(unit, order, event, nodes[NODES[-1]].at or event.at)
    unit.progress_of.add(owner)
    return Outcome.TAKEN


async def _is_free(unit: Unit, number: str | None) -> bool:
    """Whether there is a number, and no card of Chengdu has it yet."""
    if number is None:
        return False
    indexes = unit.tools.vault.indexes(number, NUMBER)
    return await unit.db.fetch_one(_CARD_OF_NUMBER, **named("number_index", indexes)) is None


def _number_of(order: ProductionOrder, event: IssuerEvent) -> str | None:
    if event.card_number:
        return normal_card_number(event.card_number)
    return order.card_number.reveal() if order.card_number else None


async def _start_next(
    unit: Unit, order: ProductionOrder, nodes: Mapping[ProductionNode, NodeState]
) -> None:
    """The first node that is not done is under way."""
    following = next((node for node in NODES if nodes[node].result is not NodeResult.DONE), None)
    if following is not None and nodes[following].result is NodeResult.PENDING:
        await production.set_node(
            unit.db, order.id, NodeState(following, NodeResult.IN_PROGRESS, None, None)
        )


async def _note_card(unit: Unit, order: ProductionOrder, event: IssuerEvent) -> None:
    known = order.card_number.reveal() if order.card_number else None
    number = _number_of(order, event)
    batch = event.batch_number or order.batch_number
    if (batch, number) != (order.batch_number, known):
        await production.set_card(unit.db, unit.tools.vault, order.id, batch, number)


async def _issue_card(
    unit: Unit, order: ProductionOrder, event: IssuerEvent, ready_at: Instant
) -> None:
    """Production reached 可领卡: the card exists, sealed."""
    vault = unit.tools.vault
    number = _number_of(order, event)
    assert number is not None
    card_id = await cards.issue(
        unit.db,
        vault,
        unit.now,
        citizen_id=order.citizen_id,
        number=number,
        region_code=CHENGDU,
        bank_code=order.bank_code,
        batch_number=event.batch_number or order.batch_number,
        issue_date=china_date(ready_at).isoformat(),
        state=CardState.SEALED,
    )
    await audit.record(unit, order.citizen_id, Action.CARD_ISSUED, card=card_id)
    citizen = await citizens.find(unit.db, vault, order.citizen_id)
    assert citizen is not None
    await notices.send(unit, citizen, Notice.CARD_READY)


async def _take_card_event(unit: Unit, event: IssuerEvent) -> Outcome:
    vault = unit.tools.vault
    citizen = await citizens.find_by_number(unit.db, vault, event.social_security_number or "")
    if citizen is None:
        return Outcome.UNKNOWN_SUBJECT
    holder = await holders.lock(unit.db, vault, unit.now, citizen.id)
    number = normal_card_number(event.card_number or "")
    card = next((card for card in holder.cards if card.has_number(number, vault)), None)
    if card is None:
        return Outcome.UNKNOWN_SUBJECT
    try:
        moved = _moved(card, event)
    except Refusal:
        return Outcome.CONTRADICTION
    await cards.save_state(unit.db, moved)
    if moved.state is CardState.CANCELLED and _application_rests_on(holder, card):
        await applications.close(unit.db, citizen.id, unit.now)
    await audit.record(unit, citizen.id, Action.ISSUER_EVENT, event.type.value, card=card.id)
    return Outcome.TAKEN


def _moved(card: Card, event: IssuerEvent) -> Card:
    if event.type is IssuerEventType.TEMPORARY_LOSS:
        return card.temporary_loss(event.at)
    if event.type is IssuerEventType.LOCK:
        return card.lock(event.at)
    if event.type is IssuerEventType.UNLOCK:
        return card.unlock(event.at)
    return card.cancel(event.at)


def _application_rests_on(holder: holders.Holder, card: Card) -> bool:
    """A new card that is cancelled before its activation ends the application that made it."""
    return holder.application is not None and card.state is CardState.SEALED
