"""The sides of an ID card as photographed: landscape, and no larger than the desk needs them.

Pure functions over bytes; they run in a worker of the studio.
"""

from PIL import Image

from core.decoding import TooManyPixels, Undecodable, decode, encode
from core.processing import Processed, Verdict, too_many_pixels

LONG_EDGE = 1600
LEAST = (640, 400)
_QUALITY = 85


def process_document(data: bytes) -> Processed:
    """Turns upright, demands landscape, and shrinks to 1600 px on the long edge."""
    try:
        decoded = decode(data, LONG_EDGE)
    except TooManyPixels as error:
        return too_many_pixels(error)
    except Undecodable:
        return Processed(Verdict.UNREADABLE)
    width, height = decoded.width, decoded.height
    if height > width:
        return Processed(Verdict.NOT_LANDSCAPE, width=width, height=height)
    if width < LEAST[0] or height < LEAST[1]:
        return Processed(Verdict.TOO_SMALL, width=width, height=height, least=LEAST)
    picture = decoded.picture
    picture.thumbnail((LONG_EDGE, LONG_EDGE), Image.Resampling.LANCZOS)
    return Processed(Verdict.ACCEPTED, encode(picture, _QUALITY), width, height)
