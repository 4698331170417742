"""Reading the fields: the rules on given words, and end to end if the extra `ocr` is installed."""

import dataclasses
from collections.abc import Iterable
from datetime import date

import pytest

from core.imaging import ReadField, Side, can_read, read_document

pytestmark = pytest.mark.slow

TODAY = date(2026, 1, 1)
NO_OCR = "THE EXTRA `ocr` IS NOT INSTALLED: no ID document is read in these tests. Run `make install-ocr`."


def told(found: Iterable[ReadField]) -> dict[str, str]:
    return {entry.name: entry.value for entry in found}


@pytest.fixture(scope="module")
def ocr() -> None:
    if not can_read():
        pytest.skip(NO_OCR)


# --- the rules -----------------------------------------------------------------------------


def fields(number: str, birth: str = "2002年9月24日", gender: str = "男") -> dict[str, str]:
    from core.imaging.id_documents.ocr import Words
    from core.imaging.id_documents.reading import fields_in

    words = [
        Words(7, 26, 8.3, "姓名唐晓舟", 0.98),
        Words(7, 40, 15.3, f"性别{gender}民族漢", 0.97),
        Words(7, 45, 22.7, f"出生{birth}", 0.9),
        Words(7, 46, 30.4, "住址四川省成都市", 0.95),
        Words(16, 46, 35.1, "示例路1号", 0.95),
        Words(58, 78, 41.6, "样张 SPECIMEN", 0.9),
        Words(7, 80, 47.4, f"公民身份号码{number}", 0.93),
    ]
    return told(fields_in(words, Side.PORTRAIT_SIDE, TODAY))


def test_puts_the_words_into_the_shape_of_the_form() -> None:
    assert fields("510107200209241451") == {
        "name": "唐晓舟",
        "gender_code": "1",
        "ethnicity_code": "汉",
        "birth_date": "20020924",
        "registered_address": "四川省成都市示例路1号",
        "id_number": "510107200209241451",
    }


def test_a_number_that_fails_its_check_is_not_told() -> None:
    assert "id_number" not in fields("510107200209241452")


def test_what_disagrees_with_the_number_is_not_told() -> None:
    found = fields("510107200209241451", birth="2002年9月25日", gender="女")

    assert "birth_date" not in found
    assert "gender_code" not in found
    assert found["id_number"] == "510107200209241451"


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("有效期限2018.10.21-2038.10.21", "20381021"),
        ("有效期限2018.10.21-长期", "LONG_TERM"),
        ("有效期限2018.10.21-2038.02.31", None),
    ],
)
def test_reads_the_validity(text: str, until: str | None) -> None:
    from core.imaging.id_documents.ocr import Words
    from core.imaging.id_documents.reading import fields_in

    words = [Words(20, 60, 39.8, "签发机关成都市公安局", 0.98), Words(20, 70, 46.6, text, 0.99)]

    found = told(fields_in(words, Side.EMBLEM_SIDE, TODAY))

    assert found["id_issuer"] == "成都市公安局"
    assert found.get("id_valid_until") == until


# --- end to end ----------------------------------------------------------------------------


@pytest.mark.usefixtures("ocr")
@pytest.mark.parametrize("seed", range(3))
def test_reads_a_photographed_card(seed: int) -> None:
    from tests.id_documents.parts import reviewed, somebody, truth_of
    from tests.id_documents.photographs import Scene

    card = somebody(seed)
    scene = Scene(table="dark", light=0.95, blur=0.8, tilt=10, pan=8, roll=6, seed=seed)
    found: dict[str, str] = {}
    for side in Side:
        document = reviewed(side, dataclasses.replace(scene, noise=3.0), seed=seed)
        found |= told(read_document(document.data, side, TODAY).fields)

    assert found == truth_of(card, Side.PORTRAIT_SIDE) | truth_of(card, Side.EMBLEM_SIDE)
