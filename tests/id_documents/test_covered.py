"""有遮挡: hidden parts are refused and named; a card that is held at its blank margin is not."""

import numpy as np
import pytest
from PIL import Image

from core.imaging import CardPart, DocumentCheckCode, ProcessedDocument, Side, document_advice
from core.imaging import process_document as process
from core.kernel.texts import Language
from tests.id_documents import hiding
from tests.id_documents.parts import failed, measured, somebody
from tests.id_documents.styles import BUNDLED, emblem_side, portrait_side
from tests.id_documents.ways import WAYS, plane_of, shoot

pytestmark = pytest.mark.slow

P, E = Side.PORTRAIT_SIDE, Side.EMBLEM_SIDE
C = DocumentCheckCode
PART = {
    "name": CardPart.NAME,
    "address": CardPart.ADDRESS,
    "portrait": CardPart.PORTRAIT,
    "number": CardPart.ID_NUMBER,
    "emblem": CardPart.EMBLEM,
    "issuer": CardPart.ISSUER,
    "validity": CardPart.VALIDITY,
}
PLACES = [(side, part) for side in Side for part in hiding.BOXES[side]]


def drawn(side: Side) -> Image.Image:
    return (portrait_side if side is P else emblem_side)(somebody(), BUNDLED, 5)


def reviewed(
    side: Side, card: Image.Image, *hands: Image.Image, way: str = "perspective"
) -> ProcessedDocument:
    return process(shoot(plane_of([card], list(hands)), WAYS[way], 8).data, side)


def hidden(document: ProcessedDocument) -> tuple[CardPart, ...]:
    return next(check.parts for check in document.checks if check.code is C.COVERED)


@pytest.mark.parametrize("way", ["perspective", "messenger", "scanner", "shadow edge", "low light"])
@pytest.mark.parametrize("side", Side)
def test_accepts_a_card_of_which_nothing_is_hidden(side: Side, way: str) -> None:
    document = reviewed(side, drawn(side), way=way)

    assert not failed(document)
    assert hidden(document) == ()


@pytest.mark.parametrize(("side", "part"), PLACES)
def test_refuses_a_thumb_over_a_printed_part(side: Side, part: str) -> None:
    thumb = hiding.thumb_over(hiding.BOXES[side][part], np.random.default_rng(3))

    document = reviewed(side, drawn(side), thumb)

    assert failed(document) == {C.COVERED}
    assert PART[part] in hidden(document)
    assert document.data == b""


@pytest.mark.parametrize("paper", hiding.PAPER)
@pytest.mark.parametrize(
    ("side", "part"), [(P, "number"), (P, "portrait"), (E, "emblem"), (E, "validity")]
)
def test_refuses_notes_bars_and_mosaics(side: Side, part: str, paper: str) -> None:
    card = hiding.PAPER[paper](drawn(side), hiding.BOXES[side][part], np.random.default_rng(1))

    document = reviewed(side, card)

    assert C.COVERED in failed(document)
    assert PART[part] in hidden(document)


@pytest.mark.parametrize("side", Side)
def test_refuses_a_watermark(side: Side) -> None:
    document = reviewed(side, hiding.watermark(drawn(side), np.random.default_rng(1)))

    assert C.COVERED in failed(document)
    assert CardPart.OVERPRINT in hidden(document)


@pytest.mark.parametrize("corner", range(4))
def test_refuses_a_thumb_over_a_corner(corner: int) -> None:
    document = reviewed(P, drawn(P), hiding.thumb_over_corner(corner, np.random.default_rng(2)))

    assert C.COVERED in failed(document)
    assert CardPart.CORNER in hidden(document)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("seed", range(1))
def test_accepts_fingers_that_hold_the_blank_margin(side: Side, seed: int) -> None:
    """The control: fingers as such are no fault."""
    fingers = hiding.holding_fingers(side, np.random.default_rng(seed))

    document = reviewed(side, drawn(side), *fingers, way="hand-held")

    assert not failed(document)


def test_says_which_part_is_covered_and_what_to_do() -> None:
    thumb = hiding.thumb_over(hiding.BOXES[P]["number"], np.random.default_rng(3))
    document = reviewed(P, drawn(P), thumb)
    check = next(check for check in document.checks if check.code is C.COVERED)

    chinese, english = (document_advice(check, language) for language in Language)

    assert "公民身份号码" in chinese
    assert "请移开手指" in chinese
    assert f"{measured(document, C.COVERED):g}%" in chinese
    assert "ID number" in english
