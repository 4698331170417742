"""Hides parts of a drawn card: thumbs, sticky notes, redaction, mosaics and watermarks.

Each function changes a card of `styles.py` (RGBA, 20 px a millimetre) in place or returns a new one;
a hand may reach beyond the card, and is therefore returned as a layer of its own.
"""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pylopdf_fonts_zh_cn import sans_path

from core.imaging import Side
from sandbox.id_cards import HEIGHT, MM, WIDTH

Box = tuple[float, float, float, float]

BLEED = 12 * MM
"""How far a hand's layer reaches beyond the card on each side."""

BOXES: dict[Side, dict[str, Box]] = {
    Side.PORTRAIT_SIDE: {
        "name": (14.5, 5.5, 34.0, 11.5),
        "address": (14.5, 27.5, 50.0, 42.0),
        "portrait": (55.0, 8.0, 79.0, 39.0),
        "number": (28.0, 44.5, 78.0, 51.0),
    },
    Side.EMBLEM_SIDE: {
        "emblem": (7.0, 6.5, 22.0, 21.5),
        "issuer": (33.0, 36.5, 66.0, 43.0),
        "validity": (33.0, 44.0, 68.0, 50.5),
    },
}
"""In both styles within a millimetre."""


_SKIN = np.array([226, 178, 148])


def finger(
    tip: tuple[float, float],
    root: tuple[float, float],
    width: float,
    chance: np.random.Generator,
    tone: float | None = None,
) -> Image.Image:
    """A finger from `root`, outside the card, to its `tip`; mm on the card. A layer with `BLEED`."""
    skin = _SKIN * (chance.uniform(0.55, 1.02) if tone is None else tone)
    size = (HEIGHT + 2 * BLEED, WIDTH + 2 * BLEED)
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    far, end = (np.array(point) * MM + BLEED for point in (tip, root))
    along = (end - far) / max(float(np.linalg.norm(end - far)), 1e-6)
    start = far + along * width * MM / 2
    away = np.stack([x - start[0], y - start[1]], axis=2)
    forward = np.maximum(away @ along, 0)
    off = np.linalg.norm(away - forward[..., None] * along, axis=2)
    radius = width * MM / 2 * (1 + 0.04 * np.minimum(forward / (8 * MM), 1.5))
    share = off / radius
    alpha = np.clip((1 - share) * radius / 6, 0, 1)
    side = (away @ np.array([-along[1], along[0]])) / radius
    shade = np.sqrt(np.clip(1 - 0.7 * share**2, 0.1, 1)) * (1 + 0.12 * side)
    wrinkle = 1 - 0.05 * np.exp(-(((forward / MM - 13) / 1.2) ** 2))
    blotch = cv2.resize(chance.normal(1, 0.025, (40, 60)).astype(np.float32), size[::-1])
    colour = skin * (shade * wrinkle * blotch)[..., None]
    nail = np.linalg.norm(
        np.stack([(forward - 0.1 * width * MM) / 1.15, away @ [-along[1], along[0]]], axis=2),
        axis=2,
    )
    is_nail = np.clip((0.33 * width * MM - nail) / 8, 0, 1)[..., None]
    colour = colour * (1 - 0.5 * is_nail) + skin * [1.05, 0.98, 1.0] * 0.5 * is_nail
    layer = np.dstack([np.clip(colour, 0, 255), 255 * alpha])
    return Image.fromarray(layer.astype(np.uint8), "RGBA")


def thumb_over(box: Box, chance: np.random.Generator) -> Image.Image:
    """A thumb of 15 to 21 mm over the middle of a box, from the nearest edge of the card."""
    left, top, right, bottom = box
    x = chance.uniform(left + 0.25 * (right - left), right - 0.25 * (right - left))
    y = (top + bottom) / 2
    width = chance.uniform(14, 19)
    if y > 25:
        reach = max(top - 1.5, 14.0) if bottom - top > 12 else top - 1.5
        return finger((x, reach), (x + chance.uniform(-12, 12), 70), width, chance)
    if x > 42:
        return finger((x - 9, y), (102, y + chance.uniform(-12, 12)), width, chance)
    return finger((x, bottom + 1.5), (x + chance.uniform(-10, 10), -18), width, chance)


def thumb_over_corner(corner: int, chance: np.random.Generator) -> Image.Image:
    """`corner` 0 to 3 clockwise from the upper left; reaches 13 to 17 mm in."""
    x, y = ((0, 0), (85.6, 0), (85.6, 54), (0, 54))[corner]
    inward = np.array([1 if x == 0 else -1, 1 if y == 0 else -1])
    tip = np.array([x, y]) + inward * chance.uniform(9, 13)
    root = np.array([x, y]) - inward * 20
    return finger(
        (float(tip[0]), float(tip[1])),
        (float(root[0]), float(root[1])),
        chance.uniform(15, 19),
        chance,
    )


def holding_fingers(side: Side, chance: np.random.Generator) -> list[Image.Image]:
    """Fingertips over the blank margin, as people hold a card: nothing printed is hidden."""
    tone = chance.uniform(0.6, 1.02)
    left = [
        finger((chance.uniform(2.6, 4.0), y), (-25, y + chance.uniform(-8, 8)), 13, chance, tone)
        for y in ((27.0,) if chance.random() < 0.5 else (14.0, 33.0))
    ]
    reach = chance.uniform(81.8, 83.4)
    right = finger((reach, chance.uniform(16, 36)), (112, 30), 14, chance, tone)
    if side is Side.PORTRAIT_SIDE or chance.random() < 0.5:
        return [*left, right]
    return [right, finger((78.0, 51.0), (95, 72), 13, chance, tone)]


def sticky_note(card: Image.Image, box: Box, chance: np.random.Generator) -> Image.Image:
    """A note of coloured paper that is somewhat larger than the box."""
    colours = [(250, 232, 110), (255, 176, 196), (150, 214, 240), (252, 250, 244), (170, 226, 150)]
    left, top, right, bottom = (edge * MM for edge in box)
    grown = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    grown += np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * chance.uniform(0.2, 2) * MM
    turn = np.radians(chance.uniform(-4, 4))
    middle = grown.mean(axis=0)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = [tuple(point) for point in (grown - middle) @ spin.T + middle]
    shadow = Image.new("L", card.size)
    ImageDraw.Draw(shadow).polygon([(x + 8, y + 10) for x, y in corners], fill=120)
    shade = Image.new("RGBA", card.size, (30, 30, 34, 255))
    alpha = card.getchannel("A")
    noted = Image.composite(shade, card, shadow.filter(ImageFilter.GaussianBlur(10)))
    ImageDraw.Draw(noted).polygon(corners, fill=(*colours[chance.integers(len(colours))], 255))
    noted.putalpha(alpha)
    return noted


def black_bar(card: Image.Image, box: Box, chance: np.random.Generator) -> Image.Image:
    """Redaction in an editor: a bar in one colour over most of the box."""
    left, top, right, bottom = (edge * MM for edge in box)
    start = left + chance.uniform(0, 0.35) * (right - left)
    colour = [(0, 0, 0), (20, 20, 20), (255, 255, 255), (200, 30, 30)][chance.integers(4)]
    hidden = card.copy()
    ImageDraw.Draw(hidden).rectangle((start, top, right, bottom), fill=(*colour, 255))
    return hidden


def mosaic(card: Image.Image, box: Box, chance: np.random.Generator) -> Image.Image:
    """Pixelated with an editor, in squares of 1.6 to 2.6 mm."""
    left, top, right, bottom = (round(edge * MM) for edge in box)
    part = card.crop((left, top, right, bottom))
    cell = chance.uniform(1.6, 2.6) * MM
    few = (max(1, round(part.width / cell)), max(1, round(part.height / cell)))
    coarse = part.resize(few, Image.Resampling.BOX).resize(part.size, Image.Resampling.NEAREST)
    hidden = card.copy()
    hidden.paste(coarse, (left, top))
    return hidden


def watermark(card: Image.Image, chance: np.random.Generator) -> Image.Image:
    """仅供…使用 across the card in half-transparent letters, as copies are marked."""
    text = ["仅供办理社保卡使用", "仅供银行开户使用 他用无效", "此证件仅用于入职登记"]
    layer = Image.new("RGBA", (2 * WIDTH, 2 * HEIGHT), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    font = ImageFont.truetype(sans_path(), round(chance.uniform(5, 7.5) * MM))
    colour = [(200, 40, 40), (110, 110, 120), (40, 70, 180)][chance.integers(3)]
    words = text[chance.integers(len(text))]
    for y in range(HEIGHT // 2, 2 * HEIGHT, round(chance.uniform(15, 22) * MM)):
        pen.text((WIDTH * 0.35, y), f"{words}   {words}", (*colour, 140), font)
    layer = layer.rotate(chance.uniform(15, 32), Image.Resampling.BILINEAR)
    left, top = WIDTH // 2, HEIGHT // 2
    marked = Image.alpha_composite(card, layer.crop((left, top, left + WIDTH, top + HEIGHT)))
    marked.putalpha(card.getchannel("A"))
    return marked


PAPER: dict[str, Callable[[Image.Image, Box, np.random.Generator], Image.Image]] = {
    "sticky note": sticky_note,
    "bar": black_bar,
    "mosaic": mosaic,
}
