"""Synthetic photographs of ID cards with ground truth: corners and faults.

A card on a table under a lamp is seen by a camera: perspective, background, light, glare, focus,
motion, noise and JPEG compression are applied in physical order.
"""

import random
from dataclasses import dataclass
from datetime import date

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from stdnum.iso7064 import mod_11_2

from sandbox.id_cards import HEIGHT, WIDTH, IdCard

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

TABLES = ("wood", "dark", "grey", "white", "checked", "cluttered", "green", "bed")


@dataclass(frozen=True, slots=True)
class Scene:
    """Lengths are shares of the frame's width, angles are degrees, `blur` is pixels of a card
    that is 1000 px wide, `noise` grey levels, `light` the share of full exposure.

    `cut` is the share of the card that lies outside the frame, `glare` the share under a
    reflection, `turns` quarter turns of the card.
    """

    frame: tuple[int, int] = (1600, 1200)
    table: str = "wood"
    cover: float = 0.7
    tilt: float = 0.0
    pan: float = 0.0
    roll: float = 0.0
    turns: int = 0
    light: float = 1.0
    uneven: float = 0.15
    blur: float = 0.0
    motion: float = 0.0
    noise: float = 2.0
    glare: float = 0.0
    cut: float = 0.0
    quality: int = 88
    grey: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Photograph:
    """`corners` of the card in px of the picture: its own upper left first, then clockwise."""

    data: bytes
    corners: Floats
    scene: Scene


def photograph(card: Image.Image, scene: Scene) -> Photograph:
    chance = np.random.default_rng(scene.seed)
    cv2.setRNGSeed(scene.seed)
    width, height = scene.frame
    corners = _corners(scene, chance)
    lit = _table(scene.table, width, height, chance).astype(np.float32)
    pixels, mask = _laid(card, corners, width, height)
    lit = _shadow(lit, mask)
    lit = lit * (1 - mask) + pixels * mask
    lit *= _light(width, height, scene, chance)[..., None]
    if scene.glare:
        lit = _glared(lit, mask, scene.glare, chance)
    if scene.grey:
        lit[:] = (lit @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    lit = _focused(lit, scene, corners, chance)
    lit += cv2.randn(np.empty_like(lit), 0, scene.noise)  # type: ignore[call-overload]
    picture = np.clip(lit, 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, scene.quality])
    return Photograph(encoded.tobytes(), corners, scene)


# --- geometry ------------------------------------------------------------------------------


def _corners(scene: Scene, chance: np.random.Generator) -> Floats:
    """A pinhole camera with the view of a phone's main lens: focal length 0.75 of the long edge."""
    width, height = scene.frame
    focal = 0.75 * max(width, height)
    half = np.array([WIDTH, HEIGHT]) / 2
    flat = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    points = np.column_stack([flat, np.zeros(4)])
    points = points @ _rotation(scene.tilt, scene.pan, scene.roll + 90 * scene.turns).T
    span = WIDTH if scene.turns % 2 == 0 else HEIGHT * width / height
    distance = focal * span / (scene.cover * width)
    seen = focal * points[:, :2] / (points[:, 2:] + distance)
    # Increase the distance until the card is in the frame.
    reach = (np.ptp(seen, 0) / (np.array([width, height]) - 24)).max()
    seen /= max(reach, 1.0)
    seen += np.array([width, height]) / 2 - (seen.min(0) + seen.max(0)) / 2
    return seen + _shift(seen, scene, chance)


def _shift(seen: Floats, scene: Scene, chance: np.random.Generator) -> Floats:
    """A random position in the frame; with a cut, over its right or lower edge."""
    size = np.array(scene.frame)
    low, high = seen.min(0), seen.max(0)
    if not scene.cut:
        room = np.maximum(np.minimum(low, size - high) - 8, 0)
        return chance.uniform(-room, room)
    axis = int(chance.integers(2))
    shift = np.zeros(2)
    shift[axis] = size[axis] - high[axis] + scene.cut * (high[axis] - low[axis])
    if chance.random() < 0.5:
        shift[axis] = -low[axis] - scene.cut * (high[axis] - low[axis])
    return shift


def _rotation(tilt: float, pan: float, roll: float) -> Floats:
    x, y, z = np.radians([tilt, pan, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def _length(vector: Floats) -> float:
    return float(np.linalg.norm(vector))


def _laid(
    card: Image.Image, corners: Floats, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The card in perspective, and its coverage of each pixel."""
    size = max(_length(corners[0] - corners[1]), 1.0)
    sharp = np.array(card)
    if size < WIDTH:
        scaled = (round(size), round(size * HEIGHT / WIDTH))
        sharp = cv2.resize(sharp, scaled, interpolation=cv2.INTER_AREA)
    h, w = sharp.shape[:2]
    corners_of_card = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(corners_of_card, corners.astype(np.float32))
    seen = cv2.warpPerspective(sharp, matrix, (width, height), flags=cv2.INTER_LINEAR)
    pixels = seen.astype(np.float32)
    return pixels[..., :3], pixels[..., 3:] / np.float32(255)


# --- light and lens ------------------------------------------------------------------------


def _table(kind: str, width: int, height: int, chance: np.random.Generator) -> Pixels:
    colours = {
        "wood": (122, 88, 62),
        "dark": (38, 40, 44),
        "grey": (128, 130, 132),
        "white": (206, 204, 200),
        "checked": (150, 60, 58),
        "cluttered": (96, 100, 108),
        "green": (52, 98, 74),
        "bed": (176, 182, 196),
    }
    table = np.full((height, width, 3), colours[kind], np.float32)
    table *= chance.uniform(0.85, 1.1)
    if kind == "wood":
        grain = cv2.resize(chance.normal(0, 1, (height // 6, 12)), (width, height))
        table += 11 * grain[..., None].astype(np.float32)
    elif kind == "checked":
        y, x = np.indices((height, width)) // (width // 18)
        table[((x + y) % 2) == 0] = (226, 216, 208)
    elif kind == "bed":
        folds = cv2.resize(
            chance.normal(0, 1, (7, 7)), (width, height), interpolation=cv2.INTER_CUBIC
        )
        table += 16 * folds[..., None].astype(np.float32)
    table += cv2.randn(np.empty_like(table), 0, 3)  # type: ignore[call-overload]
    if kind == "cluttered":
        _clutter(table, chance)
    return np.clip(table, 0, 255).astype(np.uint8)


def _clutter(table: NDArray[np.float32], chance: np.random.Generator) -> None:
    height, width = table.shape[:2]
    for _ in range(9):
        centre = chance.uniform((0, 0), (width, height))
        size = chance.uniform(0.08, 0.35, 2) * width
        box = cv2.boxPoints((centre.tolist(), size.tolist(), float(chance.uniform(0, 90))))
        colour = chance.uniform(30, 220, 3).tolist()
        cv2.fillConvexPoly(table, box.astype(np.int32), colour)
    for _ in range(14):
        ends = chance.uniform((0, 0), (width, height), (2, 2)).astype(int)
        cv2.line(table, ends[0].tolist(), ends[1].tolist(), chance.uniform(20, 230, 3).tolist(), 3)


def _shadow(table: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(np.roll(mask[..., 0], (7, 5), (0, 1)), (0, 0), 9)
    return (table * (1 - 0.35 * soft[..., None])).astype(np.float32)


def _light(
    width: int, height: int, scene: Scene, chance: np.random.Generator
) -> NDArray[np.float32]:
    angle = chance.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope = (np.cos(angle) * x + np.sin(angle) * y) / 1.42
    return (scene.light * (1 + scene.uneven * slope)).astype(np.float32)


def _glared(
    lit: NDArray[np.float32], mask: NDArray[np.float32], share: float, chance: np.random.Generator
) -> NDArray[np.float32]:
    """A lamp's reflection: overexposes `share` of the card, with a soft edge."""
    inside = np.argwhere(mask[..., 0] > 0.9)
    area = share * len(inside)
    y, x = inside[chance.integers(len(inside))]
    stretch = chance.uniform(1.0, 2.2)
    short = np.sqrt(area / (np.pi * stretch))
    spot = np.zeros(lit.shape[:2], np.float32)
    axes = (round(short * stretch), round(short))
    cv2.ellipse(spot, (int(x), int(y)), axes, float(chance.uniform(0, 180)), 0, 360, 1.0, -1)
    rim = cv2.GaussianBlur(spot, (0, 0), max(short * 0.25, 1))
    return (lit + 400 * np.maximum(spot, rim)[..., None] * mask).astype(np.float32)


def _focused(
    lit: NDArray[np.float32], scene: Scene, corners: Floats, chance: np.random.Generator
) -> NDArray[np.float32]:
    """`blur` is the sigma of defocus, `motion` the length of motion blur."""
    scale = max(_length(corners[0] - corners[1]), _length(corners[1] - corners[2])) / 1000
    lens = 0.6
    lit = cv2.GaussianBlur(lit, (0, 0), max(lens, scene.blur * scale)).astype(np.float32)
    if scene.motion * scale >= 1:
        length = round(scene.motion * scale) + 1
        kernel = np.zeros((length, length), np.float32)
        turn = chance.uniform(0, np.pi)
        reach = np.array([np.cos(turn), np.sin(turn)]) * (length - 1) / 2
        middle = (length - 1) / 2
        cv2.line(
            kernel,
            np.round(middle - reach).astype(int).tolist(),
            np.round(middle + reach).astype(int).tolist(),
            1.0,
        )
        lit = cv2.filter2D(lit, -1, kernel / kernel.sum()).astype(np.float32)
    return lit


# --- invented people -----------------------------------------------------------------------

_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国文辉力佳欣怡子轩梓涵雨泽浩然晨曦若溪思远"
_AREAS = {
    "510104": ("四川省成都市锦江区", "成都市公安局锦江分局"),
    "510107": ("四川省成都市武侯区", "成都市公安局武侯分局"),
    "510703": ("四川省绵阳市涪城区", "绵阳市公安局涪城分局"),
    "500112": ("重庆市渝北区", "重庆市公安局渝北区分局"),
    "513401": ("四川省西昌市", "西昌市公安局"),
    "511902": ("四川省巴中市巴州区", "巴中市公安局巴州区分局"),
}
_ROADS = ("示例路", "样本街", "虚构大道", "试验巷", "春风路", "新华街", "人民南路四段")
_ETHNICITIES = ("汉", "汉", "汉", "汉", "回", "彝", "藏", "羌", "土家", "维吾尔", "哈萨克")


def invented(chance: random.Random) -> IdCard:
    """An invented citizen, with a valid check character in the ID number."""
    area = chance.choice(sorted(_AREAS))
    born = date.fromordinal(
        chance.randint(date(1940, 1, 1).toordinal(), date(2008, 12, 31).toordinal())
    )
    order = chance.randint(1, 999)
    body = f"{area}{born:%Y%m%d}{order:03d}"
    issued = date(chance.randint(2015, 2024), chance.randint(1, 12), chance.randint(1, 28))
    home, issuer = _AREAS[area]
    return IdCard(
        name=chance.choice(_FAMILY) + "".join(chance.choices(_GIVEN, k=chance.randint(1, 2))),
        gender="男" if order % 2 else "女",
        ethnicity=chance.choice(_ETHNICITIES),
        birth_date=born,
        address=f"{home}{chance.choice(_ROADS)}{chance.randint(1, 400)}号"
        f"{chance.randint(1, 30)}栋{chance.randint(1, 6)}单元{chance.randint(101, 3204)}号",
        number=body + mod_11_2.calc_check_digit(body),
        issuer=issuer,
        valid_from=issued,
        valid_until=None if chance.random() < 0.2 else issued.replace(year=issued.year + 20),
    )
