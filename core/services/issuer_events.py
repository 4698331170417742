"""Applies events of the card issuer: node results, closed orders, temporary losses, locks, cancellations.

Each event is stored once, by its id. Events report facts, so none is refused: one that contradicts
the state here stays open for an operator and is evaluated again with every further event of the
same citizen. `core/issuer/projections.py` computes the states; this module writes the differences.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from core import audit
from core.applications import applications
from core.audit import ISSUER, Action, AuditRecord
from core.cards import CHENGDU, Card, CardState, cards
from core.citizens import Citizen, Notice, citizens
from core.issuer import (
    IssuerEvent,
    IssuerEventType,
    OrderProjection,
    Outcome,
    StoredEvent,
    deaths,
    event_store,
    project_card,
    project_order,
)
from core.kernel.clock import Instant, china_date
from core.kernel.confirmation import Confirmation
from core.kernel.texts import Text
from core.messaging import notices
from core.production import (
    NODE_NAMES,
    NODES,
    CloseReason,
    Closure,
    NodeResult,
    ProductionOrder,
    collection,
    orders,
)
from core.reference import spelling
from core.unit_of_work import UnitOfWork

MAX_AT_ONCE = 200
"""Events per unit of work: others who change one of their citizens meanwhile make it run again."""


@dataclass(slots=True)
class _CitizenEvents:
    """A citizen with everything that events can be about, and what becomes of the events."""

    citizen: Citizen
    events: list[StoredEvent]
    orders: list[ProductionOrder]
    cards: list[Card]
    issued: list[Card] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    records: list[AuditRecord] = field(default_factory=list)


async def apply_issuer_events(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> list[Outcome]:
    """Returns one outcome per event, in the same order. At most `MAX_AT_ONCE` events."""
    assert len(events) <= MAX_AT_ONCE
    known = await _stored(unit, (event.id for event in events))
    new: dict[str, IssuerEvent] = {}
    answers: list[Outcome | None] = []
    for event in events:
        before = known.get(event.id) or new.get(event.id)
        if before is None:
            new[event.id] = event
            answers.append(None)
        else:
            answers.append(Outcome.REPEATED if before == event else Outcome.CONTRADICTION)
    outcomes = await _apply_new(unit, list(new.values())) if new else {}
    return [
        outcomes[event.id] if answer is None else answer
        for event, answer in zip(events, answers, strict=True)
    ]


async def retry_issuer_event(unit: UnitOfWork, event_id: str, operator: str) -> Outcome | None:
    """Applies a stored event as if it had just been received; None if there is none that is open."""
    dropped = await _drop(unit, event_id)
    if dropped is None:
        return None
    unit.writes.see_each_other = True
    outcome = (await _apply_new(unit, [dropped.event]))[event_id]
    await _record_operator(unit, dropped, "issuer-events retry", operator)
    return outcome


async def drop_issuer_event(unit: UnitOfWork, event_id: str, operator: str) -> bool:
    """Deletes a stored event; False if there is none that is open."""
    dropped = await _drop(unit, event_id)
    if dropped is None:
        return False
    await _record_operator(unit, dropped, "issuer-events drop", operator)
    return True


class _Dropped(NamedTuple):
    subject_id: int
    event: IssuerEvent


async def _drop(unit: UnitOfWork, event_id: str) -> _Dropped | None:
    subject_id = (await event_store.subjects_of(unit.db, [event_id])).get(event_id)
    if subject_id is None:
        return None
    await unit.head(subject_id)
    stored = await event_store.of_subjects(unit.db, unit.dependencies.vault, [subject_id])
    found = next((entry for entry in stored.get(subject_id, ()) if entry.id == event_id), None)
    if found is None or found.outcome is Outcome.TAKEN:
        return None
    event_store.drop(unit.writes, subject_id, event_id)
    return _Dropped(subject_id, found.event)


async def _record_operator(
    unit: UnitOfWork, dropped: _Dropped, command: str, operator: str
) -> None:
    is_of_nobody_known = dropped.subject_id == event_store.nobody(dropped.event.id)
    subject_id = audit.operators.GATEWAY if is_of_nobody_known else dropped.subject_id
    await audit.operators.record(unit, subject_id, command, operator)


async def _stored(unit: UnitOfWork, ids: Iterable[str]) -> dict[str, IssuerEvent]:
    subjects = await event_store.subjects_of(unit.db, ids)
    found = await event_store.of_subjects(unit.db, unit.dependencies.vault, set(subjects.values()))
    return {
        entry.id: entry.event
        for events in found.values()
        for entry in events
        if entry.id in subjects
    }


async def _apply_new(unit: UnitOfWork, events: Sequence[IssuerEvent]) -> dict[str, Outcome]:
    about = await _citizens_of(unit, events)
    subjects = await _gather(unit, {about[event.id] or 0 for event in events} - {0})
    outcomes = {event.id: Outcome.UNKNOWN_SUBJECT for event in events}
    for event in events:
        citizen_id = about[event.id]
        if citizen_id is None:
            nobody = event_store.nobody(event.id)
            _add(unit, event, nobody, Outcome.UNKNOWN_SUBJECT)
        else:
            own = subjects[citizen_id].events
            own[:] = [entry for entry in own if entry.id != event.id]
            own.append(StoredEvent(event, unit.now, Outcome.WAITING))
            own.sort(key=lambda stored: stored.place)
    used_numbers = await _used_numbers(unit, subjects.values())
    for subject in subjects.values():
        await _project(unit, subject, used_numbers)
        outcomes |= {id_: found for id_, found in subject.outcomes.items() if id_ in outcomes}
        await _settle(unit, subject, outcomes)
    return outcomes


def _add(unit: UnitOfWork, event: IssuerEvent, subject_id: int, outcome: Outcome) -> None:
    vault = unit.dependencies.vault
    event_store.add(unit.writes, vault, event, subject_id, outcome, unit.now)


async def _citizens_of(unit: UnitOfWork, events: Iterable[IssuerEvent]) -> dict[str, int | None]:
    """Citizen ids by event id: the order's applicant, or the owner of the social security number."""
    numbers = {event.order_number for event in events if event.order_number}
    owners = await applications.owners_of_numbers(unit.db, sorted(numbers))
    named = {event.social_security_number for event in events if event.social_security_number}
    people = await citizens.ids_of_numbers(unit.db, unit.dependencies.vault, sorted(named))
    return {
        event.id: owners.get(event.order_number or "")
        if event.type.is_about_order
        else people.get(event.social_security_number or "")
        for event in events
    }


async def _gather(unit: UnitOfWork, ids: Collection[int]) -> dict[int, _CitizenEvents]:
    db, vault = unit.db, unit.dependencies.vault
    found = {}
    for id_, (citizen, head) in (await citizens.find_many(db, vault, sorted(ids))).items():
        unit.heads[id_] = head
        found[id_] = _CitizenEvents(citizen, [], [], [])
    for id_, events in (await event_store.of_subjects(db, vault, found)).items():
        found[id_].events = events
    for order in await orders.orders_of(db, vault, found):
        found[order.citizen_id].orders.append(order)
    for id_, own in (await cards.of_citizens(db, vault, found)).items():
        found[id_].cards = own
    return found


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
    return not event.type.is_about_order and card.has_number(
        spelling.upper(event.card_number or ""), unit.dependencies.vault
    )


# --- orders --------------------------------------------------------------------------------


async def _project_order(
    unit: UnitOfWork,
    subject: _CitizenEvents,
    order: ProductionOrder,
    events: Sequence[StoredEvent],
    used_numbers: set[str],
) -> None:
    readable = [
        entry
        for entry in events
        if entry.event.type is IssuerEventType.ORDER_CLOSED
        or (entry.event.node and entry.event.result)
    ]
    in_time = [entry for entry in readable if not entry.is_in_future_of(unit.now)]
    projection = project_order(order, in_time, used_numbers=used_numbers)
    subject.outcomes |= dict.fromkeys((entry.id for entry in events), Outcome.CONTRADICTION)
    subject.outcomes |= projection.outcomes
    states = [
        projection.nodes[node] for node in NODES if projection.nodes[node] != order.state_of(node)
    ]
    number = order.card_number.reveal() if order.card_number else None
    numbers = (projection.batch, projection.number)
    is_new = numbers != (order.batch_number, number)
    closure = projection.closure if order.closure is None else None
    orders.set_nodes(unit.writes, order, states)
    orders.change(
        unit.writes,
        unit.dependencies.vault,
        order,
        confirmation=Confirmation.CONFIRMED
        if order.confirmation is Confirmation.BEING_CONFIRMED
        else None,
        numbers=numbers if is_new else None,
        closure=closure,
    )
    if states or is_new or closure is not None:
        unit.progress_of.add(order.citizen_id)
    if closure is not None:
        subject.closed.add(order.id)
        applications.close(unit.writes, order.citizen_id, unit.now)
        if closure.reason is not CloseReason.DECEASED:
            await notices.send(unit, subject.citizen, Notice.APPLICATION_CLOSED)
    elif order.closure is None and any(
        state.result is NodeResult.NEEDS_CORRECTION for state in states
    ):
        await notices.send(unit, subject.citizen, Notice.CORRECTION_NEEDED)
    failed = next((state for state in states if state.result is NodeResult.FAILED), None)
    is_open = order.closure is None and closure is None
    if (
        is_open
        and failed is not None
        and order.state_of(failed.node).result is not NodeResult.FAILED
    ):
        name = NODE_NAMES[failed.node]
        which = Text(f"未通过的环节：{name.zh}。", f"The step: {name.en}.")
        await notices.send(unit, subject.citizen, Notice.NODE_FAILED, details=which)
    if projection.ready_at is not None and not order.ready:
        await _issue_card(unit, subject, order, projection, projection.ready_at, used_numbers)


async def _used_numbers(unit: UnitOfWork, subjects: Iterable[_CitizenEvents]) -> set[str]:
    """Of the card numbers that may be issued now, those that a card of Chengdu already has."""
    numbers = {
        spelling.upper(entry.event.card_number)
        for subject in subjects
        if any(entry.event.node is NODES[-1] for entry in subject.events)
        for entry in subject.events
        if entry.event.card_number and entry.event.result is NodeResult.DONE
    }
    return await cards.used_numbers(unit.db, unit.dependencies.vault, CHENGDU, numbers)


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
    card = cards.issue(
        unit.writes,
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
    applications.issue(unit.writes, order.citizen_id, order.application.id, card.id)
    subject.cards.append(card)
    subject.issued.append(card)
    subject.records.append(
        _audit_record(unit, subject, Action.CARD_ISSUED, audit.DONE, card=card.id)
    )
    where = collection.where_and_until(
        unit.dependencies.reference,
        order.outlet_code,
        ready_at,
        unit.dependencies.settings.collect_within_days,
    )
    await notices.send(unit, subject.citizen, Notice.CARD_READY, details=where)


# --- cards ---------------------------------------------------------------------------------


async def _project_card(
    unit: UnitOfWork, subject: _CitizenEvents, card: Card, events: Sequence[StoredEvent]
) -> None:
    projection = project_card(card.snapshot, events, unit.now)
    subject.outcomes |= projection.outcomes
    before, after = card.as_of(unit.now), projection.card.as_of(unit.now)
    if (after.state, after.state_since, after.state_before) == (
        before.state,
        before.state_since,
        before.state_before,
    ):
        return
    if before.state is CardState.CANCELLED:
        return
    if after.state is CardState.ACTIVE and _has_another_active(subject, card):
        subject.outcomes |= {
            entry.id: Outcome.CONTRADICTION
            for entry in events
            if entry.outcome is not Outcome.TAKEN
        }
        return
    if card in subject.issued:
        unit.writes.see_each_other = True
    cards.save_projection(unit.writes, card, projection.card)
    if projection.card.state is CardState.CANCELLED:
        _end_application(unit, subject, card, events)
    elif before.state_unless_lost is CardState.SEALED is not after.state_unless_lost:
        applications.close_issued(unit.writes, subject.citizen.id, card.id, unit.now)
        _cancel_replaced(unit, subject, card)
    if not _tell_of_death(subject):
        for notice in _notices_of(before, after):
            await notices.send(unit, subject.citizen, notice)


def _end_application(
    unit: UnitOfWork, subject: _CitizenEvents, card: Card, events: Sequence[StoredEvent]
) -> None:
    """The card was cancelled before its activation; its order tells why, if the card issuer said so."""
    applications.close_issued(unit.writes, subject.citizen.id, card.id, unit.now)
    why = next(
        (
            Closure(entry.event.close_reason, entry.event.at)
            for entry in events
            if entry.event.close_reason and subject.outcomes[entry.id] is Outcome.TAKEN
        ),
        None,
    )
    for order in subject.orders:
        if why is not None and order.application.new_card_id == card.id and order.closure is None:
            unit.writes.see_each_other = True
            orders.change(unit.writes, unit.dependencies.vault, order, closure=why)
            unit.progress_of.add(order.citizen_id)


def _cancel_replaced(unit: UnitOfWork, subject: _CitizenEvents, card: Card) -> None:
    """The card was activated at an outlet: those that it replaces end."""
    for place, old in enumerate(subject.cards):
        if old.state is CardState.LOST and old.id != card.id:
            unit.writes.see_each_other = True
            ended = replace(old.reissued(unit.now), snapshot_state=None, snapshot_since=unit.now)
            cards.save_state(unit.writes, ended)
            subject.cards[place] = ended
            subject.records.append(
                _audit_record(unit, subject, Action.CARD_CANCELLED, audit.DONE, card=old.id)
            )


def _has_another_active(subject: _CitizenEvents, card: Card) -> bool:
    return any(other.state is CardState.ACTIVE and other.id != card.id for other in subject.cards)


def _notices_of(before: Card, after: Card) -> Iterator[Notice]:
    """What the holder is told of a change that the card issuer reported or took back."""
    if after.state is CardState.CANCELLED:
        yield Notice.CARD_CANCELLED
        return
    if before.state_unless_lost is CardState.SEALED is not after.state_unless_lost:
        yield Notice.CARD_ACTIVATED
    if after.is_lost is not before.is_lost:
        yield Notice.TEMPORARILY_LOST if after.is_lost else Notice.LOSS_CANCELLED
    locked = CardState.LOCKED
    if (after.state_unless_lost is locked) is not (before.state_unless_lost is locked):
        is_locked = after.state_unless_lost is locked
        yield Notice.CARD_LOCKED if is_locked else Notice.CARD_UNLOCKED


# --- writing -------------------------------------------------------------------------------


async def _settle(unit: UnitOfWork, subject: _CitizenEvents, new: Mapping[str, Outcome]) -> None:
    """Writes the outcomes, and an audit entry for each event whose effect is new or withdrawn."""
    citizen_id = subject.citizen.id
    await unit.touch(citizen_id)
    for entry in subject.events:
        outcome = subject.outcomes[entry.id]
        if entry.id in new:
            _add(unit, entry.event, citizen_id, outcome)
        elif outcome is not entry.outcome:
            event_store.settle(unit.writes, citizen_id, entry.id, outcome)
        if outcome is not entry.outcome and Outcome.TAKEN in (outcome, entry.outcome):
            await audit.write(unit, _event_record(unit, subject, entry.event, outcome))
    for record in subject.records:
        await audit.write(unit, record)
    if _tell_of_death(subject):
        await deaths.record(unit, subject.citizen, _open_orders(subject), actor=audit.ISSUER)


def _tell_of_death(subject: _CitizenEvents) -> bool:
    """Whether a new event does; then nothing else is told to the phone."""
    return any(
        entry.outcome is not Outcome.TAKEN
        and entry.event.close_reason is CloseReason.DECEASED
        and subject.outcomes.get(entry.id) is Outcome.TAKEN
        for entry in subject.events
    )


def _open_orders(subject: _CitizenEvents) -> list[ProductionOrder]:
    return [
        order
        for order in subject.orders
        if order.closure is None and not order.ready and order.id not in subject.closed
    ]


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
    why = {"reason": event.close_reason.value} if event.close_reason else {}
    if event.type is IssuerEventType.ORDER_CLOSED:
        order = next(
            order for order in subject.orders if order.application.number == event.order_number
        )
        application = order.application.id
        return _audit_record(
            unit, subject, Action.ISSUER_EVENT, result, application=application, **why
        )
    number = spelling.upper(event.card_number or "")
    card = next(card for card in subject.cards if card.has_number(number, unit.dependencies.vault))
    return _audit_record(unit, subject, Action.ISSUER_EVENT, result, card=card.id, **why)


def _audit_record(
    unit: UnitOfWork, subject: _CitizenEvents, action: Action, result: str, **details: str | int
) -> AuditRecord:
    text = json.dumps(details, ensure_ascii=False, sort_keys=True)
    return AuditRecord(subject.citizen.id, unit.now, action, result, ISSUER, 0, text)
