"""申办 apply, through HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from core.cards import CardState
from core.kernel.clock import CHINA
from core.storage import PictureKind
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import (
    NEW_PHONE,
    OUTLET_OF_OTHER_BANKS,
    OUTLET_OF_OTHER_DISTRICT,
    application_of,
    english,
    fault,
    give_card_elsewhere,
    history,
    keep_pictures,
    later,
    notices,
    other_than,
    person_id,
    problems,
)


@pytest.fixture
async def applicant(world: World) -> FrontEnd:
    """Has no card; portrait and documents are confirmed."""
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)
    return citizen


async def test_accepts_an_application_and_orders_the_card(
    world: World, applicant: FrontEnd
) -> None:
    answer = await _apply(
        applicant, socialInsuranceNumber="SI20250001", code=await applicant.code("APPLY_CARD")
    )

    progress = await applicant.progress()
    assert answer == {
        "__typename": "CardApplied",
        "applicationNumber": progress["applicationNumber"],
        "progress": {"name": "唐**", "bank": "中国工商银行", "cardNumber": None},
    }
    assert [node["result"] for node in progress["nodes"]] == ["IN_PROGRESS"] + ["PENDING"] * 5
    assert (await history(world, applicant.person))[-1] == "APPLY_CARD"
    assert await notices(applicant) == [
        "【成都人社】您的社会保障卡申请已受理，可在「制卡进度查询」中查看进度。"
        "如非本人操作，请拨打 028-12333。"
    ]
    assert (await world.advance("no-card"))["orderNumber"] == progress["applicationNumber"]


async def test_records_the_consent_with_version_and_time(world: World, applicant: FrontEnd) -> None:
    await _apply(applicant, code=await applicant.code("APPLY_CARD"))

    owner = await person_id(world, applicant.person)
    given = [row for row in (await world.rows("consents"))["consents"] if row.subject_id == owner]
    assert len(given) == 1
    assert world.application.dependencies.settings.privacy_notice_version == given[0].notice_version


async def test_reads_what_people_type_in_their_own_way(applicant: FrontEnd) -> None:
    person = applicant.person

    answer = await _apply(
        applicant,
        phone=f"＋86 {person.phone[:3]}-{person.phone[3:7]} {person.phone[7:]}",
        postalCode="６１００ 41",
        code=f" {await applicant.code('APPLY_CARD')} ",
        idNumber=f" {person.social_security_number.lower()} ",
        name=f" {person.name} ",
        birthDate=f"{person.birth_date:%Y-%m-%d}",
        idValidUntil="长期",
    )

    assert answer["__typename"] == "CardApplied"
    assert (await applicant.ask("{ viewer { phone } }"))["phone"] == "199****1008"
    with later(seconds=61):
        assert await applicant.code("APPLY_CARD", person.phone)


async def test_a_cancelled_card_does_not_stand_in_the_way(world: World) -> None:
    citizen = await world.enter("cancelled")
    await keep_pictures(world, citizen)

    answer = await _apply(citizen, code=await citizen.code("APPLY_CARD"))

    assert answer["__typename"] == "CardApplied"


async def test_a_new_phone_becomes_the_bound_one_and_the_old_one_is_told(
    world: World, applicant: FrontEnd
) -> None:
    code = await applicant.code("APPLY_CARD", NEW_PHONE)

    answer = await _apply(applicant, phone=NEW_PHONE, code=code)

    assert answer["__typename"] == "CardApplied"
    assert (await applicant.ask("{ viewer { phone } }"))["phone"] == "199****9999"
    assert [text[:19] for text in await notices(applicant)] == [
        "【成都人社】您的社会保障卡绑定手机号码"
    ]
    assert [text[:18] for text in await notices(applicant, NEW_PHONE)] == [
        "【成都人社】您的社会保障卡申请已受理"
    ]
    assert "CHANGE_PHONE" in await history(world, applicant.person)


_WRONG_ALONE: list[tuple[str, Any, str]] = [
    ("postalCode", "", "REQUIRED"),
    ("postalCode", "61000", "INVALID_FORMAT"),
    ("postalCode", "６１０００", "INVALID_FORMAT"),
    ("socialInsuranceNumber", "编号", "INVALID_FORMAT"),
    ("socialInsuranceNumber", "1" * 21, "INVALID_FORMAT"),
    ("educationCode", "", "REQUIRED"),
    ("educationCode", "99", "UNKNOWN_CODE"),
    ("occupationCode", "2", "UNKNOWN_CODE"),
    ("bankCode", "", "REQUIRED"),
    ("bankCode", "ICBC", "UNKNOWN_CODE"),
    ("districtCode", "", "REQUIRED"),
    ("districtCode", "510100", "UNKNOWN_CODE"),
    ("outletCode", "", "REQUIRED"),
    ("outletCode", "SAMPLE-9", "UNKNOWN_CODE"),
    ("outletCode", OUTLET_OF_OTHER_DISTRICT, "OUTLET_NOT_IN_DISTRICT"),
    ("outletCode", OUTLET_OF_OTHER_BANKS, "OUTLET_DOES_NOT_SERVE_BANK"),
    ("phone", "", "REQUIRED"),
    ("phone", "1990000100", "INVALID_FORMAT"),
    ("code", "", "REQUIRED"),
    ("code", "12345", "INVALID_FORMAT"),
    ("nationalityCode", "XXX", "NOT_SERVED_ONLINE"),
    ("idDocumentType", "99", "NOT_SERVED_ONLINE"),
    ("idIssuer", " ", "REQUIRED"),
    ("idIssuer", "局" * 61, "TOO_LONG"),
    ("idIssuer", "成都市\x07公安局", "INVALID_CHARACTERS"),
    ("idNumber", "", "REQUIRED"),
    ("idNumber", "510107200209241452", "INVALID_ID_NUMBER"),
    ("idNumber", "５１０１０７２００２０９２４１４５２", "INVALID_ID_NUMBER"),
    ("idValidUntil", "", "REQUIRED"),
    ("idValidUntil", "20280230", "INVALID_DATE"),
    ("idValidUntil", "20200101", "DOCUMENT_EXPIRED"),
    ("name", "", "REQUIRED"),
    ("name", "唐" * 51, "TOO_LONG"),
    ("name", "唐晓舟1", "INVALID_CHARACTERS"),
    ("name", "唐小舟", "NOT_YOURS"),
    ("genderCode", "", "REQUIRED"),
    ("genderCode", "9", "UNKNOWN_CODE"),
    ("genderCode", "2", "GENDER_MISMATCH"),
    ("ethnicityCode", "00", "UNKNOWN_CODE"),
    ("birthDate", "", "REQUIRED"),
    ("birthDate", "20020230", "INVALID_DATE"),
    ("birthDate", "20020925", "BIRTH_DATE_MISMATCH"),
]


@pytest.fixture
async def refused_alone(world: World, applicant: FrontEnd) -> dict[tuple[str, Any], Any]:
    """The answer to each field of `_WRONG_ALONE`, wrong alone; nothing may have changed."""
    before = await world.rows()

    answers = {
        (field, value): await _apply(applicant, **{field: value})
        for field, value, _ in _WRONG_ALONE
    }

    assert await world.rows() == before
    return answers


async def test_names_the_one_field_that_is_wrong(
    refused_alone: dict[tuple[str, Any], Any],
) -> None:
    expected = {(field, value): [(field, code)] for field, value, code in _WRONG_ALONE}

    assert {case: problems(answer) for case, answer in refused_alone.items()} == expected
    assert {case: [fault(answer)[::-1]] for case, answer in refused_alone.items()} == expected


async def test_names_every_wrong_field_at_once(world: World) -> None:
    citizen = await world.enter("no-card")
    wrong = {field: "!" for field, _, _ in _WRONG_ALONE}
    before = await world.rows()

    answer = await _apply(citizen, **wrong)
    with english(citizen):
        in_english = await _apply(citizen, **wrong)

    assert problems(answer) == [
        ("portrait", "PORTRAIT_NOT_CONFIRMED"),
        ("idDocuments", "ID_DOCUMENTS_NOT_CONFIRMED"),
        ("postalCode", "INVALID_FORMAT"),
        ("socialInsuranceNumber", "INVALID_FORMAT"),
        ("educationCode", "UNKNOWN_CODE"),
        ("occupationCode", "UNKNOWN_CODE"),
        ("bankCode", "UNKNOWN_CODE"),
        ("districtCode", "UNKNOWN_CODE"),
        ("outletCode", "UNKNOWN_CODE"),
        ("phone", "INVALID_FORMAT"),
        ("nationalityCode", "NOT_SERVED_ONLINE"),
        ("idDocumentType", "NOT_SERVED_ONLINE"),
        ("genderCode", "UNKNOWN_CODE"),
        ("ethnicityCode", "UNKNOWN_CODE"),
        ("name", "INVALID_CHARACTERS"),
        ("idNumber", "INVALID_ID_NUMBER"),
        ("birthDate", "INVALID_DATE"),
        ("idValidUntil", "INVALID_DATE"),
        ("code", "INVALID_FORMAT"),
    ]
    assert answer["message"] == "请先上传并确认本人二寸白底彩色照片。"
    assert in_english["message"] == "Please upload and confirm your portrait first."
    assert await world.rows() == before


async def test_refuses_the_number_of_another_person(world: World, applicant: FrontEnd) -> None:
    before = await world.rows()

    answer = await _apply(applicant, idNumber=PERSONAS["minor"].social_security_number)

    assert problems(answer) == [
        ("birthDate", "BIRTH_DATE_MISMATCH"),
        ("genderCode", "GENDER_MISMATCH"),
        ("idNumber", "NOT_YOURS"),
    ]
    assert await world.rows() == before


async def test_a_document_is_good_to_its_last_day(world: World, applicant: FrontEnd) -> None:
    with later(days=1):
        await applicant.sign_in()
        code = await applicant.code("APPLY_CARD")
        today, yesterday = _china_day(0), _china_day(-1)

        expired = await _apply(applicant, idValidUntil=yesterday, code=code)
        last_day = await _apply(applicant, idValidUntil=today, code=code)

        assert problems(expired) == [("idValidUntil", "DOCUMENT_EXPIRED")]
        assert expired["message"] == "证件已过有效期，请先到公安机关换领新证。"
        assert last_day["__typename"] == "CardApplied"


async def test_a_mistake_elsewhere_in_the_form_costs_no_code(
    world: World, applicant: FrontEnd
) -> None:
    code = await applicant.code("APPLY_CARD")
    for _ in range(6):
        await _apply(applicant, name="唐小舟", code=code)

    assert (await _apply(applicant, code=code))["__typename"] == "CardApplied"


async def test_the_phone_of_another_person_is_refused_and_costs_no_code(
    world: World, applicant: FrontEnd
) -> None:
    taken = PERSONAS["lost"].phone
    code = await applicant.code("APPLY_CARD", taken)
    before = await world.rows()

    answers = [await _apply(applicant, phone=taken, code=code) for _ in range(6)]

    assert {fault(answer) for answer in answers} == {("PHONE_TAKEN", "phone")}
    assert problems(answers[0]) == [("phone", "PHONE_TAKEN")]
    assert await world.rows() == before


async def test_refuses_a_code_that_is_wrong_or_went_elsewhere(
    world: World, applicant: FrontEnd
) -> None:
    code = await applicant.code("APPLY_CARD")
    before = await world.rows()

    wrong = await _apply(applicant, code=other_than(code))
    elsewhere = await _apply(applicant, phone=NEW_PHONE, code=code)

    assert fault(wrong) == ("CODE_WRONG", "code")
    assert fault(elsewhere) == ("CODE_NOT_SENT", "code")
    assert await world.rows() == before


async def test_refuses_pictures_that_were_not_confirmed(world: World) -> None:
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen, confirmed=False)
    code = await citizen.code("APPLY_CARD")
    before = await world.rows()

    answer = await _apply(citizen, code=code)

    assert problems(answer) == [
        ("portrait", "PORTRAIT_NOT_CONFIRMED"),
        ("idDocuments", "ID_DOCUMENTS_NOT_CONFIRMED"),
    ]
    assert await world.rows() == before


@pytest.mark.parametrize("side", [PictureKind.PORTRAIT_SIDE, PictureKind.EMBLEM_SIDE])
async def test_refuses_an_id_card_of_which_one_side_was_confirmed(
    world: World, applicant: FrontEnd, side: PictureKind
) -> None:
    await keep_pictures(world, applicant, (side,), confirmed=False)
    code = await applicant.code("APPLY_CARD")
    before = await world.rows()

    answer = await _apply(applicant, code=code)

    assert problems(answer) == [("idDocuments", "ID_DOCUMENTS_NOT_CONFIRMED")]
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("persona", "code", "message"),
    [
        (
            "active",
            "CARD_HELD",
            "您已持有社会保障卡（正常），不能重复申办。如卡遗失或损坏，请先挂失，再补卡。",
        ),
        (
            "lost",
            "CARD_HELD",
            "您已持有社会保障卡（挂失），不能重复申办。如已找回请解挂，未找回请补卡。",
        ),
        (
            "sealed",
            "APPLICATION_OPEN",
            "您有一笔申请正在办理。卡已制成，领取后请激活。",
        ),
        (
            "in-production",
            "APPLICATION_OPEN",
            "您有一笔申请正在办理。进度请在「制卡进度查询」中查看，制成后即可领卡、激活。",
        ),
        (
            "other-city",
            "CARD_HELD_ELSEWHERE",
            "您在绵阳市已有社会保障卡，不能重复申办。您在省内其他市（州）的卡，请办理「卡归属地转入」。",
        ),
        (
            "other-province",
            "CARD_HELD_ELSEWHERE",
            "您在重庆市已有社会保障卡，不能重复申办。请拨打 028-12333 咨询。",
        ),
    ],
)
async def test_refuses_who_has_a_card_or_an_application(
    world: World, persona: str, code: str, message: str
) -> None:
    citizen = await world.enter(persona)
    await keep_pictures(world, citizen)
    before = await world.rows()

    answer = await _apply(citizen)

    assert (fault(answer), answer["message"]) == ((code, None), message)
    assert await world.rows() == before


async def test_refuses_a_second_application(world: World, applicant: FrontEnd) -> None:
    code = await applicant.code("APPLY_CARD")
    await _apply(applicant, code=code)
    await world.application.worker.drained()
    before = await world.rows()

    answer = await _apply(applicant, code=code)

    assert fault(answer) == ("APPLICATION_OPEN", None)
    assert await world.rows() == before


async def test_a_cancelled_card_of_another_city_does_not_stand_in_the_way(
    world: World, applicant: FrontEnd
) -> None:
    give_card_elsewhere(world, applicant.person, state=CardState.CANCELLED)

    answer = await _apply(applicant, code=await applicant.code("APPLY_CARD"))

    assert answer["__typename"] == "CardApplied"


async def test_refuses_financial_withholding_to_a_minor(world: World) -> None:
    citizen = await world.enter("minor")
    await keep_pictures(world, citizen)
    code = await citizen.code("APPLY_CARD")
    before = await world.rows()

    answer = await _apply(citizen, financialWithholding=True, code=code)

    assert problems(answer) == [("financialWithholding", "GUARDIAN_NEEDED")]
    assert answer["message"].startswith("未满 16 周岁不能在线开通金融代扣")
    assert await world.rows() == before
    assert (await _apply(citizen, code=code))["__typename"] == "CardApplied"


async def test_financial_withholding_opens_on_the_sixteenth_birthday(world: World) -> None:
    """Of Chengdu's calendar, where the day begins eight hours before UTC's."""
    birthday = datetime(2033, 5, 20, tzinfo=CHINA)
    changed = ("applications", "citizens", "consents", "production_orders")

    with time_machine.travel(birthday - timedelta(minutes=1), tick=True):
        citizen = await world.enter("minor")
        await keep_pictures(world, citizen)
        code = await citizen.code("APPLY_CARD")
        before = await world.rows(*changed)
        the_day_before = await _apply(citizen, financialWithholding=True, code=code)
        assert await world.rows(*changed) == before
    with time_machine.travel(birthday, tick=True):
        on_the_day = await _apply(citizen, financialWithholding=True, code=code)

    assert problems(the_day_before) == [("financialWithholding", "GUARDIAN_NEEDED")]
    assert on_the_day["__typename"] == "CardApplied"


def _china_day(days: int) -> str:
    return f"{datetime.now(CHINA) + timedelta(days=days):%Y%m%d}"


async def _apply(citizen: FrontEnd, **changes: Any) -> dict[str, Any]:
    return await citizen.do(
        "applyCard",
        "applicationNumber progress { name bank cardNumber }",
        **application_of(citizen.person, **changes),
    )
