"""Processing of portraits and ID documents, in isolated worker processes.

Importing this package loads neither OpenCV nor a model; the `process_…` functions do.
"""

from core.imaging.checks import ImageCheck, Unit
from core.imaging.decoding import MAX_MEGAPIXELS
from core.imaging.format_advice import FORMAT_ADVICE, FORMAT_NAMES
from core.imaging.formats import FileFormat
from core.imaging.id_documents import MIN_SIZE as ID_DOCUMENT_MIN_SIZE
from core.imaging.id_documents import can_read, process_document, read_document
from core.imaging.id_documents.advice import DOCUMENT_CHECK_NAMES, document_advice
from core.imaging.id_documents.verdict import (
    CardPart,
    DocumentCheck,
    DocumentCheckCode,
    OtherCard,
    OtherSide,
    Point,
    ProcessedDocument,
    ReadDocument,
    ReadField,
    Side,
)
from core.imaging.portraits import MIN_SIZE as PORTRAIT_MIN_SIZE
from core.imaging.portraits import has_landmarks, process_portrait
from core.imaging.portraits.advice import PORTRAIT_CHECK_NAMES, portrait_advice
from core.imaging.portraits.overlay import draw_overlay
from core.imaging.portraits.verdict import Check, CheckCode, Geometry, ProcessedPortrait
from core.imaging.processing import Verdict

__all__ = [
    "DOCUMENT_CHECK_NAMES",
    "FORMAT_ADVICE",
    "FORMAT_NAMES",
    "ID_DOCUMENT_MIN_SIZE",
    "MAX_MEGAPIXELS",
    "PORTRAIT_CHECK_NAMES",
    "PORTRAIT_MIN_SIZE",
    "CardPart",
    "Check",
    "CheckCode",
    "DocumentCheck",
    "DocumentCheckCode",
    "FileFormat",
    "Geometry",
    "ImageCheck",
    "OtherCard",
    "OtherSide",
    "Point",
    "ProcessedDocument",
    "ProcessedPortrait",
    "ReadDocument",
    "ReadField",
    "Side",
    "Unit",
    "Verdict",
    "can_read",
    "document_advice",
    "draw_overlay",
    "has_landmarks",
    "portrait_advice",
    "process_document",
    "process_portrait",
    "read_document",
]
