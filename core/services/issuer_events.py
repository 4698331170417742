"""Events of the card issuer: node results, card numbers, temporary losses, locks, cancellations.

An event is taken once, by its id. It says what happened outside, so it is never refused to
a citizen: what contradicts the state here is kept aside for an operator, and looked at again
whenever another event of the same person comes. What the events come to is told by
`core/issuer/projections.py`; this writes what is new in it.
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
"""Events in one transaction: it holds the rows of their persons, and on SQLite the writer."""

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
class _Person:
    """Everything of one person that events may be about, and what has come of them."""

    citizen: Citizen
    events: Sequence[StoredEvent]
    orders: list[ProductionOrder] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    records: list[AuditRecord] = field(default_factory=list)
    nodes: list[tuple[ProductionOrder, Sequence[NodeState]]] = field(default_factory=list)
    numbers: list[tuple[int, str | None, str | None]] = field(default_factory=list)
    states: list[tuple[Card, Card]] = field(default_factory=list)


async def take_issuer_events(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> list[Outcome]:
    """One outcome for each event, in their order; at most 200 at once."""
    assert len(events) <= MAX_AT_ONCE
    vault = unit.dependencies.vault
    known = await event_store.known(unit.db, vault, (event.id for event in events))
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
    outcomes = await _take(unit, list(new.values())) if new else {}
    return [
        outcomes[event.id] if answer is None else answer
        for event, answer in zip(events, answers, strict=True)
    ]


async def _take(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> dict[str, Outcome]:
    about = await _persons_of(unit, events)
    persons = sorted({person for person in about.values() if person is not None})
    people = await citizens.lock_many(unit.db, unit.dependencies.vault, persons)
    pairs = [(event, about[event.id]) for event in events]
    await event_store.add(unit.db, unit.dependencies.vault, pairs, unit.now)
    outcomes = {event.id: Outcome.UNKNOWN_SUBJECT for event in events}
    told = await _gather(unit, people)
    taken = await _taken_numbers(unit, told)
    for person in told:
        await _tell(unit, person, taken)
        outcomes |= {id_: told for id_, told in person.outcomes.items() if id_ in outcomes}
    await _settle(unit, told)
    return outcomes


async def _persons_of(unit: UnitOfWork, events: Iterable[IssuerEvent]) -> dict[str, int | None]:
    """By event id: the owner of the order, or whoever has the social security number."""
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


async def _gather(unit: UnitOfWork, people: dict[int, Citizen]) -> list[_Person]:
    vault = unit.dependencies.vault
    events = await event_store.of_persons(unit.db, vault, people)
    found = {id_: _Person(citizen, events.get(id_, ())) for id_, citizen in sorted(people.items())}
    for order in await orders.orders_of(unit.db, vault, people):
        found[order.citizen_id].orders.append(order)
    for row in await fetch_in(unit.db, _CARDS_OF, people):
        found[row["citizen_id"]].cards.append(Card.from_row_raw(row, vault))
    return list(found.values())


async def _tell(unit: UnitOfWork, person: _Person, taken: set[str]) -> None:
    """Orders first: a card that one of them makes may be what other events are about."""
    for order in person.orders:
        mine = [
            kept for kept in person.events if kept.event.order_number == order.application.number
        ]
        if mine:
            await _tell_order(unit, person, order, mine, taken)
    for card in person.cards:
        mine = [kept for kept in person.events if _names(kept.event, card, unit)]
        if mine:
            await _tell_card(unit, person, card, mine)
    for kept in person.events:
        person.outcomes.setdefault(kept.id, _without_subject(kept))


def _names(event: IssuerEvent, card: Card, unit: UnitOfWork) -> bool:
    return event.type is not IssuerEventType.NODE_RESULT and card.has_number(
        normal_card_number(event.card_number or ""), unit.dependencies.vault
    )


# --- orders --------------------------------------------------------------------------------


async def _tell_order(
    unit: UnitOfWork,
    person: _Person,
    order: ProductionOrder,
    events: Sequence[StoredEvent],
    taken: set[str],
) -> None:
    readable = [kept for kept in events if kept.event.node and kept.event.result]
    in_time = [kept for kept in readable if not kept.is_in_future_of(unit.now)]
    told = project_order(order, in_time, taken=taken)
    person.outcomes |= dict.fromkeys((kept.id for kept in events), Outcome.CONTRADICTION)
    person.outcomes |= told.outcomes
    if order.confirmation is Confirmation.BEING_CONFIRMED:
        await orders.set_confirmation(unit.db, order.id, Confirmation.CONFIRMED)
    states = [told.nodes[node] for node in NODES if told.nodes[node] != order.state_of(node)]
    if states:
        person.nodes.append((order, states))
        unit.progress_of.add(order.citizen_id)
    stored = order.card_number.reveal() if order.card_number else None
    if (told.batch, told.number) != (order.batch_number, stored):
        person.numbers.append((order.id, told.batch, told.number))
        unit.progress_of.add(order.citizen_id)
    if told.ready_at is not None and not order.ready:
        await _issue_card(unit, person, order, told, told.ready_at, taken)


async def _taken_numbers(unit: UnitOfWork, people: Iterable[_Person]) -> set[str]:
    """Of the numbers for cards that may become ready now, those that a card of Chengdu has."""
    vault = unit.dependencies.vault
    numbers = {
        normal_card_number(kept.event.card_number)
        for person in people
        if any(kept.event.node is NODES[-1] for kept in person.events)
        for kept in person.events
        if kept.event.card_number and kept.event.result is NodeResult.DONE
    }
    indexes = {index: number for number in numbers for index in vault.indexes(number, NUMBER)}
    rows = await fetch_in(unit.db, _NUMBERS, indexes)
    return {indexes[bytes(row["number_index"])] for row in rows}


async def _issue_card(
    unit: UnitOfWork,
    person: _Person,
    order: ProductionOrder,
    told: OrderProjection,
    ready_at: Instant,
    taken: set[str],
) -> None:
    """Production reached 可领卡: the card exists, sealed."""
    assert told.number is not None
    taken.add(told.number)
    card_id = await cards.issue(
        unit.db,
        unit.dependencies.vault,
        unit.now,
        citizen_id=order.citizen_id,
        number=told.number,
        region_code=CHENGDU,
        bank_code=order.bank_code,
        batch_number=told.batch,
        issue_date=china_date(ready_at).isoformat(),
        state=CardState.SEALED,
    )
    rows = await fetch_in(unit.db, _CARDS_OF, [order.citizen_id])
    person.cards = [Card.from_row_raw(row, unit.dependencies.vault) for row in rows]
    person.records.append(_note(unit, person, Action.CARD_ISSUED, audit.DONE, card=card_id))
    await notices.send(unit, person.citizen, Notice.CARD_READY)


# --- cards ---------------------------------------------------------------------------------


async def _tell_card(
    unit: UnitOfWork, person: _Person, card: Card, events: Sequence[StoredEvent]
) -> None:
    told = project_card(card.snapshot, events, unit.now)
    person.outcomes |= told.outcomes
    before, after = card.as_of(unit.now), told.card.as_of(unit.now)
    if (after.state, after.state_since) == (before.state, before.state_since):
        return
    if before.state is CardState.CANCELLED:
        return
    person.states.append((card, told.card))
    if told.card.state is CardState.CANCELLED and card.snapshot.state is CardState.SEALED:
        # A new card that ends before its activation ends the application that made it.
        await applications.close(unit.db, person.citizen.id, unit.now)


# --- what became of them -------------------------------------------------------------------


async def _settle(unit: UnitOfWork, people: Sequence[_Person]) -> None:
    """Writes what changed, and an audit entry for each event that is taken now."""
    db, vault = unit.db, unit.dependencies.vault
    await orders.set_nodes(db, [change for person in people for change in person.nodes])
    await orders.set_cards(db, vault, [row for person in people for row in person.numbers])
    await cards.save_projection(db, [pair for person in people for pair in person.states])
    changed: list[tuple[str, Outcome, int]] = []
    records: list[AuditRecord] = []
    for person in people:
        for kept in person.events:
            outcome = person.outcomes[kept.id]
            if outcome is kept.outcome:
                continue
            changed.append((kept.id, outcome, person.citizen.id))
            if Outcome.TAKEN in (outcome, kept.outcome):
                records.append(_note_of(unit, person, kept.event, outcome))
        records += person.records
    if changed:
        await event_store.settle(unit.db, changed)
    if records:
        await audit.append(unit.db, unit.dependencies.seals, records)


def _without_subject(kept: StoredEvent) -> Outcome:
    """Of the person, but of no card or order of theirs; what was taken of one that is gone stays."""
    return Outcome.TAKEN if kept.outcome is Outcome.TAKEN else Outcome.UNKNOWN_SUBJECT


def _note_of(
    unit: UnitOfWork, person: _Person, event: IssuerEvent, outcome: Outcome
) -> AuditRecord:
    what = event.result or event.type
    result = what.value if outcome is Outcome.TAKEN else f"NOT {what.value}"
    if event.node is not None:
        return _note(unit, person, Action.ISSUER_EVENT, result, node=event.node.value)
    number = normal_card_number(event.card_number or "")
    card = next(card for card in person.cards if card.has_number(number, unit.dependencies.vault))
    return _note(unit, person, Action.ISSUER_EVENT, result, card=card.id)


def _note(
    unit: UnitOfWork, person: _Person, action: Action, result: str, **details: str | int
) -> AuditRecord:
    text = json.dumps(details, ensure_ascii=False, sort_keys=True)
    return AuditRecord(person.citizen.id, unit.now, action, result, ISSUER, 0, text)
