"""The portrait: what a phone sends, made into what the card prints.

Pure functions over bytes; they run in a worker of the studio. Target: 358 × 441 px at
350 dpi, 24-bit RGB, JPEG within a byte range, no metadata (社会保障卡制证用数字相片技术要求).
"""

from PIL import Image, ImageOps

from core.decoding import TooManyPixels, Undecodable, decode, encode
from core.processing import Processed, Verdict, too_many_pixels

WIDTH, HEIGHT = 358, 441
QUALITY = 70


def process_portrait(data: bytes, min_bytes: int, max_bytes: int) -> Processed:
    """Turns upright, crops to 358:441 around the centre, and re-encodes within the byte range."""
    try:
        decoded = decode(data, 2 * WIDTH)
    except TooManyPixels as error:
        return too_many_pixels(error)
    except Undecodable:
        return Processed(Verdict.UNREADABLE)
    width, height = decoded.width, decoded.height
    if width < WIDTH or height < HEIGHT:
        return Processed(Verdict.TOO_SMALL, width=width, height=height, least=(WIDTH, HEIGHT))
    cropped = ImageOps.fit(
        decoded.picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS, centering=(0.5, 0.3)
    )
    return Processed(Verdict.ACCEPTED, _encode_within(cropped, min_bytes, max_bytes), width, height)


def _encode_within(picture: Image.Image, min_bytes: int, max_bytes: int) -> bytes:
    """Quality 70 where it fits the range; else the nearest quality that does."""
    encoded = encode(picture, QUALITY)
    for quality in range(QUALITY - 5, 20, -5):
        if len(encoded) <= max_bytes:
            break
        encoded = encode(picture, quality)
    for quality in range(QUALITY + 5, 100, 5):
        if len(encoded) >= min_bytes:
            break
        finer = encode(picture, quality)
        if len(finer) > max_bytes:
            break
        encoded = finer
    return encoded
