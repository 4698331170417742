"""其他证件: other cards are no resident ID card, and are named if their title can be read."""

from datetime import date

import pytest

from core.imaging import (
    DocumentCheckCode,
    OtherCard,
    ProcessedDocument,
    Side,
    can_read,
    document_advice,
    process_document,
    read_document,
)
from core.kernel.texts import Language
from tests.id_documents import others
from tests.id_documents.parts import failed, somebody
from tests.id_documents.styles import BUNDLED, portrait_side
from tests.id_documents.test_reading import NO_OCR
from tests.id_documents.ways import WAYS, plane_of, shoot

pytestmark = pytest.mark.slow

P, E = Side.PORTRAIT_SIDE, Side.EMBLEM_SIDE
C = DocumentCheckCode
TODAY = date(2026, 1, 1)
NAMED = {
    "社会保障卡": OtherCard.SOCIAL_SECURITY_CARD,
    "外国人永久居留身份证": OtherCard.PERMANENT_RESIDENCE,
    "港澳居民来往内地通行证": OtherCard.TRAVEL_PERMIT,
    "港澳居民居住证": OtherCard.RESIDENCE_PERMIT,
    "港澳居民居住证背面": OtherCard.RESIDENCE_PERMIT,
    "临时居民身份证": OtherCard.TEMPORARY_ID_CARD,
    "银行卡": OtherCard.BANK_CARD,
    "驾驶证": OtherCard.DRIVING_LICENCE,
    "护照": OtherCard.PASSPORT,
    "学生证": OtherCard.STUDENT_CARD,
}
BY_LAYOUT = sorted(set(NAMED) - {"港澳居民居住证", "港澳居民居住证背面", "临时居民身份证"})
"""The residence permit has the ID card's own layout, and the temporary card that of a grey copy:
only title and number tell."""


def reviewed(kind: str, expected: Side | None = None) -> ProcessedDocument:
    card = others.OTHERS[kind](somebody(), BUNDLED, 4)
    side = E if kind in others.WITH_EMBLEM_TITLE else P
    return process_document(
        shoot(plane_of([card], []), WAYS["perspective"], 6).data, expected or side
    )


def test_every_other_card_is_named() -> None:
    assert set(NAMED) == set(others.OTHERS)


@pytest.mark.parametrize("kind", BY_LAYOUT)
@pytest.mark.parametrize("expected", Side)
def test_the_layout_tells_other_cards(kind: str, expected: Side) -> None:
    document = reviewed(kind, expected)

    assert C.NOT_AN_ID_CARD in failed(document)
    assert document.data == b""


@pytest.mark.parametrize("kind", NAMED)
def test_the_title_names_the_card(kind: str) -> None:
    if not can_read():
        pytest.skip(NO_OCR)
    side = E if kind in others.WITH_EMBLEM_TITLE else P
    document = reviewed(kind)

    judged = document.judged(
        read_document(document.data or document.unrecognised, side, TODAY), side
    )

    check = next(check for check in judged.checks if check.code is C.NOT_AN_ID_CARD)
    assert check.card is NAMED[kind]
    assert not judged.accepted
    assert judged.data == b""
    wanted = "国徽面" if side is E else "人像面"
    assert document_advice(check, Language.ZH).endswith(f"请上传本人居民身份证原件的{wanted}。")
    assert document_advice(check, Language.EN).startswith("This is a")


def test_an_id_card_is_not_named() -> None:
    """The control."""
    if not can_read():
        pytest.skip(NO_OCR)
    card = portrait_side(somebody(), BUNDLED, 4)
    document = process_document(shoot(plane_of([card], []), WAYS["perspective"], 6).data, P)

    read = read_document(document.data, P, TODAY)

    assert document.accepted
    assert (read.card, read.is_watermarked) == (None, False)
    assert document.judged(read, P) is document
