"""Specimens of the resident ID card, both sides, drawn for the personas.

The layout has the rough proportions of the real card; guilloche, emblem and portrait are
only hinted at, and both sides say 样张 SPECIMEN. 20 px are a millimetre of the card.
"""

import io
import math
import random
from dataclasses import dataclass
from datetime import date
from functools import cache

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pylopdf_fonts_zh_cn import sans_path, serif_path

from sandbox.personas import Persona

MM = 20
WIDTH, HEIGHT = round(85.6 * MM), round(54.0 * MM)
_CORNER = round(3.18 * MM)
_INK, _LABEL, _RED, _SPECIMEN = (30, 30, 34), (58, 110, 160), (186, 42, 40), (190, 120, 120)


@dataclass(frozen=True, slots=True)
class IdCard:
    """`gender` and `ethnicity` are words as printed: 男, 汉. `valid_until` None is 长期."""

    name: str
    gender: str
    ethnicity: str
    birth_date: date
    address: str
    number: str
    issuer: str
    valid_from: date
    valid_until: date | None


def portrait_side(card: IdCard, head: Image.Image | None = None) -> Image.Image:
    """RGBA with rounded, transparent corners. `head` is a portrait of 26 × 32 mm, drawn if None."""
    picture = _background(1, (223, 236, 244), (188, 214, 232))
    draw = ImageDraw.Draw(picture)
    _row(draw, 6.5, "姓名", card.name, size=4.2)
    _row(draw, 14.0, "性别", card.gender)
    _row(draw, 14.0, "民族", card.ethnicity, x=24.0, value_x=33.0)
    _row(draw, 21.5, "出生", f"{card.birth_date.year}")
    for x, word, value_x, value in (
        (27.0, "年", 31.5, card.birth_date.month),
        (36.5, "月", 41.0, card.birth_date.day),
        (46.0, "日", 0.0, None),
    ):
        _text(draw, x, 21.5, word, 2.9, _LABEL)
        if value is not None:
            _text(draw, value_x, 21.5, str(value), 3.3, _INK)
    _text(draw, 6.5, 29.0, "住址", 2.9, _LABEL)
    for number, line in enumerate(_wrapped(card.address, 11)):
        _text(draw, 16.5, 29.0 + 4.6 * number, line, 3.3, _INK)
    _text(draw, 6.5, 46.2, "公民身份号码", 2.9, _LABEL)
    _spaced(draw, 29.5, 45.8, card.number, 4.2, 2.85)
    _text(draw, 58.0, 40.6, "样张 SPECIMEN", 2.4, _SPECIMEN)
    portrait = head or _head(card.number)
    portrait = portrait.convert("RGBA").resize((26 * MM, 32 * MM), Image.Resampling.LANCZOS)
    picture.paste(portrait, (54 * MM, 7 * MM), portrait)
    return _rounded(picture)


def emblem_side(card: IdCard) -> Image.Image:
    picture = _background(2, (244, 240, 226), (226, 212, 206))
    draw = ImageDraw.Draw(picture)
    _emblem(draw, 14.5, 14.0, 8.2)
    _text(draw, 28.0, 6.8, "中华人民共和国", 6.2, _INK, serif=True)
    _text(draw, 32.0, 17.2, "居民身份证", 8.2, _INK, serif=True)
    _text(draw, 62.0, 30.5, "样张 SPECIMEN", 2.4, _SPECIMEN)
    _text(draw, 20.0, 38.6, "签发机关", 2.9, _INK)
    _text(draw, 35.0, 38.2, card.issuer, 3.3, _INK)
    _text(draw, 20.0, 45.6, "有效期限", 2.9, _INK)
    until = "长期" if card.valid_until is None else f"{card.valid_until:%Y.%m.%d}"
    _text(draw, 35.0, 45.2, f"{card.valid_from:%Y.%m.%d}-{until}", 3.3, _INK)
    return _rounded(picture)


def on_a_table(card: Image.Image, *, margin: float = 0.08) -> bytes:
    """A JPEG like a steady photo of the card on dark wood. `margin` is relative to its width."""
    edge = round(margin * card.width)
    table = Image.effect_noise((card.width + 2 * edge, card.height + 2 * edge), 14).convert("L")
    wood = Image.merge("RGB", [table.point(lambda v, c=c: v * c // 128) for c in (92, 66, 48)])
    wood = wood.filter(ImageFilter.BoxBlur(3))
    shadow = Image.new("L", wood.size)
    shadow.paste(150, (edge, edge + 10), card.getchannel("A").point(lambda v: 150 * v // 255))
    wood.paste((20, 14, 10), mask=shadow.filter(ImageFilter.GaussianBlur(14)))
    wood.paste(card, (edge, edge), card)
    buffer = io.BytesIO()
    wood.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


# --- parts of a card -----------------------------------------------------------------------


def _row(
    draw: ImageDraw.ImageDraw,
    y: float,
    label: str,
    value: str,
    *,
    x: float = 6.5,
    value_x: float = 16.5,
    size: float = 3.3,
) -> None:
    _text(draw, x, y + (size - 3.3) / 2, label, 2.9, _LABEL)
    _text(draw, value_x, y, value, size, _INK)


def _text(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    text: str,
    size: float,
    colour: tuple[int, int, int],
    *,
    serif: bool = False,
) -> None:
    """All lengths in mm; `x`, `y` is the upper left corner, `size` the height of a character."""
    draw.text((x * MM, y * MM), text, colour, _font(size, serif=serif), anchor="lt")


def _spaced(
    draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: float, step: float
) -> None:
    for number, character in enumerate(text):
        _text(draw, x + number * step, y, character, size, _INK)


@cache
def _font(size: float, *, serif: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(serif_path() if serif else sans_path(), round(size * MM))


def _wrapped(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)][:3]


def _background(seed: int, paper: tuple[int, int, int], line: tuple[int, int, int]) -> Image.Image:
    """A field of fine waves."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), paper)
    draw = ImageDraw.Draw(picture)
    chance = random.Random(seed)  # noqa: S311 - a drawing
    for _ in range(70):
        height, phase = chance.uniform(0, HEIGHT), chance.uniform(0, 6.3)
        swing, length = chance.uniform(20, 70), chance.uniform(250, 600)
        points = [
            (x, height + swing * math.sin(x / length + phase)) for x in range(0, WIDTH + 24, 24)
        ]
        draw.line(points, line, 2)
    return picture


def _emblem(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    """A red disc with a rim and stars, where the real card has the national emblem."""
    for share, colour in ((1.0, _RED), (0.86, (214, 160, 70)), (0.78, _RED)):
        reach = share * radius
        box = tuple(v * MM for v in (x - reach, y - reach, x + reach, y + reach))
        draw.ellipse(box, fill=colour)
    for angle, size in ((-90, 0.24), (-150, 0.12), (-120, 0.12), (-60, 0.12), (-30, 0.12)):
        away = 0.0 if size > 0.2 else 0.46
        turn = math.radians(angle)
        centre = (x + away * radius * math.cos(turn), y + away * radius * math.sin(turn))
        draw.polygon(_star(*centre, size * radius), fill=(230, 190, 90))


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for number in range(10):
        reach = radius if number % 2 == 0 else 0.42 * radius
        turn = math.radians(36 * number - 90)
        points.append(((x + reach * math.cos(turn)) * MM, (y + reach * math.sin(turn)) * MM))
    return points


def _head(seed: str) -> Image.Image:
    """A drawn head and shoulders that varies with the ID number."""
    chance = random.Random(seed)  # noqa: S311 - a drawing
    width, height = 520, 640
    picture = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(picture)
    skin = tuple(chance.randint(low, low + 18) for low in (206, 166, 138))
    dark = tuple(int(share * 0.8) for share in skin)
    hair = (36 + chance.randint(0, 20), 30, 28)
    wide = chance.randint(136, 150)

    def oval(x: float, y: float, across: float, down: float, colour: tuple[int, ...]) -> None:
        draw.ellipse((x - across, y - down, x + across, y + down), fill=colour)

    oval(260, 650, 245, 150, (52, 62, 86))
    draw.polygon([(205, 505), (315, 505), (260, 600)], fill=(236, 238, 240))
    draw.rectangle((212, 420, 308, 530), fill=dark)
    oval(260, 250, wide + 20, 188, hair)
    oval(260, 310, wide, 176, skin)
    draw.pieslice((260 - wide - 8, 96, 260 + wide + 8, 380), 188, 352, fill=hair)
    for side in (-1, 1):
        eye = 260 + side * 58
        draw.rectangle((eye - 34, 256, eye + 34, 265), fill=hair)
        oval(eye, 296, 28, 13, (246, 244, 240))
        oval(eye, 296, 12, 13, (34, 24, 20))
        oval(260 + side * wide, 312, 14, 34, dark)
    draw.polygon([(260, 300), (238, 372), (282, 372)], fill=dark)
    oval(260, 418, 46, 11, (168, 88, 84))
    return picture.filter(ImageFilter.GaussianBlur(2))


def _rounded(picture: Image.Image) -> Image.Image:
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, WIDTH - 1, HEIGHT - 1), _CORNER, fill=255)
    rounded = picture.convert("RGBA")
    rounded.putalpha(mask)
    return rounded


def card_of(persona: Persona) -> IdCard:
    """Attributes that personas do not have are generated deterministically."""
    return IdCard(
        name=persona.name,
        gender="男" if persona.gender_code == "1" else "女",
        ethnicity="汉",
        birth_date=persona.birth_date,
        address="四川省成都市示例区沙盒路一号二栋三单元四零五号",
        number=persona.social_security_number,
        issuer="成都市公安局示例分局",
        valid_from=date(2020, 5, 20),
        valid_until=None if persona.birth_date.year < 1975 else date(2040, 5, 20),
    )


def photograph_of(persona: Persona, side: str) -> bytes:
    card = card_of(persona)
    return on_a_table(portrait_side(card) if side == "PORTRAIT_SIDE" else emblem_side(card))
