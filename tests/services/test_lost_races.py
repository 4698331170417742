"""Two changes of one person at once: the later one decides anew, from what the earlier one has left.

Nothing is locked while a service decides. What guards it is the version of the person's data, which
it read first and moves on with its writes.
"""

import pytest

from core import audit
from core.audit import Action
from core.cards import Card, CardState, cards
from core.db import LostRace
from core.kernel.refusals import WrongCardState
from core.unit_of_work import UnitOfWork, perform
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id
from tests.units import change


async def lock_card(world: World, owner: int) -> None:
    """By the card issuer, meanwhile."""

    async def work(unit: UnitOfWork) -> None:
        holder = await unit.holder(owner)
        cards.save_state(unit.writes, holder.card.lock(unit.now))
        await audit.record(unit, owner, Action.ISSUER_EVENT)

    await change(world, work)


async def state(world: World, owner: int) -> CardState:
    return (await UnitOfWork(*given(world)).holder(owner)).card.state


def given(world: World):  # type: ignore[no-untyped-def]
    application = world.application
    return application.database, application.clock(), None, application.dependencies


async def test_whoever_was_overtaken_decides_again(world: World, active: FrontEnd) -> None:
    owner, seen = await person_id(world, active.person), list[CardState]()

    async def report(unit: UnitOfWork) -> None:
        holder = await unit.holder(owner)
        seen.append(holder.card.state)
        if len(seen) == 1:
            await lock_card(world, owner)
        cards.save_state(unit.writes, holder.card.report_loss(unit.now))
        await audit.record(unit, owner, Action.REPORT_LOSS)

    with pytest.raises(WrongCardState):
        await change(world, report)

    assert seen == [CardState.ACTIVE, CardState.LOCKED]
    assert await state(world, owner) is CardState.LOCKED


async def test_without_the_guard_it_would_overwrite(world: World, active: FrontEnd) -> None:
    """The control: the same writes without the person's version."""
    owner = await person_id(world, active.person)

    async def report(unit: UnitOfWork) -> None:
        card: Card = (await unit.holder(owner)).card
        await lock_card(world, owner)
        cards.save_state(unit.writes, card.report_loss(unit.now))

    await change(world, report)

    assert await state(world, owner) is CardState.LOST


async def test_what_writes_no_entry_is_guarded_too(world: World, active: FrontEnd) -> None:
    owner = await person_id(world, active.person)
    unit = UnitOfWork(*given(world))
    await unit.citizen(owner)
    await unit.touch(owner)
    await lock_card(world, owner)

    with pytest.raises(LostRace):
        await world.application.database.apply(unit.writes)


async def test_both_of_two_touches_are_seen(world: World, active: FrontEnd) -> None:
    """Neither writes an entry, yet the second one must not rest on what was before the first."""
    owner = await person_id(world, active.person)
    first, second = UnitOfWork(*given(world)), UnitOfWork(*given(world))
    for unit in (first, second):
        await unit.touch(owner)
    await world.application.database.apply(first.writes)

    with pytest.raises(LostRace):
        await world.application.database.apply(second.writes)


async def test_a_lost_race_leaves_nothing_and_promises_nothing(
    world: World, active: FrontEnd
) -> None:
    owner = await person_id(world, active.person)
    before, tries = await world.rows(), 0
    database = world.application.database

    async def report(unit: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        holder = await unit.holder(owner)
        cards.save_state(unit.writes, holder.card.report_loss(unit.now))
        await audit.record(unit, owner, Action.REPORT_LOSS)
        stale = unit.heads[owner]._replace(version=unit.heads[owner].version + 1)
        unit.heads[owner] = stale
        await unit.touch(owner)

    from core.db import DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await perform(database, lambda reader: UnitOfWork(reader, *given(world)[1:]), report)

    assert tries > 1
    assert await world.rows() == before
