"""Draws the allowed and the measured head geometry over a finished portrait."""

import io

from PIL import Image, ImageDraw

from core.imaging.checks import Band
from core.imaging.decoding import encode
from core.imaging.portraits.standard import (
    CENTRE,
    CROWN,
    EYE_LINE,
    EYE_X,
    FACE_WIDTH,
    HEIGHT,
    WIDTH,
)
from core.imaging.portraits.verdict import Geometry

_ALLOWED = (0, 140, 255, 60)
_GOOD = (0, 150, 60, 255)
_BAD = (220, 30, 30, 255)
_QUALITY = 90


def draw_overlay(picture: bytes, geometry: Geometry) -> bytes:
    """Blue areas are the allowed ranges; lines are green inside their range and red outside."""
    with Image.open(io.BytesIO(picture), formats=("JPEG",)) as opened:
        canvas = opened.convert("RGBA")
    layer = Image.new("RGBA", canvas.size)
    draw = ImageDraw.Draw(layer)
    _allowed(draw)
    _found(draw, geometry)
    return encode(Image.alpha_composite(canvas, layer).convert("RGB"), _QUALITY, 0)


def _allowed(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((0, CROWN.least, WIDTH, CROWN.most), fill=_ALLOWED)
    draw.rectangle((EYE_X.least, 0, EYE_X.most, HEIGHT), fill=_ALLOWED)
    draw.line(
        (0, HEIGHT - EYE_LINE.least, WIDTH, HEIGHT - EYE_LINE.least), fill=_ALLOWED[:3], width=1
    )
    for side in (-1, 1):
        near, far = CENTRE + side * FACE_WIDTH.least / 2, CENTRE + side * FACE_WIDTH.most / 2
        draw.rectangle((min(near, far), 0, max(near, far), HEIGHT), fill=_ALLOWED)


def _found(draw: ImageDraw.ImageDraw, geometry: Geometry) -> None:
    draw.line((0, geometry.crown, WIDTH, geometry.crown), fill=_colour(CROWN, geometry.crown))
    above_lower_edge = HEIGHT - geometry.eye_line
    eye_line = _colour(EYE_LINE, above_lower_edge)
    draw.line((0, geometry.eye_line, WIDTH, geometry.eye_line), fill=eye_line)
    draw.line((geometry.eye_x, 0, geometry.eye_x, HEIGHT), fill=_colour(EYE_X, geometry.eye_x))
    width = _colour(FACE_WIDTH, geometry.face_right - geometry.face_left)
    for x in (geometry.face_left, geometry.face_right):
        draw.line((x, geometry.eye_line - 20, x, geometry.eye_line + 120), fill=width)


def _colour(band: Band, value: float) -> tuple[int, int, int, int]:
    return _GOOD if band.holds(value) else _BAD
