"""Rows that were read before they were asked for."""

from core.cards import CARDS, holders, prefetch
from core.citizens import sessions
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id


async def test_prefetched_rows_are_given_for_their_person_alone(
    world: World, active: FrontEnd
) -> None:
    database, vault = world.application.database, world.application.dependencies.vault
    now, other = world.application.clock(), await person_id(world, PERSONAS["lost"])
    token = active.headers["Authorization"].removeprefix("Bearer ")
    values = sessions.by_token(vault, token, now)
    assert values is not None
    rows = await database.fetch(CARDS.with_session, **values)
    reader = prefetch.prefetched_reader(database, CARDS, rows)

    theirs = await holders.find_with_cards(reader, vault, now, other)
    own = await holders.find_with_cards(reader, vault, now, await person_id(world, active.person))

    assert theirs.citizen.name.reveal() == PERSONAS["lost"].name
    assert own.citizen.name.reveal() == active.person.name
