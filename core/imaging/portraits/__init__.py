"""The portrait (照片): what a phone sends, reviewed and made into what the card prints.

    core/imaging/portraits/standard.py    the finished picture's measures
    core/imaging/portraits/verdict.py     the checks and their limits
    core/imaging/portraits/review.py      the steps in their order
    faces, framing, background, measures: one step each

All of it runs in a worker of the studio; only this file and the verdict are imported by the
server, so that it never loads OpenCV.
"""

from core.imaging.decoding import MEGAPIXEL, TooManyPixels, TooSmall, Undecodable
from core.imaging.portraits.standard import HEIGHT, WIDTH
from core.imaging.portraits.verdict import ProcessedPortrait
from core.imaging.processing import Verdict


def process_portrait(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    from core.imaging.portraits.review import review

    try:
        return review(data, min_bytes, max_bytes)
    except TooManyPixels as error:
        return ProcessedPortrait(
            Verdict.TOO_MANY_PIXELS,
            width=error.width,
            height=error.height,
            most=error.most // MEGAPIXEL,
        )
    except TooSmall as error:
        return ProcessedPortrait(
            Verdict.TOO_SMALL, width=error.width, height=error.height, least=(WIDTH, HEIGHT)
        )
    except Undecodable:
        return ProcessedPortrait(Verdict.UNREADABLE)
