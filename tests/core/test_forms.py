"""Validation of each form field."""

import string
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_2

from core import reference
from core.kernel.refusals import InvalidFields, Refusal, RefusalCode
from core.reference import Form, is_same_name, spelling
from sandbox.personas import PERSONAS

TODAY = date(2026, 1, 31)
FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")

births = st.dates(date(1850, 1, 1), TODAY)
serials = st.integers(0, 999)


def id_number(born: date, serial: int, region: str = "510104") -> str:
    front = f"{region}{born:%Y%m%d}{serial:03d}"
    return front + mod_11_2.calc_check_digit(front)


def refusal_of(form: Form) -> Refusal:
    with pytest.raises(Refusal) as caught:
        form.finish()
    return caught.value


def code_of(form: Form) -> RefusalCode:
    return refusal_of(form).code


@given(births, serials)
def test_takes_a_number_with_a_real_date_and_its_check_character(born: date, serial: int) -> None:
    number = id_number(born, serial)

    assert reference.is_id_number(number, TODAY)
    assert reference.birth_date_of(number) == born
    assert reference.gender_code_of(number) == ("1" if serial % 2 else "2")


@given(births, serials, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_refuses_a_number_with_one_wrong_character(
    born: date, serial: int, at: int, typed: str
) -> None:
    number = id_number(born, serial)
    assume(number[at] != typed)

    assert not reference.is_id_number(number[:at] + typed + number[at + 1 :], TODAY)


@given(births, serials, st.integers(0, 16))
def test_refuses_two_neighbours_in_the_wrong_order(born: date, serial: int, at: int) -> None:
    number = id_number(born, serial)
    assume(number[at] != number[at + 1])

    assert not reference.is_id_number(
        number[:at] + number[at + 1] + number[at] + number[at + 2 :], TODAY
    )


@given(births, serials, st.integers(0, 17))
def test_refuses_a_full_width_digit_anywhere(born: date, serial: int, at: int) -> None:
    number = id_number(born, serial)

    assert not reference.is_id_number(
        number[:at] + number[at].translate(FULL_WIDTH) + number[at + 1 :], TODAY
    )


@given(births, serials, st.sampled_from(["\n", "\r", "\t", " ", "\0", "\u200b"]))
def test_refuses_a_character_after_the_number(born: date, serial: int, more: str) -> None:
    assert not reference.is_id_number(id_number(born, serial) + more, TODAY)


@pytest.mark.parametrize("day", ["19000229", "19910431", "20251301", "20260201", "18491231"])
def test_refuses_a_birth_date_that_cannot_be(day: str) -> None:
    front = f"510104{day}123"

    assert not reference.is_id_number(front + mod_11_2.calc_check_digit(front), TODAY)


@pytest.mark.parametrize(("days", "valid"), [(0, True), (1, False)])
def test_a_birth_date_may_be_today_but_not_tomorrow(days: int, valid: bool) -> None:
    number = id_number(TODAY + timedelta(days=days), 123)

    assert reference.is_id_number(number, TODAY) is valid


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda persona: persona.id)
def test_the_personas_have_numbers_that_pass(persona: object) -> None:
    assert reference.is_id_number(persona.social_security_number, TODAY)  # type: ignore[attr-defined]


@given(births, serials)
def test_the_form_takes_a_small_x_and_spaces_around(born: date, serial: int) -> None:
    number = id_number(born, serial)
    form = Form()

    assert form.id_number("idNumber", f" {number.lower()} ", TODAY) == number
    form.finish()


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", RefusalCode.REQUIRED),
        ("   ", RefusalCode.REQUIRED),
        ("510104199104151237", RefusalCode.INVALID_ID_NUMBER),
        ("51010419910415123", RefusalCode.INVALID_ID_NUMBER),
        ("5101041991041512361", RefusalCode.INVALID_ID_NUMBER),
        ("１", RefusalCode.INVALID_ID_NUMBER),
    ],
)
def test_the_form_refuses_an_id_number(typed: str, code: RefusalCode) -> None:
    form = Form()
    form.id_number("idNumber", typed, TODAY)

    refusal = refusal_of(form)

    assert (refusal.code, refusal.field) == (code, "idNumber")


@given(st.text(string.ascii_letters + string.digits, min_size=8, max_size=8), st.integers(0, 9))
def test_a_card_number_is_normalised(front: str, last: int) -> None:
    number = f"{front}{last}"
    typed = f" {number[:4].lower()} {number[4:8]}-{number[8:]} "

    assert Form().card_number("cardNumber", typed, check_character=False) == number.upper()


@pytest.mark.parametrize(
    "typed",
    [
        "SAMPLE01",
        "SAMPLE01XX",
        "SAMPLE01Y",
        "SAMPLE01X\n",
        "SAMPLE0①X",
        "ı23456789",
    ],
)
def test_refuses_a_card_number(typed: str) -> None:
    form = Form()
    form.card_number("cardNumber", typed, check_character=False)

    assert code_of(form) is RefusalCode.INVALID_FORMAT


def refuses_card_number(number: str, *, check_character: bool) -> bool:
    form = Form()
    form.card_number("cardNumber", number, check_character=check_character)
    return bool(form.problems)


def test_the_check_character_of_a_card_number_is_a_setting() -> None:
    numbers = [f"ABCD1234{last}" for last in "0123456789X"]

    lenient = [number for number in numbers if refuses_card_number(number, check_character=False)]
    strict = [number for number in numbers if refuses_card_number(number, check_character=True)]

    assert lenient == []
    assert len(strict) == 10


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("林若溪", "林若溪"),
        (" 林若溪 ", "林若溪"),
        ("阿米娜·买买提", "阿米娜·买买提"),
        ("阿米娜•买买提", "阿米娜·买买提"),
        ("阿米娜・买买提", "阿米娜·买买提"),
        ("阿米娜‧买买提", "阿米娜·买买提"),
        ("𠮷野", "𠮷野"),
        ("㐂", "㐂"),
        ("Zoë", "Zoë"),
        ("O'Brien-Smith Jr.", "O'Brien-Smith Jr."),
    ],
)
def test_keeps_a_name_in_its_normal_form(typed: str, kept: str) -> None:
    form = Form()

    assert form.name("name", typed) == kept
    assert form.problems == ()


@given(st.text(st.characters(categories=["Lo", "Lu", "Ll"]), min_size=1, max_size=50))
def test_a_normal_name_stays_as_it_is(name: str) -> None:
    assert spelling.name(spelling.name(name)) == spelling.name(name)


@pytest.mark.parametrize(
    "inside",
    [
        *"\u200b\u200c\u200d\u2060\ufeff\u00ad",
        *"\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c",
        *"\0\t\n\r\x1b\x7f\u0085\u2028\u2029",
        *"0９＜<&\ue000\U000e0041",
    ],
    ids=ascii,
)
def test_refuses_a_character_that_cannot_stand_in_a_name(inside: str) -> None:
    form = Form()
    form.name("name", f"林{inside}溪")

    assert code_of(form) is RefusalCode.INVALID_CHARACTERS


def test_refuses_a_trailing_newline_in_a_name() -> None:
    form = Form()
    form.name("name", "林若溪\n")

    assert code_of(form) is RefusalCode.INVALID_CHARACTERS


def test_refuses_a_name_that_is_too_long_by_its_characters() -> None:
    just, over = Form(), Form()

    just.name("name", "𠮷" * 50)
    over.name("name", "𠮷" * 51)

    assert just.problems == ()
    assert code_of(over) is RefusalCode.TOO_LONG


@given(st.dates())
def test_reads_a_date_with_and_without_hyphens(day: date) -> None:
    assert reference.parse_date(day.strftime("%Y%m%d").zfill(8)) == day
    assert reference.parse_date(day.isoformat()) == day


@pytest.mark.parametrize(
    "typed",
    [
        "20250229",
        "20251301",
        "20250100",
        "00000101",
        "2025010",
        "202501011",
        "2025-1-1",
        "２０２５０１０１",
        "20250101\n",
        "2025W011",
        "2025-001",
        "+2025011",
        "",
    ],
)
def test_refuses_a_date_that_does_not_exist(typed: str) -> None:
    assert reference.parse_date(typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "20281005",
        "2028-10-05",
        "2028.10.5",
        "2028/10/05",
        "2028年10月5日",
        "２０２８．１０．０５",
        " 2028 10 05 ",
    ],
)
def test_reads_a_date_as_documents_and_people_write_it(typed: str) -> None:
    form = Form()

    assert form.valid_until("idValidUntil", typed) == date(2028, 10, 5)
    assert form.problems == ()


@pytest.mark.parametrize(
    "typed", ["2028-02-30", "28.10.05", "10/05/2028", "2028年10月", "2028年13月1日"]
)
def test_refuses_a_date_that_may_mean_another(typed: str) -> None:
    form = Form()
    form.valid_until("idValidUntil", typed)

    assert code_of(form) is RefusalCode.INVALID_DATE


@pytest.mark.parametrize("typed", ["LONG_TERM", "长期", " 长期 ", "长期有效"])
def test_a_document_may_be_valid_for_ever(typed: str) -> None:
    form = Form()

    assert form.valid_until("idValidUntil", typed) is None
    assert form.problems == ()


@given(births, st.integers(0, 60_000))
def test_an_age_grows_on_the_birthday(born: date, days: int) -> None:
    day = born + timedelta(days)

    age = reference.age_on(born, day)

    assert 0 <= day.year - born.year - age <= 1
    assert reference.age_on(born, born) == 0


def test_an_age_is_full_the_day_of_the_birthday() -> None:
    born = date(2010, 2, 1)

    assert (
        reference.age_on(born, date(2026, 1, 31)),
        reference.age_on(born, date(2026, 2, 1)),
    ) == (15, 16)


@pytest.mark.parametrize(
    ("read", "typed"),
    [
        ("phone", "19900001001\n"),
        ("phone", "12900001001"),
        ("phone", "+8219900001001"),
        ("phone", "861990000100"),
        ("verification_code", "12345"),
        ("verification_code", "123456\n"),
        ("password", "1234567"),
        ("password", " 40917258"),
        ("password", "40917258 "),
        ("password", "4091 7258"),
        ("postal_code", "61000"),
        ("landline", "028-1234567a"),
        ("social_insurance_number", "1" * 21),
        ("social_insurance_number", "é1"),
    ],
)
def test_refuses_digits_of_the_wrong_shape(read: str, typed: str) -> None:
    form = Form()
    getattr(form, read)("phone", typed)

    assert code_of(form) is RefusalCode.INVALID_FORMAT


GROUPS = st.sampled_from(["", " ", "-", "\u3000", "\u00a0", "－", "\u2011"])
"""What people put between groups of digits."""


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.sampled_from(["", "+86", "86", "0086", "(+86)", "＋８６", "\u202d+86"]),
    st.booleans(),
    st.tuples(GROUPS, GROUPS, GROUPS),
)
def test_understands_a_phone_as_people_type_it(
    phone: str, country: str, full_width: bool, between: tuple[str, str, str]
) -> None:
    typed = phone.translate(FULL_WIDTH) if full_width else phone
    first, second, third = between
    form = Form()

    assert (
        form.phone("phone", f" {country}{first}{typed[:3]}{second}{typed[3:7]}{third}{typed[7:]} ")
        == phone
    )
    assert form.problems == ()


@given(births, serials, st.booleans(), st.tuples(GROUPS, GROUPS))
def test_understands_an_id_number_as_people_type_it(
    born: date, serial: int, full_width: bool, between: tuple[str, str]
) -> None:
    number = id_number(born, serial)
    typed = number.translate(FULL_WIDTH) if full_width else number.lower()
    form = Form()

    grouped = f"{typed[:6]}{between[0]}{typed[6:14]}{between[1]}{typed[14:]}"

    assert form.id_number("idNumber", grouped, TODAY) == number
    assert form.problems == ()


@pytest.mark.parametrize(
    ("read", "typed", "kept"),
    [
        ("verification_code", "１２３ ４５６", "123456"),
        ("password", "４０９１７２５８", "40917258"),
        ("postal_code", "６１ ００００", "610000"),
        ("landline", "（０２８）８５５５ ５５５５", "02885555555"),
        ("landline", "+86 28 8555 5555", "02885555555"),
        ("landline", "028—85555555—12", "028-85555555-12"),
        ("landline", "028-85555555-12", "028-85555555-12"),
        ("social_insurance_number", "Ａ１ 23", "A123"),
    ],
)  # fmt: skip
def test_understands_digits_as_people_type_them(read: str, typed: str, kept: str) -> None:
    form = Form()

    assert getattr(form, read)("phone", typed) == kept
    assert form.problems == ()


def test_understands_a_card_number_in_full_width() -> None:
    form = Form()

    assert (
        form.card_number("cardNumber", "ＳＡＭＰ　ＬＥ０１ｘ", check_character=False) == "SAMPLE01X"
    )
    assert form.problems == ()


DOTS = [".", "·", "•", "・", "‧", "･", "∙", "⋅", "●", "。", "．", " · ", " ", "\u3000", "··"]


@pytest.mark.parametrize("dot", DOTS, ids=ascii)
def test_understands_the_dot_in_a_name(dot: str) -> None:
    form = Form()

    assert form.name("name", f"阿卜杜拉{dot}买买提") == "阿卜杜拉·买买提"
    assert form.problems == ()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("张 三", "张三"),
        ("欧阳 娜娜", "欧阳娜娜"),
        ("Ｚｏｅ Li", "Zoe Li"),
        ("Mary J. Li", "Mary J. Li"),
    ],
)
def test_a_space_is_no_dot_where_names_have_none(typed: str, kept: str) -> None:
    assert Form().name("name", typed) == kept


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("阿卜杜拉·买买提", "阿卜杜拉买买提", True),
        ("阿卜杜拉·买买提", "阿卜杜拉．买买提", True),
        ("Zoë Li", "ZOË-LI", True),
        ("阿卜杜拉·买买提", "阿卜杜拉·买买", False),
        ("林若溪", "林若曦", False),
    ],
)
def test_names_that_differ_in_dots_alone_are_the_same(left: str, right: str, same: bool) -> None:
    assert is_same_name(left, right) is same


@given(st.text(st.sampled_from("阿卜杜拉买提林 .·•。-'Aa"), max_size=12))
def test_the_spelling_of_a_name_does_not_change_again(typed: str) -> None:
    once = spelling.name(typed)

    assert spelling.name(once) == once
    assert is_same_name(typed, once)


@given(
    st.sampled_from(["phone", "verification_code", "password", "postal_code", "landline"]),
    st.text(max_size=20),
)
def test_what_a_shape_takes_is_ascii(read: str, typed: str) -> None:
    form = Form()

    taken = getattr(form, read)("phone", typed)

    assert form.problems or taken.isascii()


def test_every_wrong_field_is_told_at_once() -> None:
    form = Form()
    form.phone("phone", "1")
    form.name("name", "")
    form.birth_date("birthDate", "20250230")

    refusal = refusal_of(form)

    assert isinstance(refusal, InvalidFields)
    assert [(problem.field, problem.code) for problem in refusal.problems] == [
        ("phone", RefusalCode.INVALID_FORMAT),
        ("name", RefusalCode.REQUIRED),
        ("birthDate", RefusalCode.INVALID_DATE),
    ]
