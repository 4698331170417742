"""同意 give consent, through HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.kernel.settings import Settings
from tests.conftest import ADDRESS, running
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import application_of, history, keep_pictures, later, problems

_FORM = (
    "{ applicationForm { ... on ApplicationForm { missing"
    f" privacyNotice {{ version url givenAt required }} }} {REFUSAL} }} }}"
)


@pytest.fixture
async def strict_world(settings: Settings) -> AsyncIterator[World]:
    """Where nobody applies before having agreed."""
    asked = replace(
        settings, consent_required=True, privacy_notice_url="https://notice.test/privacy"
    )
    async with running(asked) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            yield World(http, app.state.application)


async def test_is_asked_and_recorded_with_its_version(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await citizen.ask(_FORM)

    given = await _agree(citizen, "1")
    after = await citizen.ask(_FORM)

    assert before["privacyNotice"] == {
        "version": "1",
        "url": None,
        "givenAt": None,
        "required": False,
    }
    assert (given["__typename"], given["noticeVersion"]) == ("ConsentGiven", "1")
    assert after["privacyNotice"]["givenAt"] == given["at"]
    assert (await history(world, citizen.person))[-1] == "GIVE_CONSENT"


async def test_the_first_time_is_the_time_that_counts(world: World) -> None:
    citizen = await world.enter("no-card")
    first = await _agree(citizen, "1")
    before = await world.rows()

    with later(seconds=60):
        again = await _agree(citizen, "1")

    assert again == first
    assert await world.rows() == before


async def test_an_application_leaves_the_time_of_the_consent_as_it_was(world: World) -> None:
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)
    await _agree(citizen, "1")
    before = await world.rows("consents")

    with later(seconds=61):
        code = await citizen.code("APPLY_CARD")
        applied = await citizen.do("applyCard", **application_of(citizen.person, code=code))

    assert applied["__typename"] == "CardApplied"
    assert await world.rows("consents") == before


async def test_refuses_a_version_that_is_not_the_current_one(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    refused = await _agree(citizen, "0")

    assert (refused["code"], refused["field"]) == ("NOTICE_CHANGED", "noticeVersion")
    assert await world.rows() == before


async def test_no_application_without_it_where_it_is_required(strict_world: World) -> None:
    citizen = await strict_world.enter("no-card")
    await keep_pictures(strict_world, citizen)
    code = await citizen.code("APPLY_CARD")
    form = await citizen.ask(_FORM)
    before = await strict_world.rows()

    refused = await citizen.do("applyCard", **application_of(citizen.person, code=code))

    assert form["privacyNotice"]["url"] == "https://notice.test/privacy"
    assert "consent" in form["missing"]
    assert problems(refused) == [("consent", "CONSENT_NOT_GIVEN")]
    assert await strict_world.rows() == before

    await _agree(citizen, "1")
    applied = await citizen.do("applyCard", **application_of(citizen.person, code=code))

    assert applied["__typename"] == "CardApplied"


async def _agree(citizen: FrontEnd, version: str) -> dict[str, Any]:
    return await citizen.do("giveConsent", "noticeVersion at", noticeVersion=version)
