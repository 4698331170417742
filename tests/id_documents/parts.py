"""Photographs shared by several tests, rendered once."""

import io
import random
from functools import cache

from PIL import Image, ImageDraw

from core.imaging import DocumentCheckCode, ProcessedDocument, Side, process_document
from sandbox.id_cards import HEIGHT, WIDTH, IdCard, emblem_side, portrait_side
from tests.id_documents.photographs import Photograph, Scene, invented, photograph

DRAW = {Side.PORTRAIT_SIDE: portrait_side, Side.EMBLEM_SIDE: emblem_side}


@cache
def somebody(seed: int = 7) -> IdCard:
    return invented(random.Random(seed))


def truth_of(card: IdCard, side: Side) -> dict[str, str]:
    """What is to be read from a side, in the shape of the form."""
    if side is Side.EMBLEM_SIDE:
        until = f"{card.valid_until:%Y%m%d}" if card.valid_until else "LONG_TERM"
        return {"id_issuer": card.issuer, "id_valid_until": until}
    return {
        "name": card.name,
        "gender_code": "1" if card.gender == "男" else "2",
        "ethnicity_code": card.ethnicity,
        "birth_date": f"{card.birth_date:%Y%m%d}",
        "registered_address": card.address,
        "id_number": card.number,
    }


@cache
def taken(side: Side, scene: Scene, seed: int = 7) -> Photograph:
    return photograph(DRAW[side](somebody(seed)), scene)


@cache
def reviewed(
    side: Side, scene: Scene, expected: Side | None = None, seed: int = 7
) -> ProcessedDocument:
    return process_document(taken(side, scene, seed).data, expected or side)


def failed(document: ProcessedDocument) -> set[DocumentCheckCode]:
    return {check.code for check in document.checks if not check.passed}


def measured(document: ProcessedDocument, code: DocumentCheckCode) -> float:
    return next(check.measured for check in document.checks if check.code is code)


def other_card(kind: str) -> Image.Image:
    """A card-sized object that is not an ID card."""
    card = Image.new("RGBA", (WIDTH, HEIGHT), (206, 224, 244))
    draw = ImageDraw.Draw(card)
    if kind == "bank":
        draw.rectangle((0, 0, WIDTH, HEIGHT), fill=(36, 84, 150))
        draw.rectangle((150, 380, 420, 560), fill=(206, 176, 96))
        draw.text((150, 700), "6200 0000 0000 0000", (240, 240, 240), font_size=110)
        draw.ellipse((1350, 760, 1560, 970), fill=(220, 60, 60))
    elif kind == "business":
        draw.rectangle((0, 0, WIDTH, HEIGHT), fill=(250, 250, 248))
        draw.rectangle((1100, 120, 1560, 330), fill=(196, 40, 44))
        for row in range(5):
            draw.text((140, 180 + 150 * row), "SAMPLE CO., LTD. 028", (40, 40, 44), font_size=72)
    return card


def as_png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()
