"""Both sides of the resident ID card (身份证): detects, rectifies, reviews and reads the card.

    verdict.py                                 the checks and their limits, the fields read
    review.py                                  the steps in order
    outlines, straight_lines, edges, fitting   from the photograph to four corners
    cards, sides                               which outline is an ID card, which side, which way up
    surface, layout, examination               what is printed where: an ID card, or another one
    covered.py                                 which printed part is hidden
    quality.py                                 focus, reflections, light and colour
    ocr, names, titles, reading                the fields, with the optional extra `ocr`

All of it runs in a worker process. The server imports only this file and `verdict`, so that it
never loads OpenCV or the models.
"""

from datetime import date
from importlib.util import find_spec

from core.imaging.decoding import NotDecoded
from core.imaging.id_documents.verdict import ProcessedDocument, ReadDocument, Side

MIN_SIZE = (600, 379)
"""The minimum width of the card (`LIMITS`), and the height in its proportions."""


def process_document(data: bytes, expected: Side) -> ProcessedDocument:
    from core.imaging.id_documents.review import review

    try:
        return review(data, expected)
    except NotDecoded as error:
        return ProcessedDocument.refused(error, MIN_SIZE)


def can_read() -> bool:
    """Whether the extra `ocr` is installed, without importing it."""
    return all(find_spec(name) for name in ("rapidocr", "onnxruntime"))


def read_document(card: bytes, side: Side, today: date) -> ReadDocument:
    """`card` is the JPEG from `process_document`. Needs the extra `ocr`."""
    from core.imaging.id_documents.reading import read

    return read(card, side, today)
