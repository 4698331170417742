"""Both sides of the resident ID card (身份证): found in a photograph, straightened, judged and read.

    core/imaging/id_documents/verdict.py      the checks and their limits, the fields that are read
    core/imaging/id_documents/review.py       the steps in their order
    outlines, straight_lines, edges, fitting: from a photograph to four corners
    cards, sides                      which outline is an ID card, which side of it, which way up
    quality.py                        focus, reflections, light and colour
    ocr, reading                      the fields, where the optional extra is installed

All of it runs in a worker process; only this file and the verdict are imported by the server,
so that it never loads OpenCV or the models.
"""

from datetime import date
from importlib.util import find_spec

from core.imaging.decoding import MEGAPIXEL, TooManyPixels, TooSmall, Undecodable
from core.imaging.id_documents.verdict import ProcessedDocument, ReadField, Side
from core.imaging.processing import Verdict

_MIN_SIZE = (600, 379)
"""As wide as the card has to be, in its proportions."""


def process_document(data: bytes, expected: Side) -> ProcessedDocument:
    from core.imaging.id_documents.review import review

    try:
        return review(data, expected)
    except TooManyPixels as error:
        return ProcessedDocument(
            Verdict.TOO_MANY_PIXELS,
            width=error.width,
            height=error.height,
            most=error.most // MEGAPIXEL,
        )
    except TooSmall as error:
        return ProcessedDocument(
            Verdict.TOO_SMALL, width=error.width, height=error.height, least=_MIN_SIZE
        )
    except Undecodable:
        return ProcessedDocument(Verdict.UNREADABLE)


def can_read() -> bool:
    """Whether the extra `ocr` is installed; asks without importing it."""
    return all(find_spec(name) for name in ("rapidocr", "onnxruntime"))


def read_document(card: bytes, side: Side, today: date) -> list[ReadField]:
    """`card` is what `process_document` made. Needs the extra `ocr`."""
    from core.imaging.id_documents.reading import read

    return read(card, side, today)
