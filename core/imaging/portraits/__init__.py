"""The portrait (照片): reviews the photograph and produces the picture that the card prints.

    standard.py    measures of the finished picture
    verdict.py     the checks and their limits
    review.py      the steps in order
    faces, head, features, framing, background, measures, screenshots: one step each
    landmarks.py   MediaPipe's models; haar.py where they are not installed

All of it runs in a worker process of the isolated pool. The server imports only this file, `weights`
and `verdict`, so that it never loads OpenCV.
"""

from core.imaging.decoding import NotDecoded
from core.imaging.portraits.standard import HEIGHT, WIDTH
from core.imaging.portraits.verdict import ProcessedPortrait
from core.imaging.portraits.weights import find_weights

MIN_SIZE = (WIDTH, HEIGHT)


def has_landmarks() -> bool:
    """Whether the models of face landmarks are installed; without them the review knows less."""
    return find_weights() is not None


def process_portrait(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    from core.imaging.portraits.review import review

    try:
        return review(data, min_bytes, max_bytes)
    except NotDecoded as error:
        return ProcessedPortrait.refused(error, MIN_SIZE)
