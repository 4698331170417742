"""Taking a picture in: processed apart from the server, then kept sealed, or refused with the reason."""

from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import (
    FileTooLarge,
    ImageTooLarge,
    ImageTooSmall,
    NotLandscape,
    Refusal,
    TryAgainLater,
    UnreadableImage,
)
from core.objects import ObjectsUnavailable
from core.processing import Processed, Verdict
from core.studio import PictureTrouble, StudioBusy
from core.unit import Errand

_BUSY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class KeptPicture:
    object_name: str = field(repr=False)
    size: int


async def keep(
    errand: Errand, data: bytes, work: Callable[..., Processed], *options: int
) -> KeptPicture:
    citizen_id = errand.citizen_id
    most = errand.tools.settings.max_upload_bytes
    if len(data) > most:
        raise FileTooLarge(field="file", most=most // 1_048_576)
    try:
        processed = await errand.tools.studio.run(work, data, *options)
    except PictureTrouble as error:
        raise UnreadableImage(field="file") from error
    except StudioBusy as error:
        raise TryAgainLater(wait=_BUSY_SECONDS, retry_after=_BUSY_SECONDS) from error
    if processed.verdict is not Verdict.ACCEPTED:
        raise _refusal(processed)
    try:
        name = await errand.tools.objects.put(processed.data, citizen_id, errand.now)
    except ObjectsUnavailable as error:
        raise TryAgainLater(wait=_BUSY_SECONDS, retry_after=_BUSY_SECONDS) from error
    return KeptPicture(name, len(processed.data))


def _refusal(processed: Processed) -> Refusal:
    if processed.verdict is Verdict.NOT_LANDSCAPE:
        return NotLandscape(field="file")
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
    return UnreadableImage(field="file")
