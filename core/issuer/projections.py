"""Pure reducers: rebuild an order's or a card's state from all its events.

The result does not depend on arrival order. A node's result is computed from all its results, once
the node before it is done; earlier arrivals wait. Of results that exclude each other the earliest
is applied and the others are contradictions. A card's state is computed from its snapshot (as issued,
or as its citizen left it) and all later events, in the order in which they happened.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.cards import Card, CardState
from core.issuer.event_store import (
    ISSUER_CLOCK_SKEW,
    IssuerEvent,
    IssuerEventType,
    Outcome,
    StoredEvent,
)
from core.kernel import lengths
from core.kernel.clock import Instant
from core.kernel.masking import redact_numbers
from core.kernel.refusals import Refusal
from core.production import (
    NODES,
    CloseReason,
    Closure,
    NodeResult,
    NodeState,
    ProductionNode,
    ProductionOrder,
    in_order,
)
from core.reference import spelling

# --- an order ------------------------------------------------------------------------------


@dataclass(slots=True)
class OrderProjection:
    """`number` is the card number, `batch` the batch number; `outcomes` are keyed by event id."""

    number: str | None
    batch: str | None
    nodes: dict[ProductionNode, NodeState] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    closure: Closure | None = None

    @property
    def ready_at(self) -> Instant | None:
        last = self.nodes[NODES[-1]]
        return last.at if last.result is NodeResult.DONE else None


def project_order(
    order: ProductionOrder, events: Sequence[StoredEvent], *, used_numbers: Collection[str]
) -> OrderProjection:
    """`events` are this order's; `used_numbers` are the card numbers of other cards.

    A closed order stays closed: what happened later contradicts, and no card comes of it. A card that
    was issued first contradicts the closure: only its cancellation closes the application then.
    """
    closings = [entry for entry in events if entry.event.type is IssuerEventType.ORDER_CLOSED]
    results = [entry for entry in events if entry not in closings]
    closure = order.closure or (_closure_of(closings[0]) if closings and not order.ready else None)
    if closure is None:
        projection = _project_nodes(order, results, used_numbers)
    else:
        in_time = [entry for entry in results if entry.event.at <= closure.at]
        projection = _project_nodes(order, in_time, used_numbers)
        if order.closure is None and projection.ready_at is not None:
            closure = None
            projection = _project_nodes(order, results, used_numbers)
    projection.closure = closure
    outcome = Outcome.CONTRADICTION if closure is None else Outcome.TAKEN
    projection.outcomes |= {entry.id: outcome for entry in closings}
    return projection


def _closure_of(entry: StoredEvent) -> Closure:
    assert entry.event.close_reason is not None
    return Closure(entry.event.close_reason, entry.event.at)


def _project_nodes(
    order: ProductionOrder, events: Sequence[StoredEvent], used_numbers: Collection[str]
) -> OrderProjection:
    stored = order.card_number.reveal() if order.card_number else None
    reported = {_number(entry.event) for entry in events if entry.event.result is NodeResult.DONE}
    projection = OrderProjection(
        stored if order.ready or stored not in reported else None, order.batch_number
    )
    is_open = True
    for node in NODES:
        own_events = [entry for entry in events if entry.event.node is node]
        if not is_open:
            projection.nodes[node] = order.state_of(node)
            projection.outcomes |= dict.fromkeys(
                (entry.id for entry in own_events), Outcome.WAITING
            )
        else:
            projection.nodes[node] = _project_node(
                order, projection, order.state_of(node), own_events, used_numbers
            )
            is_open = projection.nodes[node].result is NodeResult.DONE
    return projection


def _project_node(
    order: ProductionOrder,
    projection: OrderProjection,
    stored: NodeState,
    events: Sequence[StoredEvent],
    used_numbers: Collection[str],
) -> NodeState:
    done = [entry for entry in events if entry.event.result is NodeResult.DONE]
    was_done = stored.result is NodeResult.DONE
    projection.outcomes |= dict.fromkeys((entry.id for entry in done), Outcome.CONTRADICTION)
    first = (
        next((entry for entry in done if entry.event.at == stored.at), None) if was_done else None
    )
    if was_done and (first is None or order.ready):
        done = [first] if first is not None else []
    else:
        done = [
            entry for entry in done if _may_be_done(order, projection, entry.event, used_numbers)
        ]
    if not done and not was_done:
        return _project_unfinished(projection, stored, events)
    at = done[0].event.at if done else stored.at
    if done:
        event = done[0].event
        projection.outcomes[event.id] = Outcome.TAKEN
        projection.number = projection.number or _number(event)
        projection.batch = event.batch_number or projection.batch
    _mark_superseded_events(projection, events, at or 0)
    return NodeState(stored.node, NodeResult.DONE, at, None, stored.revision)


def _may_be_done(
    order: ProductionOrder,
    projection: OrderProjection,
    event: IssuerEvent,
    used_numbers: Collection[str],
) -> bool:
    """An order has one card number; at the last node it is required and no other card may have it."""
    number = _number(event)
    if number is not None and projection.number is not None and number != projection.number:
        return False
    if event.node is not NODES[-1] or order.ready:
        return True
    if order.closure is not None:
        return False
    number = projection.number or number
    return number is not None and number not in used_numbers


def _project_unfinished(
    projection: OrderProjection, stored: NodeState, events: Sequence[StoredEvent]
) -> NodeState:
    """The newest report that it is under way or stands; IN_PROGRESS where there is none."""
    own = [entry for entry in events if entry.event.result in _UNFINISHED]
    _mark_superseded_events(projection, events, own[-1].event.at if own else 0)
    if own and own[-1].event.at >= (stored.at or 0):
        event = own[-1].event
        assert event.result is not None
        reason = event.reason and redact_numbers(event.reason)[: lengths.NODE_REASON]
        is_asked = event.result is NodeResult.NEEDS_CORRECTION
        corrections = in_order(event.corrections) if is_asked else ()
        return NodeState(stored.node, event.result, event.at, reason, stored.revision, corrections)
    if stored.result is NodeResult.PENDING:
        return NodeState(stored.node, NodeResult.IN_PROGRESS, None, None, stored.revision)
    return stored


_UNFINISHED = (NodeResult.FAILED, NodeResult.IN_PROGRESS, NodeResult.NEEDS_CORRECTION)


def _mark_superseded_events(
    projection: OrderProjection, events: Sequence[StoredEvent], until: Instant
) -> None:
    for entry in events:
        if entry.event.result in _UNFINISHED:
            fits = entry.event.at <= until
            projection.outcomes[entry.id] = Outcome.TAKEN if fits else Outcome.CONTRADICTION
        elif entry.event.result is not NodeResult.DONE:
            projection.outcomes[entry.id] = Outcome.CONTRADICTION


def _number(event: IssuerEvent) -> str | None:
    return spelling.upper(event.card_number) if event.card_number else None


# --- a card --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CardProjection:
    card: Card
    outcomes: Mapping[str, Outcome]


def project_card(base: Card, events: Sequence[StoredEvent], now: Instant) -> CardProjection:
    """`base` is the card's snapshot; `events` are those that name this card.

    Events that were received before `snapshot_since` are part of the snapshot, and so are events
    that happened before the newest of them. The others are applied in order of `at`; the issuer's
    clock may differ from ours by `ISSUER_CLOCK_SKEW`.
    """
    settled = [entry for entry in events if entry.received_at < base.snapshot_since]
    happened = [entry.event.at for entry in settled if not entry.is_in_future_of(entry.received_at)]
    oldest = max([base.snapshot_since - ISSUER_CLOCK_SKEW, *happened])
    card, outcomes = base, {entry.id: entry.outcome for entry in settled}
    for entry in events:
        if entry.id in outcomes:
            continue
        outcomes[entry.id] = Outcome.CONTRADICTION
        if entry.event.at < oldest or entry.is_in_future_of(now):
            continue
        try:
            card = _apply(card.as_of(entry.event.at), entry.event)
        except Refusal:
            continue
        outcomes[entry.id] = Outcome.TAKEN
    return CardProjection(card, outcomes)


def _apply(card: Card, event: IssuerEvent) -> Card:
    """Raises `Refusal` if the card's state does not allow the transition."""
    if event.type is IssuerEventType.TEMPORARY_LOSS:
        return card.temporary_loss(event.at)
    if event.type is IssuerEventType.LOCK:
        return card.lock(event.at)
    if event.type is IssuerEventType.UNLOCK:
        return card.unlock(event.at)
    if event.type is IssuerEventType.ACTIVATE:
        return card.activate_at_outlet(event.at)
    if event.close_reason is CloseReason.DECEASED and card.state is CardState.CANCELLED:
        return card
    return card.cancel(event.at)
