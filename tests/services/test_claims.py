"""What may exist only once in the city: taken with its row, and given up with it."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete

from core.applications import applications
from core.citizens import claims_table
from core.db import Query
from core.jobs import JOBS
from core.jobs.schedule import JobContext
from core.kernel.clock import DAY, Instant
from core.kernel.refusals import RefusalCode
from tests.claims import expected, taken
from tests.front_end import FrontEnd, World
from tests.services.parts import application_of, keep_pictures, later, person_id
from tests.units import change


async def apply(world: World, citizen: FrontEnd) -> dict[str, Any]:
    await keep_pictures(world, citizen)
    form = application_of(citizen.person, code=await citizen.code("APPLY_CARD"))
    return await citizen.do("applyCard", "applicationNumber", **form)


async def run_jobs(world: World, now: Instant) -> None:
    context = JobContext(world.application.database, world.application.dependencies, now)
    for job in JOBS:
        await job.work(context)


async def change_phone(citizen: FrontEnd, phone: str) -> dict[str, Any]:
    code = await citizen.code("CHANGE_PHONE", phone)
    return await citizen.do("changePhone", newPhone=phone, code=code)


async def test_every_row_has_its_claim_and_no_claim_is_left_over(world: World) -> None:
    active = await world.enter("active", "WECHAT")
    await change_phone(active, "19912345678")
    await world.enter("active", "WECHAT")
    await apply(world, await world.enter("no-card"))
    await world.make_card("no-card")
    await world.http.post("/sandbox/wechat/unfollow", json={"persona": "active"})
    await active.inbox("19912345678")

    assert await taken(world) == await expected(world)
    assert len({kind for kind, _, _ in await taken(world)}) == 7


async def test_a_claim_that_was_lost_is_noticed(world: World, active: FrontEnd) -> None:
    """The control."""
    owner = await person_id(world, active.person)
    lost = Query(delete(claims_table).where(claims_table.c.subject_id == owner))

    await change(world, lambda unit: unit.writes.add(lost))

    assert await taken(world) < await expected(world)


async def test_a_phone_that_was_given_up_is_free(world: World, active: FrontEnd) -> None:
    other = await world.enter("lost")
    before = active.person.phone

    refused = await change_phone(other, before)
    await change_phone(active, "19912345678")
    with later(minutes=2):
        taken_over = await change_phone(other, before)

    assert refused["code"] == RefusalCode.PHONE_TAKEN
    assert taken_over["__typename"] == "PhoneChanged"
    assert await taken(world) == await expected(world)


async def test_an_application_number_that_is_taken_is_drawn_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten random digits meet one day; the citizen notices nothing."""
    drawn = itertools.chain([7, 7, 7, 8], itertools.repeat(9))
    monkeypatch.setattr(
        applications, "secrets", SimpleNamespace(randbelow=lambda below: next(drawn))
    )
    first = await apply(world, await world.enter("no-card"))
    second = await apply(world, await world.enter("cancelled"))

    assert first["applicationNumber"][-10:] == "0000000007"
    assert second["applicationNumber"][-10:] == "0000000008"
    assert await taken(world) == await expected(world)


async def test_claims_go_with_rows_that_are_too_old(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")
    code = await citizen.code("REPORT_LOSS")
    await citizen.do("reportLoss", phone=citizen.person.phone, code=code)
    await world.advance("in-production")
    await citizen.inbox()
    before = {kind for kind, _, _ in await taken(world)}
    application = world.application
    retention = application.dependencies.settings.retention_days * DAY

    await run_jobs(world, application.clock() + retention + DAY)

    after = {kind for kind, _, _ in await taken(world)}
    assert {kind.value for kind in before - after} == {"ISSUER_EVENT", "CHANNEL_MESSAGE"}
    assert await taken(world) == await expected(world)
