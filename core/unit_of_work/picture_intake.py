"""Picture intake: processes an upload in the isolated pool, then stores it encrypted, or refuses it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from core.imaging import FORMAT_ADVICE, FORMAT_NAMES, FileFormat, Verdict
from core.isolation import PoolBusy, ProcessingFailed
from core.kernel.refusals import (
    FileEmpty,
    FileTooLarge,
    ImageFormatUnsupported,
    ImageIncomplete,
    ImageTooLarge,
    ImageTooSmall,
    Refusal,
    TryAgainLater,
    UnreadableImage,
)
from core.kernel.texts import Text
from core.storage import ObjectsUnavailable
from core.unit_of_work.unit import Preparation

_BUSY_SECONDS = 10


class Reviewed(Protocol):
    """The result of processing a picture; see `core/imaging/processing.py`."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def least(self) -> tuple[int, int]: ...
    @property
    def most(self) -> int: ...
    @property
    def format(self) -> FileFormat | None: ...
    @property
    def missing(self) -> int: ...


P = TypeVar("P", bound=Reviewed)


@dataclass(frozen=True, slots=True)
class StoredPicture:
    object_name: str = field(repr=False)
    size: int


async def process(
    preparation: Preparation, data: bytes, work: Callable[..., P], *options: object
) -> P:
    """Runs `work` on the file in the isolated pool. Refuses unreadable files and wrong dimensions."""
    _ = preparation.citizen_id
    if not data:
        raise FileEmpty(field="file")
    most = preparation.dependencies.settings.max_upload_bytes
    if len(data) > most:
        raise FileTooLarge(field="file", most=most // 1_048_576)
    try:
        processed = await preparation.dependencies.pictures_pool.run(work, data, *options)
    except ProcessingFailed as error:
        raise UnreadableImage(field="file") from error
    except PoolBusy as error:
        raise TryAgainLater(retry_after=_BUSY_SECONDS) from error
    if processed.verdict is not Verdict.ACCEPTED:
        raise _refusal(processed)
    return processed


async def store(preparation: Preparation, data: bytes) -> StoredPicture:
    try:
        name = await preparation.dependencies.objects.put(
            data, preparation.citizen_id, preparation.now
        )
    except ObjectsUnavailable as error:
        raise TryAgainLater(retry_after=_BUSY_SECONDS) from error
    return StoredPicture(name, len(data))


def _refusal(processed: Reviewed) -> Refusal:
    if processed.verdict is Verdict.TOO_SMALL:
        return ImageTooSmall(
            field="file",
            width=processed.width,
            height=processed.height,
            least_width=processed.least[0],
            least_height=processed.least[1],
        )
    if processed.verdict is Verdict.TOO_MANY_PIXELS:
        return ImageTooLarge(
            field="file", width=processed.width, height=processed.height, most=processed.most
        )
    if processed.verdict is Verdict.INCOMPLETE:
        return ImageIncomplete(field="file", missing=_missing(processed.missing))
    if processed.format is not None:
        return ImageFormatUnsupported(
            field="file",
            format=FORMAT_NAMES[processed.format],
            advice=FORMAT_ADVICE[processed.format],
        )
    return UnreadableImage(field="file")


def _missing(percent: int) -> Text:
    """Empty where it is not known."""
    return (
        Text(f"（约缺 {percent}%）", f" (about {percent}% is missing)") if percent else Text("", "")
    )
