"""更正申请 correct application, through HTTP."""

import json
from typing import Any

import pytest

from core.storage import PictureKind
from sandbox.issuer import ORDERS
from tests.front_end import FrontEnd, World
from tests.services.orders import CHANNELS, ROWS, fail_issuer, progress, results
from tests.services.parts import (
    english,
    fault,
    history,
    keep_pictures,
    later,
    notices,
    person_id,
    problems,
    sandbox_world,
)

_PATH = "/orders/corrections"


@pytest.mark.parametrize("channel", CHANNELS)
async def test_after_a_correction_the_same_order_goes_on(world: World, channel: str) -> None:
    citizen = await world.enter("in-production", channel)
    await _ask(world, "portrait", "occupationCode", reason="照片模糊")
    told = await notices(citizen)
    asked = await progress(citizen)
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))

    answer = await _correct(citizen, occupationCode="20000")

    node = asked["nodes"][2]
    assert (node["result"], asked["possibleChanges"]) == (
        "NEEDS_CORRECTION",
        ["PICKUP_OUTLET", "CORRECTION"],
    )
    assert node["corrections"] == [
        {"kind": "PORTRAIT", "field": "portrait", "label": "本人二寸白底彩色照片"},
        {"kind": "FIELD", "field": "occupationCode", "label": "职业/工种"},
    ]
    assert node["message"] == (
        "「卡商制卡」需要您更正本人二寸白底彩色照片、职业/工种（照片模糊）。"
        "更正后原申请继续办理，无需重新申请。如需帮助请拨打 028-12333。"
    )
    assert told[0].startswith("【成都人社】您的社会保障卡申请需要更正资料，更正后原申请继续办理。")
    assert answer["__typename"] == "ApplicationCorrected"
    assert answer["progress"] == {"pendingChange": "CORRECTION"}
    assert (await results(citizen))[2] == "IN_PROGRESS"
    assert (await history(world, citizen.person))[-1] == "CORRECT_APPLICATION"
    assert await _form(world, citizen) == {"occupation_code": "20000"}
    await world.make_card("in-production")
    assert (await citizen.status())["state"] == "SEALED"


_UPLOADED = """{ productionProgress { ... on ProductionProgress {
    portrait { portraitId url confirmed } idDocuments { pictureId side url confirmed } } } }"""


async def test_what_was_uploaded_for_a_correction_is_found_again(world: World) -> None:
    """As a front-end that was closed meanwhile, or another app, needs it."""
    citizen = await world.enter("in-production")
    await keep_pictures(world, citizen)
    with later(hours=1):
        await citizen.sign_in()
        await _ask(world, "portrait")
        before = await citizen.ask(_UPLOADED)
        await keep_pictures(world, citizen, (PictureKind.PORTRAIT,), confirmed=False)
        uploaded = await citizen.ask(_UPLOADED)
        elsewhere = await world.enter("in-production", "PING_AN")
        shown = await elsewhere.ask(_UPLOADED)

    assert before == {"portrait": None, "idDocuments": []}
    assert uploaded["portrait"]["confirmed"] is False
    assert uploaded["idDocuments"] == []
    assert shown["portrait"]["portraitId"] == uploaded["portrait"]["portraitId"]


async def test_new_pictures_of_the_id_card_reach_the_issuer(world: World) -> None:
    """It takes exactly what it asked for."""
    citizen = await world.enter("in-production")
    await _ask(world, "idDocuments", "idValidUntil")
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT_SIDE, PictureKind.EMBLEM_SIDE))

    await _correct(citizen, idValidUntil="LONG_TERM")

    assert (await results(citizen))[2] == "IN_PROGRESS"
    with sandbox_world(world) as things:
        order = things.get(ORDERS, str(citizen.person.open_order))
    assert order is not None
    assert order["corrections"] == []


async def test_the_old_pictures_correct_nothing(world: World) -> None:
    citizen = await world.enter("in-production")
    await keep_pictures(world, citizen)
    with later(minutes=10):
        await citizen.sign_in()
        await _ask(world, "portrait", "idDocuments")
        before = await world.rows(*ROWS)

        answer = await _correct(citizen)

        assert problems(answer) == [
            ("portrait", "PORTRAIT_NOT_CONFIRMED"),
            ("idDocuments", "ID_DOCUMENTS_NOT_CONFIRMED"),
        ]
        assert await world.rows(*ROWS) == before
        await keep_pictures(world, citizen, confirmed=False)
        unconfirmed = await _correct(citizen)
        assert problems(unconfirmed) == problems(answer)
        await keep_pictures(world, citizen)
        assert (await _correct(citizen))["__typename"] == "ApplicationCorrected"


_WRONG: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    (
        {},
        [("postalCode", "REQUIRED"), ("occupationCode", "REQUIRED"), ("idIssuer", "REQUIRED")],
    ),
    (
        {"postalCode": "61000", "occupationCode": "9", "idIssuer": "成都\u202e公安局"},
        [
            ("postalCode", "INVALID_FORMAT"),
            ("occupationCode", "UNKNOWN_CODE"),
            ("idIssuer", "INVALID_CHARACTERS"),
        ],
    ),
    (
        {"postalCode": "610000", "occupationCode": "20000", "idIssuer": "成都市公安局"}
        | {"ethnicityCode": "01"},
        [("ethnicityCode", "NOT_TO_BE_CORRECTED")],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), _WRONG)
async def test_refuses_wrong_missing_and_other_fields(
    world: World, fields: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    citizen = await world.enter("in-production")
    await _ask(world, "postalCode", "occupationCode", "idIssuer")
    before = await world.rows(*ROWS)

    answer = await _correct(citizen, **fields)

    assert problems(answer) == expected
    assert await world.rows(*ROWS) == before


async def test_refuses_an_expired_document(world: World) -> None:
    citizen = await world.enter("in-production")
    await _ask(world, "idValidUntil")
    before = await world.rows(*ROWS)

    answer = await _correct(citizen, idValidUntil="20200101")

    assert problems(answer) == [("idValidUntil", "DOCUMENT_EXPIRED")]
    assert await world.rows(*ROWS) == before


async def test_refuses_where_nothing_is_to_be_corrected(world: World) -> None:
    citizen = await world.enter("in-production")
    before = await world.rows(*ROWS)

    answer = await _correct(citizen)
    with english(citizen):
        in_english = await _correct(citizen)
    unknown = await _correct(citizen, applicationNumber="SBK1")

    assert fault(answer) == ("NOTHING_TO_CORRECT", None)
    assert in_english["message"].startswith("Nothing in this application is to be corrected now")
    assert fault(unknown) == ("NO_SUCH_APPLICATION", "applicationNumber")
    assert await world.rows(*ROWS) == before


async def test_a_correction_that_the_issuer_rejects_can_be_made_again(world: World) -> None:
    citizen = await world.enter("in-production")
    await _ask(world, "postalCode")
    await fail_issuer(world, _PATH, "REJECTED", times=1)

    await _correct(citizen, postalCode="610041")
    refused = await results(citizen)
    await _correct(citizen, postalCode="610042")

    assert refused[2] == "NEEDS_CORRECTION"
    assert (await results(citizen))[2] == "IN_PROGRESS"
    assert await _form(world, citizen) == {"postal_code": "610042"}


async def test_what_was_asked_before_does_not_come_back(world: World) -> None:
    """A later report is told together with the one that asked for the correction."""
    citizen = await world.enter("in-production")
    await _ask(world, "postalCode")
    await _correct(citizen, postalCode="610041")
    await progress(citizen)

    await world.advance("in-production", result="FAILED", reason="照片未能打印")
    failed = await progress(citizen)
    await world.make_card("in-production")

    assert failed["nodes"][2]["message"] == (
        "「卡商制卡」未通过：照片未能打印。制卡中心处理后会继续办理，结果在此更新。"
        "如需帮助请拨打 028-12333。"
    )
    assert (await citizen.status())["state"] == "SEALED"


async def _ask(world: World, *corrections: str, **given: str) -> None:
    await world.advance(
        "in-production", result="NEEDS_CORRECTION", corrections=list(corrections), **given
    )
    await world.application.worker.drained()


async def _form(world: World, citizen: FrontEnd) -> dict[str, Any]:
    owner, vault = await person_id(world, citizen.person), world.application.dependencies.vault
    rows = (await world.rows("applications"))["applications"]
    row = next(row for row in rows if row.subject_id == owner)
    form: dict[str, Any] = json.loads(vault.open(row.form, "applications.form", row.id))
    return form


async def _correct(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    given = {"applicationNumber": citizen.person.open_order or ""}
    return await citizen.do("correctApplication", "progress { pendingChange }", **(given | changes))
