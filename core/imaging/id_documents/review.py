"""Reviews the photograph of one side of an ID card and produces the rectified card."""

import numpy as np
from PIL import Image

from core.imaging.decoding import Decoded, TooSmall, decode, encode
from core.imaging.id_documents import quality
from core.imaging.id_documents.cards import Card, find_card
from core.imaging.id_documents.geometry import Pixels, is_standing, rectify, side_lengths
from core.imaging.id_documents.verdict import (
    DocumentCheck,
    DocumentCheckCode,
    Point,
    ProcessedDocument,
    Side,
)
from core.imaging.processing import Verdict

RECTIFIED_WIDTH = 1180
"""85.6 mm at 350 dpi, the resolution that `encode` writes into the file."""
_SHORT_EDGE = 1000
_MIN_EDGE = 120
"""Minimum short edge in pixels: no card can be recognised in smaller pictures."""
_QUALITY = 88
_BLURRED_BEYOND_RECOGNITION = 4.0
_PREVENTING = (DocumentCheckCode.NOT_COLOUR, DocumentCheckCode.EDGES_UNCLEAR)


def review(data: bytes, expected: Side) -> ProcessedDocument:
    """`expected` is the side that the citizen should upload. Raises as `decode`, and `TooSmall`."""
    decoded = decode(data, _SHORT_EDGE)
    if min(decoded.picture.size) < _MIN_EDGE:
        raise TooSmall(decoded.width, decoded.height)
    picture = np.asarray(decoded.picture)
    card = find_card(picture)
    if card is None:
        return _verdict(decoded, (_check(DocumentCheckCode.NO_CARD, 0),))
    placed, photographed = _placed(card), _photographed(picture, card, decoded)
    checks = (*placed, *_recognised(card, expected, [*placed, *photographed]), *photographed)
    if not all(check.passed for check in checks):
        return _verdict(decoded, checks, card)
    rectified = Image.fromarray(rectify(picture, card.corners, RECTIFIED_WIDTH))
    return _verdict(decoded, checks, card, encode(rectified, _QUALITY))


def _placed(card: Card) -> list[DocumentCheck]:
    checks = [
        _check(DocumentCheckCode.NO_CARD, 1),
        _check(DocumentCheckCode.CUT_OFF, 100 * card.missing),
    ]
    if not card.is_completed:
        checks.append(_check(DocumentCheckCode.EDGES_UNCLEAR, 100 * card.likeness))
    return checks


def _recognised(card: Card, expected: Side, others: list[DocumentCheck]) -> list[DocumentCheck]:
    """Checks of type, side and orientation; none if the photograph is too bad to decide.

    A card in portrait orientation is rotated; it is refused only if the direction is unknown.
    """
    found = card.recognised
    known = _check(DocumentCheckCode.NOT_AN_ID_CARD, 100 * found.best)
    if (not known.passed or found.side is not expected) and any(map(_prevents_recognition, others)):
        return []
    if known.passed:
        confidence = found.best if found.side is expected else found.confidence[expected]
        return [
            known,
            _check(DocumentCheckCode.WRONG_SIDE, 100 * confidence),
            _check(DocumentCheckCode.NOT_LANDSCAPE, 0),
        ]
    across = 90 if is_standing(card.corners) else 0
    return [known, _check(DocumentCheckCode.NOT_LANDSCAPE, across)]


def _prevents_recognition(check: DocumentCheck) -> bool:
    if check.code is DocumentCheckCode.BLURRED:
        return check.measured > _BLURRED_BEYOND_RECOGNITION
    return check.code in _PREVENTING and not check.passed


def _photographed(picture: Pixels, card: Card, decoded: Decoded) -> list[DocumentCheck]:
    rectified = rectify(picture, card.corners, quality.WIDTH)
    long_side = float(side_lengths(card.corners)[[0, 2]].mean())
    blur = quality.blur_radius(rectified)
    return [
        _check(DocumentCheckCode.TOO_SMALL, long_side / decoded.fraction),
        *([] if blur is None else [_check(DocumentCheckCode.BLURRED, blur)]),
        _check(DocumentCheckCode.GLARE, 100 * quality.overexposed_share(rectified)),
        _check(DocumentCheckCode.TOO_DARK, quality.lightness(rectified)),
        _check(DocumentCheckCode.NOT_COLOUR, quality.colourfulness(rectified)),
    ]


def _check(code: DocumentCheckCode, measured: float) -> DocumentCheck:
    return DocumentCheck(code, round(float(measured), 1))


def _verdict(
    decoded: Decoded,
    checks: tuple[DocumentCheck, ...],
    card: Card | None = None,
    data: bytes = b"",
) -> ProcessedDocument:
    return ProcessedDocument(
        Verdict.ACCEPTED,
        data,
        checks,
        decoded.width,
        decoded.height,
        side=card.recognised.side if card else None,
        corners=_shares(card, decoded) if card else (),
    )


def _shares(card: Card, decoded: Decoded) -> tuple[Point, ...]:
    width, height = decoded.picture.size
    return tuple(
        Point(round(float(x) / width, 4), round(float(y) / height, 4)) for x, y in card.corners
    )
