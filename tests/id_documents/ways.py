"""Twelve ways in which people photograph a card, each with its own table, light, lens and file.

A plane with one or two cards, and hands on it, is seen in perspective. `WAYS` names them all.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sandbox.id_cards import HEIGHT, MM, WIDTH
from tests.id_documents.hiding import BLEED

Floats = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plane:
    """Cards (RGBA) side by side or one above the other, with the corners of each in px."""

    picture: Floats
    corners: tuple[Points, ...]


def plane_of(
    cards: list[Image.Image], hands: list[Image.Image], *, is_row: bool = False, gap: float = 8
) -> Plane:
    """`hands` lie over the first card; `gap` between the cards is in mm."""
    step = np.array([WIDTH, 0] if is_row else [0, HEIGHT]) + round(gap * MM) * np.array(
        [1, 0] if is_row else [0, 1]
    )
    size = np.array([WIDTH, HEIGHT]) + 2 * BLEED + step * (len(cards) - 1)
    sheet = Image.new("RGBA", (int(size[0]), int(size[1])), (0, 0, 0, 0))
    corners = []
    for number, card in enumerate(cards):
        place = np.array([BLEED, BLEED]) + step * number
        sheet.alpha_composite(
            card.resize((WIDTH, round(WIDTH * card.height / card.width))),
            (int(place[0]), int(place[1])),
        )
        height = round(WIDTH * card.height / card.width)
        corners.append(place + np.array([(0, 0), (WIDTH, 0), (WIDTH, height), (0, height)], float))
    for hand in hands:
        sheet.alpha_composite(hand)
    return Plane(np.asarray(sheet, np.float32), tuple(corners))


@dataclass(frozen=True, slots=True)
class Way:
    """Angles in degrees; `cover` is the share of the frame's width that the card takes, `light` the
    exposure, `cast` the light's colour, `blur` and `noise` as in `photographs.Scene`.
    """

    table: str = "planks"
    frame: tuple[int, int] = (1600, 1200)
    cover: tuple[float, float] = (0.6, 0.82)
    tilt: float = 8
    roll: float = 5
    light: tuple[float, float] = (0.85, 0.97)
    cast: float = 0.03
    blur: tuple[float, float] = (0.3, 0.9)
    noise: tuple[float, float] = (1.5, 4)
    quality: tuple[int, int] = (80, 95)
    extra: str = ""


WAYS: dict[str, Way] = {
    "perspective": Way(tilt=26),
    "rotated": Way("cloth", roll=32, cover=(0.5, 0.65)),
    "white table": Way("white", tilt=12),
    "hand-held": Way("room", tilt=14, extra="hold"),
    "shadow edge": Way("marble", extra="shadow"),
    "lamp beside the text": Way("planks", tilt=14, extra="lamp"),
    "low light": Way("cloth", light=(0.42, 0.6), noise=(6, 10), cast=0.09),
    "scanner": Way("scanner", (1700, 2338), (0.41, 0.41), 0, 1.5, (1, 1), 0, (0.3, 0.5), (0.5, 1), extra="flat"),
    "crop": Way("laminate", cover=(0.985, 0.995), tilt=0, roll=0.4, extra="crop"),
    "messenger": Way("planks", (1440, 1080), (0.7, 0.9), quality=(40, 40)),
    "screen": Way("screen", blur=(0.5, 0.9), extra="moire"),
    "defocus": Way("marble", blur=(1.2, 1.6)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shot:
    """`corners` of each card in px of the picture: its own upper left first, then clockwise."""

    data: bytes
    corners: tuple[Points, ...]
    frame: tuple[int, int]


def shoot(plane: Plane, way: Way, seed: int) -> Shot:
    chance = np.random.default_rng(seed)
    cv2.setRNGSeed(seed)
    if way.extra == "crop":
        longest = WIDTH / HEIGHT if len(plane.corners) == 1 else 1.0
        way = replace(way, frame=(1500, round(1500 / longest)))
    matrix = _view(plane, way, chance)
    width, height = way.frame
    table = _table(way.table, width, height, chance)
    layer = _seen(plane.picture, matrix, (width, height))
    share = layer[..., 3:] / np.float32(255)
    lit = _with_shadow(table, share, way, chance)
    lit = lit * (1 - share) + layer[..., :3] * share
    lit *= _light(width, height, way, chance)
    corners = tuple(_project(matrix, points) for points in plane.corners)
    if way.extra == "shadow":
        lit *= _shadow_edge(width, height, corners[0], chance)
    if way.extra == "lamp":
        lit += _lamp(width, height, matrix, chance)
    if way.extra == "moire":
        lit = _moire(lit, chance)
    side = float(np.linalg.norm(corners[0][1] - corners[0][0]))
    sigma = max(0.6, chance.uniform(*way.blur) * side / 1000)
    lit = cv2.GaussianBlur(lit, (0, 0), sigma).astype(np.float32)
    lit = _sharpened(lit, chance)
    lit += cv2.randn(np.empty_like(lit), 0, chance.uniform(*way.noise))  # type: ignore[call-overload]
    picture = np.clip(lit, 0, 255).astype(np.uint8)
    quality = int(chance.integers(way.quality[0], way.quality[1] + 1))
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Shot(data.tobytes(), corners, way.frame)


# --- view ----------------------------------------------------------------------------------


def _view(plane: Plane, way: Way, chance: np.random.Generator) -> NDArray[np.float64]:
    """The homography from the plane to the picture."""
    width, height = way.frame
    x, y = np.radians(chance.uniform(-way.tilt, way.tilt, 2))
    roll = np.radians(chance.uniform(-way.roll, way.roll))
    points = np.concatenate(plane.corners)
    middle = (points.min(0) + points.max(0)) / 2
    flat = np.column_stack([points - middle, np.zeros(len(points))])
    spin = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    pan = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turned = flat @ spin.T @ lean.T @ pan.T
    distance = 2.6 * np.ptp(points, 0).max()
    seen = turned[:, :2] * distance / (turned[:, 2:] + distance)
    several = len(plane.corners)
    room = np.array([width, height]) * (0.94 if way.extra not in ("crop", "flat") else 1.0)
    cover = chance.uniform(*way.cover)
    if several > 1 and way.extra != "flat":
        cover = min(0.98, cover + 0.12)
    span = np.ptp(seen, 0)
    scale = cover * width / (span[0] if several == 1 else span.max())
    if way.extra == "flat":
        scale = cover * width / WIDTH
    scale = min(scale, *(room / span)) if way.extra != "crop" else scale
    seen = seen * scale
    free = np.maximum(room - np.ptp(seen, 0), 0) / 2
    shift = chance.uniform(-free, free) * (0.0 if way.extra == "crop" else 0.85)
    seen = seen - (seen.min(0) + seen.max(0)) / 2 + np.array([width, height]) / 2 + shift
    if several == 1:
        return np.asarray(
            cv2.getPerspectiveTransform(points.astype(np.float32), seen.astype(np.float32)), float
        )
    found, _ = cv2.findHomography(points, seen)
    return np.asarray(found, float)


def _seen(picture: Floats, matrix: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    shrinks = 1 / max(float(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))), 1e-3)
    if shrinks > 1.4:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.35 * shrinks).astype(np.float32)
    return np.asarray(
        cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_LINEAR), np.float32
    )


def _project(matrix: NDArray[np.float64], points: Points) -> Points:
    return np.asarray(cv2.perspectiveTransform(points[None], matrix)[0], float)


# --- table ---------------------------------------------------------------------------------


def _noise(size: tuple[int, int], cells: tuple[int, int], chance: np.random.Generator) -> Floats:
    coarse = chance.normal(0, 1, cells).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _table(kind: str, width: int, height: int, chance: np.random.Generator) -> Floats:
    size = (width, height)
    if kind == "planks":
        return _planks(size, chance)
    if kind == "cloth":
        return _cloth(size, chance)
    if kind == "scanner":
        sheet = np.full((height, width, 3), 250, np.float32)
        return sheet + chance.normal(0, 0.8, (height, width, 1)).astype(np.float32)
    if kind == "room":
        far = np.stack([_noise(size, (7, 9), chance) for _ in range(3)], axis=2)
        tone = np.array(chance.uniform(70, 150, 3), np.float32)
        return np.clip(tone + 26 * far.mean(2, keepdims=True) + 9 * far, 10, 240)
    if kind == "screen":
        return np.full((height, width, 3), chance.uniform(14, 40), np.float32)
    tones = {"white": (214, 212, 208), "marble": (176, 172, 166), "laminate": (90, 76, 66)}
    table = np.array(tones[kind], np.float32) * float(chance.uniform(0.92, 1.06))
    veins = np.abs(_noise(size, (9, 13), chance)) ** 0.35
    depth = {"white": 4, "marble": 26, "laminate": 14}[kind]
    fine = _noise(size, (height // 3, width // 3), chance)
    return np.asarray(table + (depth * (veins - 0.8) + 2 * fine)[..., None], np.float32)


def _planks(size: tuple[int, int], chance: np.random.Generator) -> Floats:
    height = size[1]
    tone = np.array(
        [(150, 110, 74), (104, 72, 48), (188, 152, 110)][chance.integers(3)], np.float32
    )
    plank = height // int(chance.integers(3, 6))
    rows = np.arange(height) // plank
    shade = chance.uniform(0.86, 1.1, int(rows.max()) + 1).astype(np.float32)[rows][:, None]
    grain = _noise(size, (height // 5, 8), chance) + 0.6 * _noise(size, (height // 2, 30), chance)
    table = tone * (shade * (1 + 0.07 * grain))[..., None]
    table[np.arange(height) % plank < 3] *= 0.55
    return np.asarray(table, np.float32)


def _cloth(size: tuple[int, int], chance: np.random.Generator) -> Floats:
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = chance.uniform(0, np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    ground = np.float32(chance.uniform(60, 150)) + chance.uniform(-28, 28, 3).astype(np.float32)
    second = np.float32(chance.uniform(50, 210)) + chance.uniform(-28, 28, 3).astype(np.float32)
    stripes = np.clip(6 * np.sin(along / chance.uniform(18, 60)), 0, 1)[..., None]
    weave = 1 + 0.05 * np.sin(x * 1.9) * np.sin(y * 1.9)
    folds = 1 + 0.08 * _noise(size, (4, 5), chance)
    return np.asarray(
        (ground * (1 - stripes) + second * stripes) * (weave * folds)[..., None], np.float32
    )


def _with_shadow(table: Floats, share: Floats, way: Way, chance: np.random.Generator) -> Floats:
    if way.extra == "crop":
        return table
    depth, reach = (0.25, 4) if way.table == "scanner" else (0.4, 10)
    moved = np.roll(
        share[..., 0], (int(chance.integers(2, 8)), int(chance.integers(-6, 7))), (0, 1)
    )
    soft = cv2.GaussianBlur(moved, (0, 0), reach)
    return np.asarray(table * (1 - depth * soft[..., None]), np.float32)


# --- light and lens ------------------------------------------------------------------------


def _light(width: int, height: int, way: Way, chance: np.random.Generator) -> Floats:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    turn, depth = (
        chance.uniform(0, 2 * np.pi),
        0.0 if way.extra == "flat" else chance.uniform(0, 0.16),
    )
    slope = 1 + depth * (np.cos(turn) * x + np.sin(turn) * y) / 1.4
    warm = chance.uniform(-way.cast, way.cast)
    cast = np.array([1 + warm, 1, 1 - warm], np.float32)
    vignette = 1 - (0 if way.extra in ("flat", "crop") else 0.06) * (x**2 + y**2)
    exposure = float(chance.uniform(*way.light))
    return np.asarray((exposure * slope * vignette)[..., None] * cast, np.float32)


def _shadow_edge(width: int, height: int, corners: Points, chance: np.random.Generator) -> Floats:
    """The photographer's own shadow falls across a part of the card."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = chance.uniform(0, 2 * np.pi)
    middle = corners.mean(0) + chance.uniform(-0.25, 0.25, 2) * np.ptp(corners, 0)
    away = np.cos(turn) * (x - middle[0]) + np.sin(turn) * (y - middle[1])
    soft = 1 / (1 + np.exp(-away / chance.uniform(5, 30)))
    return np.asarray(1 - chance.uniform(0.25, 0.42) * soft[..., None], np.float32)


def _lamp(
    width: int, height: int, matrix: NDArray[np.float64], chance: np.random.Generator
) -> Floats:
    """A dull reflection beside the text: the upper edge or between fields and number."""
    place = np.array([[chance.uniform(30, 48), chance.choice([1.5, 52.5])]]) * MM + BLEED
    x0, y0 = _project(matrix, place)[0]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    size = chance.uniform(0.018, 0.03) * width
    spot = np.exp(-(((x - x0) / (2.2 * size)) ** 2 + ((y - y0) / size) ** 2))
    return np.asarray(chance.uniform(60, 110) * spot[..., None], np.float32)


def _moire(lit: Floats, chance: np.random.Generator) -> Floats:
    """A card on a screen: its pixels beat with the camera's."""
    height, width = lit.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn, wave = chance.uniform(0, np.pi), chance.uniform(9, 26)
    beat = np.sin(2 * np.pi * (np.cos(turn) * x + np.sin(turn) * y + 6 * np.sin(y / 130)) / wave)
    rows = np.sin(2 * np.pi * y / 3.1)
    phase = np.stack([beat, np.roll(beat, 3, 1), np.roll(beat, 6, 1)], axis=2)
    return np.asarray(lit * (1 + 0.045 * phase + 0.03 * rows[..., None]), np.float32)


def _sharpened(lit: Floats, chance: np.random.Generator) -> Floats:
    """As phones do."""
    soft = cv2.GaussianBlur(lit, (0, 0), 1.6)
    return np.asarray(lit + chance.uniform(0.1, 0.5) * (lit - soft), np.float32)
