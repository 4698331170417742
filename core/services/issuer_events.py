"""Applies events of the card issuer: node results, temporary losses, locks, cancellations.

Each event is stored once, by its id. Events report facts, so none is refused: one that contradicts
the state here stays open for an operator and is evaluated again with every further event of the
same citizen. `core/issuer/projections.py` computes the states; this module writes the differences.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from core import audit
from core.applications import applications
from core.applications import applications_table as application_rows
from core.audit import ISSUER, Action, AuditRecord
from core.cards import CHENGDU, NUMBER, Card, CardState, cards
from core.citizens import Citizen, Notice, citizens
from core.db import Query, fetch_in, in_batch
from core.issuer import (
    IssuerEvent,
    IssuerEventType,
    OrderProjection,
    Outcome,
    StoredEvent,
    event_store,
    project_card,
    project_order,
)
from core.kernel.clock import Instant, china_date
from core.kernel.confirmation import Confirmation
from core.messaging import notices
from core.production import NODES, NodeResult, NodeState, ProductionOrder, orders
from core.reference import normal_card_number
from core.unit_of_work import UnitOfWork

MAX_AT_ONCE = 200
"""Events per transaction: it locks the rows of their citizens, and on SQLite the only writer."""

_OWNERS = Query(
    select(application_rows.c.number, application_rows.c.citizen_id).where(
        in_batch(application_rows.c.number)
    )
)
_CARDS_OF = Query(
    select(cards.cards_table)
    .where(in_batch(cards.cards_table.c.citizen_id))
    .order_by(cards.cards_table.c.id)
)
_NUMBERS = Query(
    select(cards.cards_table.c.number_index).where(
        cards.cards_table.c.region_code == CHENGDU, in_batch(cards.cards_table.c.number_index)
    )
)


@dataclass(slots=True)
class _CitizenEvents:
    """A citizen with everything that events can be about, and the changes to be written."""

    citizen: Citizen
    events: Sequence[StoredEvent]
    orders: list[ProductionOrder] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    records: list[AuditRecord] = field(default_factory=list)
    nodes: list[tuple[ProductionOrder, Sequence[NodeState]]] = field(default_factory=list)
    numbers: list[tuple[int, str | None, str | None]] = field(default_factory=list)
    states: list[tuple[Card, Card]] = field(default_factory=list)


async def apply_issuer_events(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> list[Outcome]:
    """Returns one outcome per event, in the same order. At most `MAX_AT_ONCE` events."""
    assert len(events) <= MAX_AT_ONCE
    vault = unit.dependencies.vault
    known = await event_store.find(unit.db, vault, (event.id for event in events))
    new: dict[str, IssuerEvent] = {}
    answers: list[Outcome | None] = []
    for event in events:
        before = known.get(event.id) or new.get(event.id)
        if event.id not in known and before is None:
            new[event.id] = event
            answers.append(None)
        else:
            same = before is None or before == event
            answers.append(Outcome.REPEATED if same else Outcome.CONTRADICTION)
    outcomes = await _apply_new(unit, list(new.values())) if new else {}
    return [
        outcomes[event.id] if answer is None else answer
        for event, answer in zip(events, answers, strict=True)
    ]


async def _apply_new(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> dict[str, Outcome]:
    about = await _citizens_of(unit, events)
    ids = sorted({subject for subject in about.values() if subject is not None})
    people = await citizens.lock_many(unit.db, unit.dependencies.vault, ids)
    pairs = [(event, about[event.id]) for event in events]
    await event_store.add(unit.db, unit.dependencies.vault, pairs, unit.now)
    outcomes = {event.id: Outcome.UNKNOWN_SUBJECT for event in events}
    subjects = await _gather(unit, people)
    used_numbers = await _used_numbers(unit, subjects)
    for subject in subjects:
        await _project(unit, subject, used_numbers)
        outcomes |= {id_: found for id_, found in subject.outcomes.items() if id_ in outcomes}
    await _settle(unit, subjects)
    return outcomes


async def _citizens_of(unit: UnitOfWork, events: Iterable[IssuerEvent]) -> dict[str, int | None]:
    """Citizen ids by event id: the order's applicant, or the owner of the social security number."""
    numbers = {event.order_number for event in events if event.order_number}
    owners = {
        row["number"]: int(row["citizen_id"])
        for row in await fetch_in(unit.db, _OWNERS, sorted(numbers))
    }
    named = {event.social_security_number for event in events if event.social_security_number}
    people = await citizens.ids_of_numbers(unit.db, unit.dependencies.vault, sorted(named))
    return {
        event.id: owners.get(event.order_number or "")
        if event.type is IssuerEventType.NODE_RESULT
        else people.get(event.social_security_number or "")
        for event in events
    }


async def _gather(unit: UnitOfWork, people: dict[int, Citizen]) -> list[_CitizenEvents]:
    vault = unit.dependencies.vault
    events = await event_store.of_citizens(unit.db, vault, people)
    found = {
        id_: _CitizenEvents(citizen, events.get(id_, ())) for id_, citizen in sorted(people.items())
    }
    for order in await orders.orders_of(unit.db, vault, people):
        found[order.citizen_id].orders.append(order)
    for row in await fetch_in(unit.db, _CARDS_OF, people):
        found[row["citizen_id"]].cards.append(Card.from_row_raw(row, vault))
    return list(found.values())


async def _project(unit: UnitOfWork, subject: _CitizenEvents, used_numbers: set[str]) -> None:
    """Orders first: other events may be about a card that one of the orders issues."""
    for order in subject.orders:
        own = [
            entry
            for entry in subject.events
            if entry.event.order_number == order.application.number
        ]
        if own:
            await _project_order(unit, subject, order, own, used_numbers)
    for card in subject.cards:
        own = [entry for entry in subject.events if _names(entry.event, card, unit)]
        if own:
            await _project_card(unit, subject, card, own)
    for entry in subject.events:
        subject.outcomes.setdefault(entry.id, _without_subject(entry))


def _names(event: IssuerEvent, card: Card, unit: UnitOfWork) -> bool:
    return event.type is not IssuerEventType.NODE_RESULT and card.has_number(
        normal_card_number(event.card_number or ""), unit.dependencies.vault
    )


# --- orders --------------------------------------------------------------------------------


async def _project_order(
    unit: UnitOfWork,
    subject: _CitizenEvents,
    order: ProductionOrder,
    events: Sequence[StoredEvent],
    used_numbers: set[str],
) -> None:
    readable = [entry for entry in events if entry.event.node and entry.event.result]
    in_time = [entry for entry in readable if not entry.is_in_future_of(unit.now)]
    projection = project_order(order, in_time, used_numbers=used_numbers)
    subject.outcomes |= dict.fromkeys((entry.id for entry in events), Outcome.CONTRADICTION)
    subject.outcomes |= projection.outcomes
    if order.confirmation is Confirmation.BEING_CONFIRMED:
        await orders.set_confirmation(unit.db, order.id, Confirmation.CONFIRMED)
    states = [
        projection.nodes[node] for node in NODES if projection.nodes[node] != order.state_of(node)
    ]
    if states:
        subject.nodes.append((order, states))
        unit.progress_of.add(order.citizen_id)
    number = order.card_number.reveal() if order.card_number else None
    if (projection.batch, projection.number) != (order.batch_number, number):
        subject.numbers.append((order.id, projection.batch, projection.number))
        unit.progress_of.add(order.citizen_id)
    if projection.ready_at is not None and not order.ready:
        await _issue_card(unit, subject, order, projection, projection.ready_at, used_numbers)


async def _used_numbers(unit: UnitOfWork, subjects: Iterable[_CitizenEvents]) -> set[str]:
    """Of the card numbers that may be issued now, those that a card of Chengdu already has."""
    vault = unit.dependencies.vault
    numbers = {
        normal_card_number(entry.event.card_number)
        for subject in subjects
        if any(entry.event.node is NODES[-1] for entry in subject.events)
        for entry in subject.events
        if entry.event.card_number and entry.event.result is NodeResult.DONE
    }
    indexes = {index: number for number in numbers for index in vault.indexes(number, NUMBER)}
    rows = await fetch_in(unit.db, _NUMBERS, indexes)
    return {indexes[bytes(row["number_index"])] for row in rows}


async def _issue_card(
    unit: UnitOfWork,
    subject: _CitizenEvents,
    order: ProductionOrder,
    projection: OrderProjection,
    ready_at: Instant,
    used_numbers: set[str],
) -> None:
    """Production reached 可领卡: adds the card in state 封存."""
    assert projection.number is not None
    used_numbers.add(projection.number)
    card_id = await cards.issue(
        unit.db,
        unit.dependencies.vault,
        unit.now,
        citizen_id=order.citizen_id,
        number=projection.number,
        region_code=CHENGDU,
        bank_code=order.bank_code,
        batch_number=projection.batch,
        issue_date=china_date(ready_at).isoformat(),
        state=CardState.SEALED,
    )
    rows = await fetch_in(unit.db, _CARDS_OF, [order.citizen_id])
    subject.cards = [Card.from_row_raw(row, unit.dependencies.vault) for row in rows]
    subject.records.append(
        _audit_record(unit, subject, Action.CARD_ISSUED, audit.DONE, card=card_id)
    )
    await notices.send(unit, subject.citizen, Notice.CARD_READY)


# --- cards ---------------------------------------------------------------------------------


async def _project_card(
    unit: UnitOfWork, subject: _CitizenEvents, card: Card, events: Sequence[StoredEvent]
) -> None:
    projection = project_card(card.snapshot, events, unit.now)
    subject.outcomes |= projection.outcomes
    before, after = card.as_of(unit.now), projection.card.as_of(unit.now)
    if (after.state, after.state_since) == (before.state, before.state_since):
        return
    if before.state is CardState.CANCELLED:
        return
    subject.states.append((card, projection.card))
    if projection.card.state is CardState.CANCELLED and card.snapshot.state is CardState.SEALED:
        # A new card that is cancelled before its activation closes its application.
        await applications.close(unit.db, subject.citizen.id, unit.now)


# --- writing -------------------------------------------------------------------------------


async def _settle(unit: UnitOfWork, subjects: Sequence[_CitizenEvents]) -> None:
    """Writes the changes, and an audit entry for each event whose effect is new or withdrawn."""
    db, vault = unit.db, unit.dependencies.vault
    await orders.set_nodes(db, [change for subject in subjects for change in subject.nodes])
    await orders.set_cards(db, vault, [row for subject in subjects for row in subject.numbers])
    await cards.save_projection(db, [pair for subject in subjects for pair in subject.states])
    changed: list[tuple[str, Outcome, int]] = []
    records: list[AuditRecord] = []
    for subject in subjects:
        for entry in subject.events:
            outcome = subject.outcomes[entry.id]
            if outcome is entry.outcome:
                continue
            changed.append((entry.id, outcome, subject.citizen.id))
            if Outcome.TAKEN in (outcome, entry.outcome):
                records.append(_event_record(unit, subject, entry.event, outcome))
        records += subject.records
    if changed:
        await event_store.settle(unit.db, changed)
    if records:
        await audit.append(unit.db, unit.dependencies.seals, records)


def _without_subject(entry: StoredEvent) -> Outcome:
    """The event names none of the citizen's cards or orders. One that had an effect keeps its outcome."""
    return Outcome.TAKEN if entry.outcome is Outcome.TAKEN else Outcome.UNKNOWN_SUBJECT


def _event_record(
    unit: UnitOfWork, subject: _CitizenEvents, event: IssuerEvent, outcome: Outcome
) -> AuditRecord:
    what = event.result or event.type
    result = what.value if outcome is Outcome.TAKEN else f"NOT {what.value}"
    if event.node is not None:
        return _audit_record(unit, subject, Action.ISSUER_EVENT, result, node=event.node.value)
    number = normal_card_number(event.card_number or "")
    card = next(card for card in subject.cards if card.has_number(number, unit.dependencies.vault))
    return _audit_record(unit, subject, Action.ISSUER_EVENT, result, card=card.id)


def _audit_record(
    unit: UnitOfWork, subject: _CitizenEvents, action: Action, result: str, **details: str | int
) -> AuditRecord:
    text = json.dumps(details, ensure_ascii=False, sort_keys=True)
    return AuditRecord(subject.citizen.id, unit.now, action, result, ISSUER, 0, text)
