"""正反面同拍: both sides in one picture, and cards that are too small in it."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from core.imaging import DocumentCheckCode, Side, process_document
from tests.id_documents.parts import failed, measured, somebody
from tests.id_documents.styles import BUNDLED, emblem_side, portrait_side
from tests.id_documents.ways import WAYS, Shot, Way, plane_of, shoot

pytestmark = pytest.mark.slow

P, E = Side.PORTRAIT_SIDE, Side.EMBLEM_SIDE
C = DocumentCheckCode
SCANNED = WAYS["scanner"]
PHONE = dataclasses.replace(WAYS["perspective"], frame=(2400, 1800), cover=(0.6, 0.7), tilt=10)


def both(way: Way, *, is_row: bool, seed: int = 3) -> Shot:
    cards = [portrait_side(somebody(), BUNDLED, 2), emblem_side(somebody(), BUNDLED, 2)]
    return shoot(plane_of(cards, [], is_row=is_row), way, seed)


@pytest.mark.parametrize("is_row", [False, True])
@pytest.mark.parametrize("way", [SCANNED, PHONE], ids=["scanned", "photographed"])
@pytest.mark.parametrize("side", Side)
def test_takes_the_side_that_was_asked_for_and_tells_of_the_other(
    side: Side, way: Way, is_row: bool
) -> None:
    shot = both(way, is_row=is_row)

    document = process_document(shot.data, side)

    assert not failed(document)
    assert document.side is side
    assert document.other_side is not None
    assert document.other_side.side is not side
    own, other = shot.corners if side is P else shot.corners[::-1]
    for found, truth in ((document.corners, own), (document.other_side.corners, other)):
        corners = np.array([(corner.x, corner.y) for corner in found]) * shot.frame
        width = np.linalg.norm(truth[1] - truth[0])
        assert np.linalg.norm(corners - truth, axis=1).max() < 0.02 * width
    assert Image.open(io.BytesIO(document.data)).size == (1180, 744)


def test_tells_of_no_other_side_if_there_is_none() -> None:
    """The control: the same side twice, and one side alone."""
    card = portrait_side(somebody(), BUNDLED, 2)
    twice = shoot(plane_of([card, card], []), PHONE, 3)
    alone = shoot(plane_of([card], []), PHONE, 3)

    assert process_document(twice.data, P).other_side is None
    assert process_document(alone.data, P).other_side is None


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("share", [0.15, 0.2, 0.28])
def test_a_card_that_is_too_small_is_told_so(side: Side, share: float) -> None:
    card = (portrait_side if side is P else emblem_side)(somebody(), BUNDLED, 2)
    way = dataclasses.replace(WAYS["perspective"], cover=(share, share), tilt=8)

    document = process_document(shoot(plane_of([card], []), way, 5).data, side)

    assert C.TOO_SMALL in failed(document)
    assert not failed(document) & {C.NO_CARD, C.EDGES_UNCLEAR, C.NOT_AN_ID_CARD}
    assert measured(document, C.TOO_SMALL) == pytest.approx(share * 1600, rel=0.1)


def test_a_small_card_in_a_picture_of_many_pixels_is_taken() -> None:
    """The control: what counts is the pixels of the card, not its share of the picture."""
    card = portrait_side(somebody(), BUNDLED, 2)
    way = dataclasses.replace(
        WAYS["perspective"], frame=(4000, 3000), cover=(0.22, 0.22), tilt=4, noise=(1, 2)
    )

    assert not failed(process_document(shoot(plane_of([card], []), way, 5).data, P))
