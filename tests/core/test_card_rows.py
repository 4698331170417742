"""What guards a card's row, besides the lock on its citizen."""

import pytest

from core.cards import CARDS, cards, holders, prefetch
from core.citizens import sessions
from core.db import Transaction
from core.kernel.refusals import TryAgainLater
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id


async def test_a_change_of_a_card_that_was_changed_meanwhile_is_refused(
    world: World, active: FrontEnd
) -> None:
    dependencies, now = world.application.dependencies, world.application.clock()
    owner = await person_id(world, active.person)
    seen = (await holders.find(world.application.database, dependencies.vault, now, owner)).card

    async def report(db: Transaction) -> None:
        await cards.save_state(db, seen.report_loss(now))

    async def lock(db: Transaction) -> None:
        await cards.save_state(db, seen.lock(now))

    await world.application.database.write(report)
    before = await world.rows("cards")

    with pytest.raises(TryAgainLater):
        await world.application.database.write(lock)

    assert await world.rows("cards") == before


async def test_a_confirmed_card_is_not_withdrawn(world: World) -> None:
    before = await world.rows("cards")
    confirmed = before["cards"][0][0]

    async def job(db: Transaction) -> bool:
        return await cards.remove_unconfirmed(db, confirmed)

    assert await world.application.database.write(job) is False
    assert await world.rows("cards") == before


async def test_prefetched_rows_are_given_for_their_person_alone(
    world: World, active: FrontEnd
) -> None:
    database, vault = world.application.database, world.application.dependencies.vault
    now, other = world.application.clock(), await person_id(world, PERSONAS["lost"])
    token = active.headers["Authorization"].removeprefix("Bearer ")
    rows = await database.fetch(CARDS.with_session, **sessions.by_token(token, now))
    reader = prefetch.prefetched_reader(database, CARDS, rows)

    theirs = await holders.find_with_cards(reader, vault, now, other)
    own = await holders.find_with_cards(reader, vault, now, await person_id(world, active.person))

    assert theirs.citizen.name.reveal() == PERSONAS["lost"].name
    assert own.citizen.name.reveal() == active.person.name
