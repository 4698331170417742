"""删除照片 deletePicture: a picture is taken back before it is submitted, and nothing else changes."""

from typing import Any

import httpx
import pytest

from core.applications import prefills
from core.imaging import ReadField, Side
from core.jobs import garbage_collection
from core.storage import PictureKind, pictures
from core.unit_of_work import UnitOfWork
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    application_of,
    english,
    fault,
    history,
    keep_pictures,
    person_id,
)
from tests.units import change

_DELETE = (
    "mutation($id: ID!) { deletePicture(pictureId: $id) { __typename"
    f" ... on PictureDeleted {{ pictureId }} {REFUSAL} }} }}"
)
_FORM = (
    "{ applicationForm { ... on ApplicationForm { missing portrait { portraitId url confirmed }"
    " idDocuments { pictureId side url confirmed } fields { name value source } } } }"
)


@pytest.fixture
async def citizen(world: World) -> FrontEnd:
    return await world.enter("no-card")


async def _delete(citizen: FrontEnd, picture_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = await citizen.ask(_DELETE, id=picture_id)
    return answer


@pytest.mark.parametrize("channel", ["WECHAT", "UNIONPAY", "PING_AN"])
async def test_takes_back_the_portrait_and_leaves_the_id_card(world: World, channel: str) -> None:
    citizen = await world.enter("no-card", channel)
    await keep_pictures(world, citizen)
    before = await citizen.ask(_FORM)

    answer = await _delete(citizen, before["portrait"]["portraitId"])
    after = await citizen.ask(_FORM)

    assert answer == {
        "__typename": "PictureDeleted",
        "pictureId": before["portrait"]["portraitId"],
    }
    assert after["portrait"] is None
    assert (before["missing"].count("portrait"), after["missing"].count("portrait")) == (0, 1)
    assert [side["pictureId"] for side in after["idDocuments"]] == [
        side["pictureId"] for side in before["idDocuments"]
    ]
    assert after["fields"] == before["fields"]
    assert (await history(world, citizen.person))[-1] == "DELETE_PICTURE"
    assert (await world.http.get(before["portrait"]["url"])).status_code == 404
    assert (await world.http.get(before["idDocuments"][0]["url"])).status_code == 200


async def test_takes_back_one_side_with_what_was_read_off_it(
    world: World, citizen: FrontEnd
) -> None:
    await keep_pictures(world, citizen)
    await _read(world, citizen, Side.PORTRAIT_SIDE, ethnicity_code="01")
    await _read(world, citizen, Side.EMBLEM_SIDE, id_issuer="成都市公安局")
    before = await citizen.ask(_FORM)
    portrait_side, emblem_side = before["idDocuments"]

    answer = await _delete(citizen, portrait_side["pictureId"])
    after = await citizen.ask(_FORM)

    assert answer["__typename"] == "PictureDeleted"
    assert [side["pictureId"] for side in after["idDocuments"]] == [emblem_side["pictureId"]]
    assert "idDocuments" in after["missing"]
    assert _from_document(before) == {"ethnicityCode": "01", "idIssuer": "成都市公安局"}
    assert _from_document(after) == {"idIssuer": "成都市公安局"}
    assert after["portrait"]["confirmed"] is True


async def test_takes_the_pictures_that_it_replaced_with_it(world: World, citizen: FrontEnd) -> None:
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,), confirmed=False)
    form = await citizen.ask(_FORM)

    await _delete(citizen, form["portrait"]["portraitId"])

    assert (await citizen.ask(_FORM))["portrait"] is None


async def test_what_was_deleted_is_removed_from_the_store(
    http: httpx.AsyncClient, world: World, citizen: FrontEnd
) -> None:
    application = world.application
    await keep_pictures(world, citizen)
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))
    form = await citizen.ask(_FORM)
    await _delete(citizen, form["portrait"]["portraitId"])

    removed = await garbage_collection.remove(
        application.database, application.dependencies.objects, application.clock()
    )

    kinds = [row.kind for row in (await world.rows("pictures"))["pictures"]]
    assert removed == 2
    assert sorted(kinds) == ["EMBLEM_SIDE", "PORTRAIT_SIDE"]


async def test_refuses_what_is_not_there_or_not_ones_own(world: World, citizen: FrontEnd) -> None:
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))
    await keep_pictures(world, citizen)
    neighbour = await world.enter("minor")
    await keep_pictures(world, neighbour)
    theirs = (await neighbour.ask(_FORM))["portrait"]["portraitId"]
    own = (await citizen.ask(_FORM))["portrait"]["portraitId"]
    older = str(min(row.id for row in (await world.rows("pictures"))["pictures"]))
    before = await world.rows()

    refused = [await _delete(citizen, number) for number in (theirs, older, "0", "", "x", "９")]
    with english(citizen):
        in_english = await _delete(citizen, "1")

    assert {fault(answer) for answer in refused} == {("NO_SUCH_PICTURE", "pictureId")}
    assert refused[0]["message"] == "没有找到这张照片，可能已经删除；请重新打开申办页面查看。"
    assert in_english["message"].startswith("The picture was not found")
    assert await world.rows() == before
    assert (await _delete(citizen, own))["__typename"] == "PictureDeleted"
    once_deleted = await world.rows()
    assert fault(await _delete(citizen, own)) == ("NO_SUCH_PICTURE", "pictureId")
    assert await world.rows() == once_deleted


async def test_refuses_pictures_that_were_submitted(world: World, citizen: FrontEnd) -> None:
    await keep_pictures(world, citizen)
    form = await citizen.ask(_FORM)
    code = await citizen.code("APPLY_CARD")
    applied = await citizen.do("applyCard", **application_of(citizen.person, code=code))
    before = await world.rows()

    refused = [
        await _delete(citizen, number)
        for number in (
            form["portrait"]["portraitId"],
            *(side["pictureId"] for side in form["idDocuments"]),
        )
    ]

    assert applied["__typename"] == "CardApplied"
    assert {fault(answer) for answer in refused} == {("PICTURE_SUBMITTED", "pictureId")}
    assert refused[0]["message"] == (
        "这张照片已随申请提交，或已确认待提交，不能删除；如需更换，请重新上传一张。"
    )
    assert await world.rows() == before


async def test_while_an_application_is_open_only_unconfirmed_pictures_can_be_deleted(
    world: World, citizen: FrontEnd
) -> None:
    """A confirmed one may be on its way to the card issuer."""
    await keep_pictures(world, citizen)
    code = await citizen.code("APPLY_CARD")
    await citizen.do("applyCard", **application_of(citizen.person, code=code))
    submitted = await world.rows("pictures")
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,), confirmed=False)
    unconfirmed = await _newest_portrait(world, citizen)

    deleted = await _delete(citizen, unconfirmed)
    kept = [row for row in (await world.rows("pictures"))["pictures"] if row.kind != "DELETED"]
    await keep_pictures(world, citizen, (PictureKind.PORTRAIT,))
    before = await world.rows()
    refused = await _delete(citizen, await _newest_portrait(world, citizen))

    assert deleted["__typename"] == "PictureDeleted"
    assert kept == submitted["pictures"]
    assert fault(refused) == ("PICTURE_SUBMITTED", "pictureId")
    assert await world.rows() == before


async def _newest_portrait(world: World, citizen: FrontEnd) -> str:
    """As an upload tells it; the form is closed meanwhile."""
    owner = await person_id(world, citizen.person)
    kept = await pictures.latest(world.application.database, owner)
    return str(kept[PictureKind.PORTRAIT].id)


async def _read(world: World, citizen: FrontEnd, side: Side, **fields: str) -> None:
    owner, vault = await person_id(world, citizen.person), world.application.dependencies.vault
    read = tuple(ReadField(name, value, 0.99) for name, value in fields.items())

    async def save(unit: UnitOfWork) -> None:
        await prefills.save(unit.db, unit.writes, vault, owner, side, read, unit.now)

    await change(world, save)


def _from_document(form: dict[str, Any]) -> dict[str, str]:
    return {
        field["name"]: field["value"] for field in form["fields"] if field["source"] == "DOCUMENT"
    }
