"""Draws the allowed and the measured head geometry over a finished portrait."""

import io

from PIL import Image, ImageDraw

from core.imaging.checks import Band
from core.imaging.decoding import encode
from core.imaging.portraits import standard
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
    draw.rectangle((0, standard.CROWN.least, standard.WIDTH, standard.CROWN.most), fill=_ALLOWED)
    draw.rectangle((standard.EYE_X.least, 0, standard.EYE_X.most, standard.HEIGHT), fill=_ALLOWED)
    draw.line(
        (
            0,
            standard.HEIGHT - standard.EYE_LINE.least,
            standard.WIDTH,
            standard.HEIGHT - standard.EYE_LINE.least,
        ),
        fill=_ALLOWED[:3],
        width=1,
    )
    for side in (-1, 1):
        near, far = (
            standard.CENTRE + side * standard.FACE_WIDTH.least / 2,
            standard.CENTRE + side * standard.FACE_WIDTH.most / 2,
        )
        draw.rectangle((min(near, far), 0, max(near, far), standard.HEIGHT), fill=_ALLOWED)


def _found(draw: ImageDraw.ImageDraw, geometry: Geometry) -> None:
    draw.line(
        (0, geometry.crown, standard.WIDTH, geometry.crown),
        fill=_colour(standard.CROWN, geometry.crown),
    )
    if geometry.chin is not None:
        inside = _colour(Band(most=standard.HEIGHT - 1), geometry.chin)
        draw.line(
            (standard.CENTRE - 40, geometry.chin, standard.CENTRE + 40, geometry.chin), inside
        )
    above_lower_edge = standard.HEIGHT - geometry.eye_line
    eye_line = _colour(standard.EYE_LINE, above_lower_edge)
    draw.line((0, geometry.eye_line, standard.WIDTH, geometry.eye_line), fill=eye_line)
    draw.line(
        (geometry.eye_x, 0, geometry.eye_x, standard.HEIGHT),
        fill=_colour(standard.EYE_X, geometry.eye_x),
    )
    width = _colour(standard.FACE_WIDTH, geometry.face_right - geometry.face_left)
    for x in (geometry.face_left, geometry.face_right):
        draw.line((x, geometry.eye_line - 20, x, geometry.eye_line + 120), fill=width)


def _colour(band: Band, value: float) -> tuple[int, int, int, int]:
    return _GOOD if band.holds(value) else _BAD
