"""The portrait (照片): reviews the photograph and produces the picture that the card prints.

    standard.py    measures of the finished picture
    verdict.py     the checks and their limits
    review.py      the steps in order
    faces, framing, background, measures, screenshots: one step each

All of it runs in a worker process of the isolated pool. The server imports only this file and
`verdict`, so that it never loads OpenCV.
"""

from core.imaging.decoding import NotDecoded
from core.imaging.portraits.standard import HEIGHT, WIDTH
from core.imaging.portraits.verdict import ProcessedPortrait

MIN_SIZE = (WIDTH, HEIGHT)


def process_portrait(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    from core.imaging.portraits.review import review

    try:
        return review(data, min_bytes, max_bytes)
    except NotDecoded as error:
        return ProcessedPortrait.refused(error, MIN_SIZE)
