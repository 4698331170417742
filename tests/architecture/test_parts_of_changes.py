"""What a change writes is sent as one statement: none of its parts reads what another writes."""

import pytest

from core.db import Writes
from tests.architecture.by_person import Part, between
from tests.channels.over_http.test_services import SERVICES
from tests.front_end import World


@pytest.fixture
def applied(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[Part]]:
    """The parts of each statement, in order."""
    database, sent = world.application.database, list[list[Part]]()
    apply = database.apply

    async def noted(writes: Writes) -> None:
        if not writes.see_each_other:
            sent.append([Part(one.query.statement(database.dialect), one.values) for one in writes])
        await apply(writes)

    monkeypatch.setattr(database, "apply", noted)
    return sent


@pytest.mark.parametrize("service", SERVICES)
async def test_no_part_reads_what_another_writes(
    world: World, applied: list[list[Part]], service: str
) -> None:
    persona, visit, success = SERVICES[service]

    answer = await visit(world, await world.enter(persona))

    assert answer["__typename"] == success, answer
    assert applied
    assert [wrong for parts in applied if (wrong := between(parts))] == []
