"""Looks closely at a card that was found: its layout tells the ID card from others, and its side.

`sides.py` recognises a card among many outlines, quickly and from afar; here a single one is judged
by what is printed where. What covers a part of it does not count against the card.
"""

from dataclasses import dataclass, replace

from core.imaging.id_documents import layout
from core.imaging.id_documents.cards import Card, beside
from core.imaging.id_documents.covered import is_watermarked
from core.imaging.id_documents.geometry import Pixels, Points, rectify, upside_down
from core.imaging.id_documents.sides import Recognised
from core.imaging.id_documents.surface import WIDTH, Surface, surface_of
from core.imaging.id_documents.verdict import Side

_RECOGNISED = 0.5
_RIM_MM, _MUCH_RIM = 3, 0.06
_ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Examined:
    """`card` is rectified and upright, `surface.WIDTH` px wide; `has_layout` is whether it has an ID
    card's print, whatever its colours.
    """

    recognised: Recognised
    card: Pixels
    surface: Surface
    has_layout: bool


def choose(picture: Pixels, cards: list[Card], expected: Side) -> tuple[Card, Examined]:
    """The best card that was found; of two, the one with the expected side.

    An outline that has much of the table at its rim gives way to another one at the same place.
    """
    main = cards[0]
    if main.recognised.side is not expected or main.recognised.best < _RECOGNISED:
        main = next((card for card in beside(main, cards) if _shows(card, expected)), main)
    elsewhere = beside(main, cards)
    ways = [(main, examine(picture, main.recognised))]
    if _is_doubtful(ways[0][1]):
        same_place = [card for card in cards if card is not main and card not in elsewhere]
        ways += [(card, examine(picture, card.recognised)) for card in same_place[:_ALTERNATIVES]]
    return max(ways, key=lambda way: _agreement(*way))


def _is_doubtful(examined: Examined) -> bool:
    return _foreign_rim(examined) > _MUCH_RIM or examined.recognised.best < _RECOGNISED


def _agreement(card: Card, examined: Examined) -> float:
    """How well edges, layout and rim speak for one outline among others."""
    return examined.recognised.best + 1.5 * card.likeness - _foreign_rim(examined)


def other_side(
    picture: Pixels, card: Card, cards: list[Card], examined: Examined
) -> Recognised | None:
    """The other side of an ID card elsewhere in the picture, if its layout confirms it."""
    for candidate in beside(card, cards):
        if candidate.recognised.best < _RECOGNISED:
            continue
        found = examine(picture, candidate.recognised).recognised
        if found.best >= _RECOGNISED and found.side is not examined.recognised.side:
            return found
    return None


def _shows(card: Card, side: Side) -> bool:
    return card.recognised.side is side and card.recognised.best >= _RECOGNISED


def _foreign_rim(examined: Examined) -> float:
    """The share of the card's outermost millimetres that is foreign."""
    foreign = examined.surface.foreign
    inner = foreign[_RIM_MM:-_RIM_MM, _RIM_MM:-_RIM_MM]
    return float(foreign.sum() - inner.sum()) / float(foreign.size - inner.size)


def examine(picture: Pixels, found: Recognised) -> Examined:
    """The more likely of both orientations. Print must be sharp enough to be seen."""
    ways = [_examined(picture, way) for way in (found.corners, upside_down(found.corners))]
    if is_watermarked(ways[0].surface, found.side):
        # Letters across the card hide its layout.
        return replace(ways[0], recognised=found)
    return max(ways, key=lambda way: way.recognised.best)


def _examined(picture: Pixels, corners: Points) -> Examined:
    card = rectify(picture, corners, WIDTH)
    surface = surface_of(card)
    confidence = {
        Side.PORTRAIT_SIDE: layout.portrait_side_confidence(surface),
        Side.EMBLEM_SIDE: layout.emblem_side_confidence(surface),
    }
    return Examined(Recognised(corners, confidence), card, surface, layout.has_print(surface))
