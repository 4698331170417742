"""Seeds the gateway's database with the personas, and resets them.

Uses the core's own functions, so that seeded rows are like any others. Personas without a
Chengdu card or an application are registered by signing in.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, delete

from core import audit
from core.applications import (
    Application,
    ApplicationKind,
    application_drafts_table,
    applications,
    prefills_table,
)
from core.audit import Action
from core.cards import CHENGDU, Card, CardState, cards, cards_elsewhere_table
from core.citizens import (
    bindings_table,
    citizens,
    claims_table,
    code_exchanges_table,
    consents_table,
    notification_settings_table,
    passwords,
    quotas,
    service_passwords_table,
    sessions_table,
)
from core.db import Database, Query, Reader
from core.issuer import issuer_events_table
from core.kernel.clock import DAY, Instant, instant
from core.messaging import channel_messages_table, outbox_table, verification_codes_table
from core.production import NODES, NodeResult, NodeState, ProductionOrder, orders
from core.storage import pictures_table, resumable_uploads_table
from core.unit_of_work import Dependencies, UnitOfWork, perform
from sandbox.personas import PERSONAS, Persona
from sandbox.precautions import OtherPeople, holds_other_people

_SAMPLE_OUTLET = "SAMPLE-510104-1"

_SEEDED = tuple(
    persona for persona in PERSONAS.values() if persona.holds_chengdu_card or persona.open_order
)

_OF_PERSON = tuple(
    Query(delete(table).where(table.c.subject_id == bindparam("person")))
    for table in (
        orders.production_nodes_table,
        orders.production_changes_table,
        orders.production_orders_table,
        applications.applications_table,
        cards.cards_table,
        cards_elsewhere_table,
        bindings_table,
        service_passwords_table,
        pictures_table,
        application_drafts_table,
        prefills_table,
        consents_table,
        notification_settings_table,
        channel_messages_table,
        resumable_uploads_table,
        # Stored events would be applied to the next order, which has the same number.
        issuer_events_table,
        claims_table,
        citizens.citizens_table,
    )
)
_EVERYWHERE = (
    Query(delete(sessions_table)),
    Query(delete(code_exchanges_table)),
    Query(delete(verification_codes_table)),
    Query(delete(outbox_table)),
    quotas.CLEAR,
)


async def seed(database: Database, dependencies: Dependencies, now: Instant) -> None:
    """Adds missing personas. Several workers may start at the same time.

    Raises `OtherPeople` if the database holds any; but the sandbox's own, to which others were
    added later, may be used with `sandbox_confirmed`.
    """
    missing = [persona for persona in _SEEDED if not await _id_of(database, dependencies, persona)]
    is_ours = not missing and dependencies.settings.sandbox_confirmed
    if not is_ours and await holds_other_people(database, dependencies.vault):
        raise OtherPeople
    hashes = _password_hashes(dependencies, missing)

    async def add_missing(unit: UnitOfWork) -> None:
        unit.writes.see_each_other = True
        for persona in missing:
            if not await _id_of(unit.db, dependencies, persona):
                await _add(unit, persona, hashes.get(persona.id), None)

    if missing:
        await _perform(database, dependencies, now, add_missing)


async def reset(database: Database, dependencies: Dependencies, now: Instant) -> None:
    """Personas and every limit's counters as new; all sessions end. The audit log goes on.

    Raises `OtherPeople` if the database holds any.
    """
    hashes = _password_hashes(dependencies, _SEEDED)

    async def reset_all(unit: UnitOfWork) -> None:
        unit.writes.see_each_other = True
        for query in _EVERYWHERE:
            unit.writes.add(query)
        ids = await _remove_all(unit)
        for persona in _SEEDED:
            await _add(unit, persona, hashes.get(persona.id), ids.get(persona.id))

    await _perform(database, dependencies, now, reset_all)


async def _perform(
    database: Database,
    dependencies: Dependencies,
    now: Instant,
    work: Callable[[UnitOfWork], Awaitable[None]],
) -> None:
    def new_unit(reader: Reader) -> UnitOfWork:
        return UnitOfWork(reader, now, None, dependencies)

    async def work_among_personas(unit: UnitOfWork) -> None:
        if await holds_other_people(unit.db, dependencies.vault):
            raise OtherPeople
        await work(unit)

    await perform(database, new_unit, work_among_personas)


async def _id_of(db: Reader, dependencies: Dependencies, persona: Persona) -> int | None:
    number = persona.social_security_number
    return await citizens.id_of_number(db, dependencies.vault, number)


def _password_hashes(dependencies: Dependencies, personas: Sequence[Persona]) -> dict[str, str]:
    return {
        persona.id: dependencies.hasher.hash_now(persona.service_password)
        for persona in personas
        if persona.service_password
    }


async def _remove_all(unit: UnitOfWork) -> dict[str, int]:
    """Removes every persona; returns their ids, which audit records refer to."""
    removed = {}
    for persona in PERSONAS.values():
        citizen_id = await _id_of(unit.db, unit.dependencies, persona)
        if citizen_id is not None:
            for query in _OF_PERSON:
                unit.writes.add(query, person=citizen_id)
            removed[persona.id] = citizen_id
    return removed


async def _add(
    unit: UnitOfWork, persona: Persona, password_hash: str | None, citizen_id: int | None
) -> None:
    citizen = citizens.register(
        unit.writes,
        unit.dependencies.vault,
        unit.now,
        name=persona.name,
        number=persona.social_security_number,
        phone=persona.phone,
        citizen_id=citizen_id,
    )
    application = _add_production(unit, persona, citizen.id)
    if persona.holds_chengdu_card:
        card = _add_card(unit, persona, citizen.id)
        applications.issue(unit.writes, citizen.id, application.id, card.id)
    if password_hash is not None:
        passwords.store(unit.writes, unit.dependencies.seals, citizen.id, password_hash)
    await audit.record(unit, citizen.id, Action.IMPORTED)


def _add_card(unit: UnitOfWork, persona: Persona, citizen_id: int) -> Card:
    assert persona.card_number is not None
    return cards.issue(
        unit.writes,
        unit.dependencies.vault,
        unit.now,
        citizen_id=citizen_id,
        number=persona.card_number,
        region_code=CHENGDU,
        bank_code=persona.bank_code or "",
        batch_number=persona.batch_number,
        issue_date=persona.issue_date or "",
        state=CardState(persona.card_state or ""),
    )


def _add_production(unit: UnitOfWork, persona: Persona, citizen_id: int) -> Application:
    """The application that led to the card; it is open until the card is activated."""
    writes, vault = unit.writes, unit.dependencies.vault
    application = applications.accept(
        writes,
        vault,
        unit.now,
        citizen_id=citizen_id,
        kind=ApplicationKind.APPLY,
        form="{}",
        number=persona.open_order,
    )
    order = orders.place(
        writes,
        unit.now,
        citizen_id=citizen_id,
        application=application,
        bank_code=persona.bank_code or "",
        outlet_code=persona.outlet_code or _SAMPLE_OUTLET,
    )
    orders.change(writes, vault, order, numbers=(persona.batch_number, persona.card_number))
    _report_nodes(unit, persona, order)
    if persona.card_state not in (None, CardState.SEALED):
        applications.close(writes, citizen_id, unit.now)
    return application


def _report_nodes(unit: UnitOfWork, persona: Persona, order: ProductionOrder) -> None:
    """One node a day, the last on the day of issue; the next node is in progress."""
    done = [node for node in NODES if persona.card_state or node in persona.nodes_done]
    first_day = _issued_at(persona, unit.now) - len(done) * DAY
    states = [
        NodeState(node, NodeResult.DONE, first_day + day * DAY, None)
        for day, node in enumerate(done)
    ]
    if len(done) < len(NODES):
        states.append(NodeState(NODES[len(done)], NodeResult.IN_PROGRESS, None, None))
    orders.set_nodes(unit.writes, order, states)


def _issued_at(persona: Persona, now: Instant) -> Instant:
    if persona.issue_date is None:
        return now
    return instant(datetime.fromisoformat(persona.issue_date).replace(tzinfo=UTC))
