"""What all events of one order, or of one card, come to: the same in whatever order they came.

A node's result is told from all results of that node, and only once the node before it is done:
what came early waits. Of what cannot all be true, nothing is guessed: the earliest result stands
and the rest contradicts it. A card's state is told from its base (what the citizen did last, or
how it was issued) and everything that happened since, one after the other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.cards import Card
from core.issuer.event_store import CLOCK_SKEW, IssuerEvent, IssuerEventType, Outcome, StoredEvent
from core.kernel import lengths
from core.kernel.clock import Instant
from core.kernel.masking import redact_numbers
from core.kernel.refusals import Refusal
from core.production import NODES, NodeResult, NodeState, ProductionNode, ProductionOrder
from core.reference import normal_card_number

# --- an order ------------------------------------------------------------------------------


@dataclass(slots=True)
class OrderProjection:
    """`number` and `batch` as the issuer gave them; `outcomes` by event id."""

    number: str | None
    batch: str | None
    nodes: dict[ProductionNode, NodeState] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def ready_at(self) -> Instant | None:
        last = self.nodes[NODES[-1]]
        return last.at if last.result is NodeResult.DONE else None


def project_order(
    order: ProductionOrder, events: Sequence[StoredEvent], *, taken: Collection[str]
) -> OrderProjection:
    """`events` are the node results of this order; `taken` are numbers of other cards."""
    stored = order.card_number.reveal() if order.card_number else None
    reported = {_number(kept.event) for kept in events if kept.event.result is NodeResult.DONE}
    told = OrderProjection(
        stored if order.ready or stored not in reported else None, order.batch_number
    )
    open_ = True
    for node in NODES:
        mine = [kept for kept in events if kept.event.node is node]
        if not open_:
            told.nodes[node] = order.state_of(node)
            told.outcomes |= dict.fromkeys((kept.id for kept in mine), Outcome.WAITING)
        else:
            told.nodes[node] = _tell_node(order, told, order.state_of(node), mine, taken)
            open_ = told.nodes[node].result is NodeResult.DONE
    return told


def _tell_node(
    order: ProductionOrder,
    told: OrderProjection,
    stored: NodeState,
    events: Sequence[StoredEvent],
    taken: Collection[str],
) -> NodeState:
    done = [kept for kept in events if kept.event.result is NodeResult.DONE]
    was_done = stored.result is NodeResult.DONE
    told.outcomes |= dict.fromkeys((kept.id for kept in done), Outcome.CONTRADICTION)
    first = next((kept for kept in done if kept.event.at == stored.at), None) if was_done else None
    if was_done and (first is None or order.ready):
        done = [first] if first is not None else []
    else:
        done = [kept for kept in done if _may_be_done(order, told, kept.event, taken)]
    if not done and not was_done:
        return _tell_unfinished(told, stored, events)
    at = done[0].event.at if done else stored.at
    if done:
        event = done[0].event
        told.outcomes[event.id] = Outcome.TAKEN
        told.number = told.number or _number(event)
        told.batch = event.batch_number or told.batch
    _mark_superseded_events(told, events, at or 0)
    return NodeState(stored.node, NodeResult.DONE, at, None, stored.revision)


def _may_be_done(
    order: ProductionOrder, told: OrderProjection, event: IssuerEvent, taken: Collection[str]
) -> bool:
    """One card number throughout; at the end there is one, and it is no other card's."""
    number = _number(event)
    if number is not None and told.number is not None and number != told.number:
        return False
    if event.node is not NODES[-1] or order.ready:
        return True
    number = told.number or number
    return number is not None and number not in taken


def _tell_unfinished(
    told: OrderProjection, stored: NodeState, events: Sequence[StoredEvent]
) -> NodeState:
    """The newest result stands; the node is under way where there is none."""
    own = [
        kept for kept in events if kept.event.result in (NodeResult.FAILED, NodeResult.IN_PROGRESS)
    ]
    _mark_superseded_events(told, events, own[-1].event.at if own else 0)
    if own and own[-1].event.at >= (stored.at or 0):
        event = own[-1].event
        assert event.result is not None
        reason = event.reason and redact_numbers(event.reason)[: lengths.NODE_REASON]
        return NodeState(stored.node, event.result, event.at, reason, stored.revision)
    if stored.result is NodeResult.PENDING:
        return NodeState(stored.node, NodeResult.IN_PROGRESS, None, None, stored.revision)
    return stored


def _mark_superseded_events(
    told: OrderProjection, events: Sequence[StoredEvent], until: Instant
) -> None:
    for kept in events:
        if kept.event.result in (NodeResult.FAILED, NodeResult.IN_PROGRESS):
            fits = kept.event.at <= until
            told.outcomes[kept.id] = Outcome.TAKEN if fits else Outcome.CONTRADICTION
        elif kept.event.result is not NodeResult.DONE:
            told.outcomes[kept.id] = Outcome.CONTRADICTION


def _number(event: IssuerEvent) -> str | None:
    return normal_card_number(event.card_number) if event.card_number else None


# --- a card --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CardProjection:
    card: Card
    outcomes: Mapping[str, Outcome]


def project_card(base: Card, events: Sequence[StoredEvent], now: Instant) -> CardProjection:
    """`base` as the citizen left it at `snapshot_since`; `events` are those that name this card.

    What had come by then happened before, and so did what the issuer dates before that: it changes
    nothing any more. Of the rest the issuer's clock tells, with some leave.
    """
    settled = [kept for kept in events if kept.received_at < base.snapshot_since]
    happened = [kept.event.at for kept in settled if not kept.is_in_future_of(kept.received_at)]
    oldest = max([base.snapshot_since - CLOCK_SKEW, *happened])
    card, outcomes = base, {kept.id: kept.outcome for kept in settled}
    for kept in events:
        if kept.id in outcomes:
            continue
        outcomes[kept.id] = Outcome.CONTRADICTION
        if kept.event.at < oldest or kept.is_in_future_of(now):
            continue
        try:
            card = _moved(card.as_of(kept.event.at), kept.event)
        except Refusal:
            continue
        outcomes[kept.id] = Outcome.TAKEN
    return CardProjection(card, outcomes)


def _moved(card: Card, event: IssuerEvent) -> Card:
    """Raises `Refusal` where the card's state does not allow it."""
    if event.type is IssuerEventType.TEMPORARY_LOSS:
        return card.temporary_loss(event.at)
    if event.type is IssuerEventType.LOCK:
        return card.lock(event.at)
    if event.type is IssuerEventType.UNLOCK:
        return card.unlock(event.at)
    return card.cancel(event.at)
