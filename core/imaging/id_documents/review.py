"""Reviews the photograph of one side of an ID card and produces the rectified card."""

from dataclasses import replace

import numpy as np
from PIL import Image

from core.imaging.decoding import Decoded, TooSmall, decode, encode
from core.imaging.id_documents import quality
from core.imaging.id_documents.cards import Card, find_cards
from core.imaging.id_documents.covered import hidden_parts
from core.imaging.id_documents.examination import Examined, choose, other_side
from core.imaging.id_documents.geometry import Pixels, Points, is_standing, rectify, side_lengths
from core.imaging.id_documents.sides import Recognised, has_face
from core.imaging.id_documents.verdict import (
    DocumentCheck,
    DocumentCheckCode,
    OtherSide,
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
_ENOUGH, _WORTH_A_LOOK, _MAX_SHORT_EDGE = 950, 0.8, 2400
_PROVEN, _PROVEN_LIKENESS = 0.9, 0.5
_FRAME_MARGIN = 0.01
_LEGIBLE = {
    DocumentCheckCode.NOT_AN_ID_CARD,
    DocumentCheckCode.WRONG_SIDE,
    DocumentCheckCode.NOT_LANDSCAPE,
    DocumentCheckCode.COVERED,
    DocumentCheckCode.EDGES_UNCLEAR,
    DocumentCheckCode.NOT_COLOUR,
}
"""Faults after which the title can still be read."""


def review(data: bytes, expected: Side) -> ProcessedDocument:
    """`expected` is the side that the citizen should upload. Raises as `decode`, and `TooSmall`."""
    decoded = decode(data, _SHORT_EDGE)
    if min(decoded.picture.size) < _MIN_EDGE:
        raise TooSmall(decoded.width, decoded.height)
    picture = np.asarray(decoded.picture)
    cards = find_cards(picture)
    if not cards:
        return _verdict(decoded, (_check(DocumentCheckCode.NO_CARD, 0),))
    card, examined = choose(picture, cards, expected)
    other = other_side(picture, card, cards, examined)
    closer = _closer(data, decoded, card)
    factor = closer.picture.width / decoded.picture.width
    picture = np.asarray(closer.picture)
    photographed = _photographed(picture, factor * card.corners, closer)
    recognised, covered = examined.recognised, _covered(examined)
    if _has_failed(photographed, DocumentCheckCode.BLURRED):
        # Without sharp print the layout says nothing.
        recognised, covered = card.recognised, []
    elif _has_failed(photographed, DocumentCheckCode.GLARE):
        covered = []
    placed = _placed(card, examined, decoded)
    preventing = [check for check in [*placed, *photographed] if _prevents(check, examined)]
    known = _recognised(recognised, expected, is_too_bad=bool(preventing))
    checks = (*placed, *known, *covered, *photographed)
    found = replace(
        _verdict(decoded, checks),
        side=recognised.side,
        corners=_shares(recognised.corners, decoded),
    )
    if other is not None:
        found = replace(found, other_side=OtherSide(other.side, _shares(other.corners, decoded)))
    wrong = {check.code for check in checks if not check.passed}
    if wrong and not wrong <= _LEGIBLE:
        return found
    rectified = Image.fromarray(rectify(picture, factor * recognised.corners, RECTIFIED_WIDTH))
    card_data = encode(rectified, _QUALITY)
    return replace(found, unrecognised=card_data) if wrong else replace(found, data=card_data)


def _closer(data: bytes, decoded: Decoded, card: Card) -> Decoded:
    """Decodes a large picture with a small card again, so that the card has enough pixels."""
    long_side = float(side_lengths(card.corners)[[0, 2]].mean())
    if decoded.fraction > _WORTH_A_LOOK or long_side >= _ENOUGH:
        return decoded
    edge = min(round(_SHORT_EDGE * _ENOUGH / long_side), _MAX_SHORT_EDGE)
    return decode(data, edge)


def _placed(card: Card, examined: Examined, decoded: Decoded) -> list[DocumentCheck]:
    """Print that is where the edges say proves the edges, unless one may be the picture's frame."""
    proven = (
        examined.recognised.best >= _PROVEN
        and card.recognised.best >= _PROVEN
        and _is_inside(card.corners, decoded)
    )
    likeness = max(card.likeness, _PROVEN_LIKENESS if proven else 0)
    checks = [
        _check(DocumentCheckCode.NO_CARD, 1),
        _check(DocumentCheckCode.CUT_OFF, 100 * card.missing),
    ]
    if not card.is_completed:
        checks.append(_check(DocumentCheckCode.EDGES_UNCLEAR, 100 * likeness))
    return checks


def _is_inside(corners: Points, decoded: Decoded) -> bool:
    margin = _FRAME_MARGIN * float(side_lengths(corners)[0])
    room = np.minimum(corners, np.array(decoded.picture.size, np.float32) - corners)
    return bool(room.min() > margin)


def _covered(examined: Examined) -> list[DocumentCheck]:
    """Whether a printed part is hidden; nothing if the card is not recognised."""
    found = examined.recognised
    if not _check(DocumentCheckCode.NOT_AN_ID_CARD, 100 * found.best).passed:
        return []
    is_portrait = found.side is Side.PORTRAIT_SIDE
    hidden = hidden_parts(
        examined.surface, found.side, has_face=not is_portrait or has_face(examined.card)
    )
    most = 100 * max(hidden.values(), default=0.0)
    check = _check(DocumentCheckCode.COVERED, most)
    parts = [part for part, share in hidden.items() if 100 * share > check.limit.most]
    return [replace(check, parts=tuple(parts))]


def _recognised(found: Recognised, expected: Side, *, is_too_bad: bool) -> list[DocumentCheck]:
    """Checks of type, side and orientation; none if the photograph is too bad to decide.

    A card in portrait orientation is rotated; it is refused only if the direction is unknown.
    """
    known = _check(DocumentCheckCode.NOT_AN_ID_CARD, 100 * found.best)
    if (not known.passed or found.side is not expected) and is_too_bad:
        return []
    known = replace(known, wanted=expected)
    if known.passed:
        confidence = found.best if found.side is expected else found.confidence[expected]
        return [
            known,
            _check(DocumentCheckCode.WRONG_SIDE, 100 * confidence),
            _check(DocumentCheckCode.NOT_LANDSCAPE, 0),
        ]
    across = 90 if is_standing(found.corners) else 0
    return [known, _check(DocumentCheckCode.NOT_LANDSCAPE, across)]


def _has_failed(checks: list[DocumentCheck], code: DocumentCheckCode) -> bool:
    return any(check.code is code and not check.passed for check in checks)


def _prevents(check: DocumentCheck, examined: Examined) -> bool:
    """Whether the fault keeps an ID card from being recognised. A grey copy has its print."""
    if check.passed:
        return False
    if check.code is DocumentCheckCode.BLURRED:
        return check.measured > _BLURRED_BEYOND_RECOGNITION
    if check.code is DocumentCheckCode.NOT_COLOUR:
        return examined.has_layout
    return check.code is DocumentCheckCode.EDGES_UNCLEAR


def _photographed(picture: Pixels, corners: Points, decoded: Decoded) -> list[DocumentCheck]:
    rectified = rectify(picture, corners, quality.WIDTH)
    long_side = float(side_lengths(corners)[[0, 2]].mean())
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


def _verdict(decoded: Decoded, checks: tuple[DocumentCheck, ...]) -> ProcessedDocument:
    return ProcessedDocument(Verdict.ACCEPTED, b"", checks, decoded.width, decoded.height)


def _shares(corners: Points, decoded: Decoded) -> tuple[Point, ...]:
    width, height = decoded.picture.size
    return tuple(Point(round(float(x) / width, 4), round(float(y) / height, 4)) for x, y in corners)
