"""信息变更 · 其他信息变更 change contact, through HTTP."""

from core.citizens import CONTACT_COLUMNS
from core.crypto import Sealed
from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, history, person_id, problems


async def test_changes_what_is_given_and_nothing_else(world: World, active: FrontEnd) -> None:
    first = await active.do(
        "changeContact",
        "at",
        landline="028-86120000",
        registeredAddress="成都市锦江区示例路 1 号",
        residentialAddress=" 成都市武侯区示例街 2 号 3 栋 ",
        residentialPostalCode="610041",
    )
    second = await active.do("changeContact", "at", landline="86120001", residentialAddress="")

    assert [first["__typename"], second["__typename"]] == ["ContactChanged"] * 2
    assert await _contact(world, active) == {
        "landline": "86120001",
        "registered_address": "成都市锦江区示例路 1 号",
        "residential_address": "成都市武侯区示例街 2 号 3 栋",
        "residential_postal_code": "610041",
    }
    assert (await history(world, active.person))[-2:] == ["CHANGE_CONTACT"] * 2


async def test_needs_no_card(world: World) -> None:
    citizen = await world.enter("no-card")

    answer = await citizen.do("changeContact", landline="028-86120000")

    assert answer["__typename"] == "ContactChanged"


async def test_refuses_a_wrong_field(world: World, active: FrontEnd) -> None:
    expected = {
        ("landline", "12"): "INVALID_FORMAT",
        ("registeredAddress", "路" * 101): "TOO_LONG",
        ("registeredAddress", " "): "REQUIRED",
        ("residentialAddress", "示例路\x001 号"): "INVALID_CHARACTERS",
        ("residentialAddress", "示例路\u202e1 号"): "INVALID_CHARACTERS",
        ("residentialPostalCode", "61004"): "INVALID_FORMAT",
    }
    before = await world.rows()

    answers = {
        (field, value): await active.do("changeContact", **{field: value})
        for field, value in expected
    }

    assert {case: problems(answer) for case, answer in answers.items()} == {
        (field, value): [(field, code)] for (field, value), code in expected.items()
    }
    assert await world.rows() == before


async def test_refuses_every_wrong_field_at_once(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.do(
        "changeContact",
        landline="12",
        registeredAddress="路" * 101,
        residentialAddress="成都市锦江区示例路 1 号",
        residentialPostalCode="x",
    )

    assert problems(answer) == [
        ("landline", "INVALID_FORMAT"),
        ("registeredAddress", "TOO_LONG"),
        ("residentialPostalCode", "INVALID_FORMAT"),
    ]
    assert answer["message"] == "固定电话格式不正确：如 028-12345678。"
    assert await world.rows() == before


async def test_refuses_an_empty_form(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.do("changeContact")
    with english(active):
        in_english = await active.do("changeContact", landline="")

    assert fault(answer) == ("NOTHING_TO_CHANGE", None)
    assert answer["message"] == "请至少填写一项需要变更的信息。"
    assert in_english["message"] == "Please fill in at least one item to change."
    assert await world.rows() == before


async def _contact(world: World, citizen: FrontEnd) -> dict[str, str]:
    owner = await person_id(world, citizen.person)
    vault = world.application.dependencies.vault
    row = next(row for row in (await world.rows("citizens"))["citizens"] if row.subject_id == owner)
    return {
        column: Sealed(vault, getattr(row, column), f"citizens.{column}", owner).reveal()
        for column in CONTACT_COLUMNS
    }
