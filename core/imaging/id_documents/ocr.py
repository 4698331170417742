"""OCR of a rectified card, with the optional extra `ocr` (rapidocr and its bundled models).

Runs only in a worker process of the reader's pool: the models use 400 MB.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from core.imaging.id_documents.geometry import Pixels

if TYPE_CHECKING:
    from rapidocr import RapidOCR

Box = tuple[float, float, float, float]

_CARD_MM = 85.6
_MIN_PX = 8


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of a line: position in mm on the card, and confidence from 0 to 1."""

    left: float
    right: float
    middle: float
    text: str = field(repr=False)
    confidence: float = 0.0
    height: float = 4.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a place: `confidence` is that of its least certain character."""

    text: str = field(repr=False)
    confidence: float


class Sheet:
    """A card that is read: all its words, and single places again in other sizes and contrasts."""

    def __init__(self, picture: Pixels) -> None:
        """`picture` is in OpenCV's order of colours."""
        self._picture = picture
        self._px = picture.shape[1] / _CARD_MM

    @classmethod
    def of_jpeg(cls, card: bytes) -> "Sheet":
        """`card` is the JPEG from `process_document`."""
        picture = cv2.imdecode(np.frombuffer(card, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None, "our own JPEG"
        return cls(picture.astype(np.uint8))

    def turned(self) -> "Sheet":
        return Sheet(cv2.rotate(self._picture, cv2.ROTATE_180).astype(np.uint8))

    def words(self) -> list[Words]:
        found: Any = _reader()(self._picture)
        if found.boxes is None:
            return []
        mm = 1 / self._px
        return [
            Words(
                left=float(box[:, 0].min()) * mm,
                right=float(box[:, 0].max()) * mm,
                middle=float(box[:, 1].mean()) * mm,
                text=text,
                confidence=round(float(score), 3),
                height=float(np.ptp(box[:, 1])) * mm,
            )
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        ]

    def again(self, box: Box) -> list[Reading]:
        """Readings of a line, each of another cut or picture of it; what is right, all agree on."""
        left, top, right, bottom = box
        close = self._cut((left - 0.3, top - 0.2, right + 0.5, bottom + 0.2))
        wide = self._cut((left - 0.9, top - 0.7, right + 1.6, bottom + 0.7))
        small = cv2.resize(close, None, fx=0.62, fy=0.62, interpolation=cv2.INTER_AREA)
        grey = cv2.createCLAHE(2.5, (2, 8)).apply(cv2.cvtColor(close, cv2.COLOR_BGR2GRAY))
        cuts = (close, wide, small, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        return [_read(np.asarray(cut, np.uint8)) for cut in cuts]

    def _cut(self, box: Box) -> Pixels:
        height, width = self._picture.shape[:2]
        left, top, right, bottom = (round(edge * self._px) for edge in box)
        cut = self._picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        return np.ascontiguousarray(cut, np.uint8)


def _read(line: Pixels) -> Reading:
    if min(line.shape[:2]) < _MIN_PX:
        return Reading("", 0.0)
    found: Any = _reader().recognize_txt([line])
    confidences = [float(one) for one in found.word_results[0].confs or [0.0]]
    return Reading(found.txts[0], round(min(confidences), 3))


@cache
def _reader() -> "RapidOCR":
    """One thread, and no orientation model because the card is upright. Nothing is downloaded."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.return_word_box": True,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
