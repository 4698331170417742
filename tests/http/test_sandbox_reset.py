"""`POST /sandbox/reset` against the real gateway: personas as new."""

from typing import Any

from core.migrations.tables import TABLES
from tests.front_end import World


async def test_an_order_starts_over(world: World) -> None:
    citizen = await world.enter("in-production")
    before = results(await citizen.progress())
    await world.make_card("in-production")

    await world.http.post("/sandbox/reset")

    await citizen.enter()
    assert results(await citizen.progress()) == before
    for node in ("MANUFACTURE", "KEY_LOADING", "STOCK_TRANSFER", "READY_FOR_PICKUP"):
        await world.advance("in-production")
        assert (node, "DONE") in results(await citizen.progress())


def results(progress: Any) -> list[tuple[str, str]]:
    return [(node["node"], node["result"]) for node in progress["nodes"]]


async def test_no_row_of_a_persona_is_left_but_the_audit_log(world: World) -> None:
    of_persons = [
        table.name
        for table in TABLES
        if "subject_id" in table.c and not table.name.startswith(("audit_", "access_log"))
    ]
    before = await counted(world, of_persons)
    await world.make_card("in-production")
    for persona in ("active", "no-card"):
        citizen = await world.enter(persona, "WECHAT")
        await citizen.do("requestUpload", "uploadId", size=9)

    assert await counted(world, of_persons) != before
    await world.http.post("/sandbox/reset")

    assert await counted(world, of_persons) == before


async def counted(world: World, tables: list[str]) -> dict[str, int]:
    return {name: len(rows) for name, rows in (await world.rows(*tables)).items()}
