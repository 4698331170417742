"""Pictures in, pictures out: decoding what a phone sends, safely, and making it storable.

Pure functions over bytes; they run in a worker process (`core/studio.py`), because a
hostile file may use up memory or crash a decoder. Target of the portrait: 358 × 441 px at
350 dpi, 24-bit RGB, JPEG within a byte range, no metadata (社会保障卡制证用数字相片技术要求).
"""

import io
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageOps, UnidentifiedImageError

WIDTH, HEIGHT = 358, 441
DPI = 350
QUALITY = 70
FORMATS = ("JPEG", "PNG", "WEBP")
MOST_PIXELS = 50_000_000
DOCUMENT_LONG_EDGE = 1600
DOCUMENT_LEAST = (640, 400)


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    UNREADABLE = "UNREADABLE"
    TOO_SMALL = "TOO_SMALL"
    NOT_LANDSCAPE = "NOT_LANDSCAPE"


@dataclass(frozen=True, slots=True)
class Processed:
    """`data` is the picture to keep, empty unless accepted; `width` and `height` are the input's."""

    verdict: Verdict
    data: bytes = b""
    width: int = 0
    height: int = 0


def process_portrait(data: bytes, min_bytes: int, max_bytes: int) -> Processed:
    """Turns upright, crops to 358:441 around the centre, and re-encodes within the byte range."""
    picture = _decode(data)
    if picture is None:
        return Processed(Verdict.UNREADABLE)
    width, height = picture.size
    if width < WIDTH or height < HEIGHT:
        return Processed(Verdict.TOO_SMALL, width=width, height=height)
    cropped = ImageOps.fit(picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS, centering=(0.5, 0.3))
    return Processed(Verdict.ACCEPTED, _encode_within(cropped, min_bytes, max_bytes), width, height)


def process_document(data: bytes) -> Processed:
    """Turns upright, demands landscape, and shrinks to 1600 px on the long edge."""
    picture = _decode(data)
    if picture is None:
        return Processed(Verdict.UNREADABLE)
    width, height = picture.size
    if height > width:
        return Processed(Verdict.NOT_LANDSCAPE, width=width, height=height)
    if width < DOCUMENT_LEAST[0] or height < DOCUMENT_LEAST[1]:
        return Processed(Verdict.TOO_SMALL, width=width, height=height)
    picture.thumbnail((DOCUMENT_LONG_EDGE, DOCUMENT_LONG_EDGE), Image.Resampling.LANCZOS)
    return Processed(Verdict.ACCEPTED, _encode(picture, 85), width, height)


def _decode(data: bytes) -> Image.Image | None:
    """The upright picture as fresh pixels on white: no metadata and no trailing bytes survive."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            opened.draft("RGB", (4 * WIDTH, 4 * HEIGHT))
            upright = ImageOps.exif_transpose(opened)
            canvas = Image.new("RGB", upright.size, "white")
            mask = upright.convert("RGBA").getchannel("A") if _is_transparent(upright) else None
            canvas.paste(upright.convert("RGB"), mask=mask)
            return canvas
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _is_transparent(picture: Image.Image) -> bool:
    return "A" in picture.getbands() or "transparency" in picture.info


def _encode_within(picture: Image.Image, min_bytes: int, max_bytes: int) -> bytes:
    """Quality 70 where it fits the range; else the nearest quality that does."""
    encoded = _encode(picture, QUALITY)
    for quality in range(QUALITY - 5, 20, -5):
        if len(encoded) <= max_bytes:
            break
        encoded = _encode(picture, quality)
    for quality in range(QUALITY + 5, 100, 5):
        if len(encoded) >= min_bytes:
            break
        finer = _encode(picture, quality)
        if len(finer) > max_bytes:
            break
        encoded = finer
    return encoded


def _encode(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, dpi=(DPI, DPI), optimize=True)
    return buffer.getvalue()
