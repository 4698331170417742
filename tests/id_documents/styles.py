"""ID cards in two further styles than the sandbox's: another typeface, spacing, tint, guilloche,
portrait and emblem, and worn print.

The sandbox draws one style, to which limits could be fitted unnoticed. Lengths are mm on the card.
Both styles use fonts of Debian (`missing_fonts` names those that are not installed); `BUNDLED` draws
with fonts that the project's packages bring, for the tests.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path, serif_path

from sandbox.id_cards import HEIGHT, MM, WIDTH, IdCard
from tests.portraits.heads import Light, Person, Pose, draw

Colour = tuple[int, int, int]
Floats = NDArray[np.float32]

_DEBIAN = Path("/usr/share/fonts")
_NOTO = _DEBIAN / "opentype/noto"
_FALLBACK = _NOTO / "NotoSansCJK-Regular.ttc"
_FONTS = {
    _DEBIAN / "truetype/wqy/wqy-zenhei.ttc": "fonts-wqy-zenhei",
    _DEBIAN / "truetype/wqy/wqy-microhei.ttc": "fonts-wqy-microhei",
    _DEBIAN / "truetype/arphic/uming.ttc": "fonts-arphic-uming",
    _DEBIAN / "opentype/ocr-b/OCRB.otf": "fonts-ocr-b",
    _NOTO / "NotoSansCJK-Bold.ttc": "fonts-noto-cjk",
    _NOTO / "NotoSerifCJK-Bold.ttc": "fonts-noto-cjk",
    _FALLBACK: "fonts-noto-cjk",
}
_SKIN = np.array([0.66, 0.42, 0.31])


def missing_fonts() -> list[str]:
    """The Debian packages to install before the styles can be drawn."""
    return sorted({package for path, package in _FONTS.items() if not path.exists()})


@dataclass(frozen=True, slots=True)
class Style:
    """`stroke` thickens the text, `wear` is the share of the print that is rubbed off; `tints` are
    the colours of the portrait side at the left and right, `back` those of the emblem side.
    """

    name: str
    text: Path
    number: Path
    title: Path
    tints: tuple[Colour, Colour] = ((214, 233, 240), (240, 228, 236))
    back: tuple[Colour, Colour] = ((236, 240, 232), (246, 232, 226))
    line: Colour = (170, 196, 214)
    label: Colour = (74, 140, 190)
    ink: Colour = (44, 42, 44)
    stroke: int = 0
    wear: float = 0.0
    left: float = 5.4
    value: float = 15.2
    rows: tuple[float, float, float, float, float] = (6.2, 13.9, 20.9, 27.8, 46.0)
    pitch: float = 4.9
    size: float = 3.4
    name_size: float = 4.0
    digit: tuple[float, float, float] = (28.2, 2.78, 3.7)
    """Left edge of the number, step and height of its digits."""
    head: tuple[float, float, float, float] = (53.5, 7.0, 26.0, 31.0)
    is_lined: bool = False
    """The emblem as a drawing in red lines, the waves as rosettes."""
    fallback: Path = field(default=_FALLBACK)


WORN = Style(
    "worn",
    text=_DEBIAN / "truetype/wqy/wqy-zenhei.ttc",
    number=_DEBIAN / "opentype/ocr-b/OCRB.otf",
    title=_NOTO / "NotoSerifCJK-Bold.ttc",
    wear=0.3,
    ink=(62, 58, 60),
)
BOLD = Style(
    "bold",
    text=_NOTO / "NotoSansCJK-Bold.ttc",
    number=_NOTO / "NotoSansCJK-Bold.ttc",
    title=_DEBIAN / "truetype/arphic/uming.ttc",
    tints=((232, 236, 226), (216, 232, 236)),
    back=((240, 226, 224), (228, 238, 236)),
    line=(196, 190, 206),
    label=(60, 120, 176),
    ink=(22, 22, 26),
    left=6.3,
    value=16.3,
    rows=(7.3, 14.6, 22.0, 29.6, 46.8),
    pitch=4.5,
    size=3.1,
    name_size=3.7,
    digit=(30.0, 2.72, 3.4),
    head=(55.5, 8.2, 25.0, 31.5),
    is_lined=True,
)
STYLES = (WORN, BOLD)
BUNDLED = replace(
    BOLD,
    name="bundled",
    text=Path(sans_path()),
    number=Path(sans_path()),
    title=Path(serif_path()),
    stroke=1,
    fallback=Path(sans_path()),
)


def portrait_side(
    card: IdCard, style: Style, seed: int = 0, *, has_ethnicity: bool = True
) -> Image.Image:
    """RGBA with rounded, transparent corners."""
    chance = np.random.default_rng(seed)
    sheet = paper(style, style.tints, chance)
    head(sheet, style.head, chance)
    print_ = Image.new("L", (WIDTH, HEIGHT), 0)
    labels = Image.new("L", (WIDTH, HEIGHT), 0)
    pen, label = _Pen(print_, style), _Pen(labels, style)
    y_name, y_gender, y_birth, y_address, y_number = style.rows
    x, size = style.value, style.size
    for row, text in zip(style.rows, ("姓名", "性别", "出生", "住址"), strict=False):
        label.write(style.left, row + 0.2, text, size - 0.4)
    is_long = len(card.name) > 9
    for number, line in enumerate(_wrapped(card.name, 9)):
        pen.write(x, y_name + 4.3 * number - (1.6 if is_long else 0), line, style.name_size)
    gender = y_gender + (0.5 if is_long else 0)
    pen.write(x, gender, card.gender, size)
    if has_ethnicity:
        label.write(x + 9.0, gender + 0.2, "民族", size - 0.4)
        pen.write(x + 17.2, gender, card.ethnicity, size)
    born = card.birth_date
    for at, text, is_label in (
        (0.0, str(born.year), False),
        (10.6, "年", True),
        (15.4, str(born.month), False),
        (19.6, "月", True),
        (24.4, str(born.day), False),
        (28.8, "日", True),
    ):
        (label if is_label else pen).write(x + at, y_birth, text, size - (0.4 if is_label else 0))
    for number, line in enumerate(_wrapped(card.address, 11)):
        pen.write(x, y_address + style.pitch * number, line, size)
    label.write(style.left, y_number + 0.3, "公民身份号码", size - 0.4)
    left, step, height = style.digit
    for number, digit in enumerate(card.number):
        pen.write(left + number * step, y_number, digit, height, font=style.number)
    _print(sheet, labels, style.label, style, chance)
    _print(sheet, print_, style.ink, style, chance)
    return rounded(_worn(sheet, style, chance))


def emblem_side(
    card: IdCard,
    style: Style,
    seed: int = 0,
    *,
    title: str = "居民身份证",
    has_emblem: bool = True,
    months: int = 0,
) -> Image.Image:
    """`months` is the validity of a temporary card."""
    chance = np.random.default_rng(seed + 1)
    sheet = paper(style, style.back, chance)
    _great_wall(sheet, style)
    if has_emblem:
        _emblem(sheet, style)
    print_ = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = _Pen(print_, style)
    x, y, height, step = (29.5, 7.0, 5.6, 6.3) if style.is_lined else (27.5, 6.0, 6.1, 6.7)
    for number, character in enumerate("中华人民共和国"):
        pen.write(x + number * step, y, character, height, font=style.title)
    wide = step * 1.45 * 5 / len(title)
    for number, character in enumerate(title):
        size = height * 1.32 * min(1.0, 5.6 / len(title))
        pen.write(x + 1.5 + number * wide, y + 11, character, size, font=style.title)
    until = "长期" if card.valid_until is None else f"{card.valid_until:%Y.%m.%d}"
    if months:
        until = f"{card.valid_from.year + 1}.01.{card.valid_from.day:02d}"
    y, x = (37.4, 22.0) if style.is_lined else (39.3, 19.0)
    for row, label, value in (
        (0.0, "签发机关", card.issuer),
        (7.2, "有效期限", f"{card.valid_from:%Y.%m.%d}-{until}"),
    ):
        pen.write(x, y + row, label, style.size - 0.3)
        pen.write(x + 15.5, y + row, value, style.size)
    _print(sheet, print_, style.ink, style, chance)
    return rounded(_worn(sheet, style, chance))


# --- parts of a card -----------------------------------------------------------------------


class _Pen:
    """Writes onto a mask, with a fallback for characters that the typeface lacks."""

    def __init__(self, mask: Image.Image, style: Style) -> None:
        self._draw = ImageDraw.Draw(mask)
        self._style = style

    def write(self, x: float, y: float, text: str, size: float, font: Path | None = None) -> None:
        """`x`, `y` is the upper left corner of the em box."""
        left = x * MM
        for character in text:
            face = _font(font or self._style.text, round(size * MM))
            if _is_missing(face, character):
                face = _font(self._style.fallback, round(size * MM))
            place = (left, y * MM + size * MM * 0.86)
            self._draw.text(
                place, character, 255, face, anchor="ls", stroke_width=self._style.stroke
            )
            left += face.getlength(character)


def _wrapped(text: str, length: int) -> Iterator[str]:
    for start in range(0, len(text), length):
        yield text[start : start + length]


@cache
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def _is_missing(font: ImageFont.FreeTypeFont, character: str) -> bool:
    return bytes(font.getmask(character)) == bytes(font.getmask("\U0010fffe"))


def paper(style: Style, tints: tuple[Colour, Colour], chance: np.random.Generator) -> Floats:
    across = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None]
    down = np.linspace(-0.2, 0.2, HEIGHT, dtype=np.float32)[:, None, None]
    share = np.clip(across + down, 0, 1)
    paper = np.array(tints[0], np.float32) * (1 - share) + np.array(tints[1], np.float32) * share
    lines = np.zeros((HEIGHT, WIDTH), np.uint8)
    if style.is_lined:
        _rosettes(lines, chance)
    else:
        _waves(lines, chance)
    shade = cv2.GaussianBlur(lines, (0, 0), 0.8).astype(np.float32)[..., None] / 255
    return np.asarray(paper * (1 - 0.55 * shade) + np.array(style.line) * 0.55 * shade, np.float32)


def _waves(lines: NDArray[np.uint8], chance: np.random.Generator) -> None:
    x = np.arange(-20, WIDTH + 20, 8)
    phase = chance.uniform(0, 6)
    for number in range(-20, HEIGHT + 40, 17):
        y = number + 26 * np.sin(x / 130 + phase) + 11 * np.sin(x / 47 + number / 90)
        points = np.column_stack([x, y]).astype(np.int32)
        cv2.polylines(lines, [points], False, 190, 1, cv2.LINE_AA)


def _rosettes(lines: NDArray[np.uint8], chance: np.random.Generator) -> None:
    turn = np.linspace(0, 2 * math.pi, 400)
    for _ in range(26):
        centre = chance.uniform((0, 0), (WIDTH, HEIGHT))
        radius, petals = chance.uniform(70, 260), int(chance.integers(5, 14))
        for ring in np.linspace(0.5, 1, 5):
            reach = radius * ring * (1 + 0.22 * np.sin(petals * turn))
            x, y = centre[0] + reach * np.cos(turn), centre[1] + reach * np.sin(turn)
            points = np.column_stack([x, y]).astype(np.int32)
            cv2.polylines(lines, [points], True, 170, 1, cv2.LINE_AA)


def a_person(chance: np.random.Generator) -> Person:
    return Person(
        shape=tuple(chance.dirichlet([0.6] * 12)),
        skin=tuple(_SKIN * chance.uniform(0.55, 1.1)),
        hair=tuple(np.array((0.012, 0.010, 0.009)) * chance.uniform(0.8, 3)),
        clothes=tuple(chance.uniform(0.02, 0.45, 3)),
        hair_depth=chance.uniform(0.04, 0.16),
        long_hair=bool(chance.random() < 0.4),
        glasses=bool(chance.random() < 0.2),
    )


def head(
    paper: Floats, box: tuple[float, float, float, float], chance: np.random.Generator
) -> None:
    """A portrait on white, printed over the paper: what is white shows the paper."""
    left, top, width, height = (round(edge * MM) for edge in box)
    canvas = np.full((height, width, 3), 0.94, np.float32)
    face = width * chance.uniform(0.40, 0.47)
    pose = Pose(chance.uniform(-4, 4), chance.uniform(-3, 3), chance.uniform(-3, 3))
    light = Light((chance.uniform(-0.4, 0.4), 0.5, 1.0), 0.6)
    draw(canvas, a_person(chance), pose, light, (width / 2, height * 0.42), face)
    printed = np.clip(canvas, 0, 1) ** (1 / 2.2) / 0.94 ** (1 / 2.2)
    pale = 0.12 + 0.88 * np.clip(printed, 0, 1)
    grey = pale.mean(axis=2, keepdims=True)
    paper[top : top + height, left : left + width] *= 0.8 * pale + 0.2 * grey


def _great_wall(paper: Floats, style: Style) -> None:
    """A faint silhouette along the lower edge."""
    x = np.arange(0, WIDTH + 10, 10)
    y = HEIGHT * 0.62 + 90 * np.sin(x / 260) - 60 * (((x // 40) % 2) == 0) * 0.3
    shape = np.column_stack([x, y])
    outline = np.vstack([shape, [(WIDTH, HEIGHT), (0, HEIGHT)]]).astype(np.int32)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA)
    share = 0.06 if style.is_lined else 0.1
    paper *= 1 - share * (mask[..., None] / np.float32(255))


def _emblem(paper: Floats, style: Style) -> None:
    """15 mm wide; what the real one shows is only hinted at: wreath, wheel, gate and stars."""
    centre = np.array((15.2, 14.6) if style.is_lined else (13.6, 13.8)) * MM
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    radius = 7.5 * MM
    if style.is_lined:
        for reach, thick in ((1.0, 26), (0.84, 12), (0.74, 8)):
            cv2.circle(mask, _at(centre), round(reach * radius), 255, thick, cv2.LINE_AA)
        for turn in np.linspace(0, 2 * math.pi, 40, endpoint=False):
            way = np.array([math.cos(turn), math.sin(turn)])
            ends = (_at(centre + 0.78 * radius * way), _at(centre + 1.04 * radius * way))
            cv2.line(mask, *ends, 255, 7, cv2.LINE_AA)
    else:
        cv2.circle(mask, _at(centre), round(radius), 255, -1, cv2.LINE_AA)
        cv2.circle(mask, _at(centre), round(0.82 * radius), 0, 5, cv2.LINE_AA)
    inside = 255 if style.is_lined else 0
    gate = centre + np.array([-0.42, 0.12]) * radius
    lower = centre + np.array([0.42, 0.42]) * radius
    cv2.rectangle(mask, _at(gate), _at(lower), inside, -1 if style.is_lined else 8)
    for turn, size in ((-90, 0.2), (-145, 0.09), (-115, 0.09), (-65, 0.09), (-35, 0.09)):
        away = 0.2 if size > 0.1 else 0.55
        way = np.array([math.cos(math.radians(turn)), math.sin(math.radians(turn))])
        star = [
            centre
            + away * radius * way
            + (size if at % 2 == 0 else 0.4 * size)
            * radius
            * np.array([math.cos(math.radians(36 * at - 90)), math.sin(math.radians(36 * at - 90))])
            for at in range(10)
        ]
        cv2.fillPoly(mask, [np.array(star).astype(np.int32)], inside, cv2.LINE_AA)
    share = mask[..., None].astype(np.float32) / 255
    red = np.array((206, 62, 58) if style.is_lined else (196, 48, 44), np.float32)
    paper *= 1 - share
    paper += share * red


def _at(point: NDArray[np.floating]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _print(
    paper: Floats, mask: Image.Image, ink: Colour, style: Style, chance: np.random.Generator
) -> None:
    share = np.asarray(mask, np.float32)[..., None] / 255
    if style.wear:
        patches = cv2.resize(
            chance.normal(0, 1, (16, 26)).astype(np.float32), (WIDTH, HEIGHT), None, 0, 0, 2
        )
        grain = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 3) * 8
        worn = np.clip(0.35 * patches + 0.35 * grain.astype(np.float32), 0, 1)
        share = share * (1 - style.wear * worn[..., None])
    paper *= 1 - share
    paper += share * np.array(ink, np.float32)


def _worn(paper: Floats, style: Style, chance: np.random.Generator) -> Floats:
    """Scratches of the laminate."""
    if not style.wear:
        return paper
    scratches = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(int(40 * style.wear)):
        start = chance.uniform((0, 0), (WIDTH, HEIGHT))
        end = start + chance.normal(0, 160, 2)
        cv2.line(scratches, _at(start), _at(end), 150, 1, cv2.LINE_AA)
    share = scratches[..., None].astype(np.float32) / 255 * 0.5
    return np.asarray(paper * (1 - share) + 250 * share, np.float32)


def rounded(paper: Floats) -> Image.Image:
    mask = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, WIDTH - 1, HEIGHT - 1), round(3.18 * MM), fill=255
    )
    rounded = Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)).convert("RGBA")
    rounded.putalpha(mask)
    return rounded
