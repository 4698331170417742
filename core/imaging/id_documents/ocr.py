"""OCR of a rectified card, with the optional extra `ocr` (rapidocr and its bundled models).

Runs only in a worker process of the reader's pool: the models use 400 MB.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from rapidocr import RapidOCR

_CARD_MM = 85.6


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of a line: position in mm on the card, and confidence from 0 to 1."""

    left: float
    right: float
    middle: float
    text: str = field(repr=False)
    confidence: float = 0.0


def words_on(card: bytes) -> list[Words]:
    """`card` is the JPEG from `process_document`."""
    picture = cv2.imdecode(np.frombuffer(card, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None, "our own JPEG"
    px_to_mm = _CARD_MM / picture.shape[1]
    found: Any = _reader()(picture)
    if found.boxes is None:
        return []
    return [
        Words(
            left=float(box[:, 0].min()) * px_to_mm,
            right=float(box[:, 0].max()) * px_to_mm,
            middle=float(box[:, 1].mean()) * px_to_mm,
            text=text,
            confidence=round(float(score), 3),
        )
        for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
    ]


@cache
def _reader() -> "RapidOCR":
    """One thread, and no orientation model because the card is upright. Nothing is downloaded."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
