"""Decodes untrusted pictures, and encodes pictures without metadata.

Runs only in a worker process of the isolated pool: a hostile file may make a decoder crash, hang
or exhaust memory.
"""

import contextlib
import fcntl
import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageCms, ImageFile

from core.imaging.formats import (
    UNKNOWN_SHARE,
    FileFormat,
    format_of,
    lacks_detail,
    missing_share,
)
from core.kernel import memory

# Pillow's own limit raises an error without the size; `_MAX_PIXELS` replaces it.
Image.MAX_IMAGE_PIXELS = None

DPI = 350
MEGAPIXEL = 1_000_000
# JPEG is decoded at reduced size; the others need 7 (HEIF), 10 (PNG) or 16 (WebP) bytes per pixel,
# progressive JPEG 6. Phones take HEIF pictures of 24 megapixels; their PNG and WebP files are
# screenshots.
_MAX_PIXELS = {
    "JPEG": 64 * MEGAPIXEL,
    "HEIF": 25 * MEGAPIXEL,
    "PNG": 16 * MEGAPIXEL,
    "WEBP": 10 * MEGAPIXEL,
}
MAX_MEGAPIXELS = {f"image/{kind.lower()}": most // MEGAPIXEL for kind, most in _MAX_PIXELS.items()}
"""By media type. Of a progressive JPEG less is accepted: `_MAX_PIXELS_PROGRESSIVE`."""
_MAX_PIXELS_PROGRESSIVE = 25 * MEGAPIXEL
_MAX_ASPECT_RATIO = 5
_MAX_SHORT_EDGES_SQUARED = 6
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
_MAX_PROFILE_BYTES = 1_000_000
# Each scan of a progressive JPEG decodes the whole picture again; cameras write about ten.
_SCAN = b"\xff\xda"
_MAX_SCANS = 100
_JPEG_END = b"\xff\xd9"
# What libjpeg writes where the coded data ended too early.
_FILLED_IN = 128
_EIGHT_OF_SIXTEEN_BITS = 1 / 257
# The decoder's step, which is lost where only the end mark is missing.
_BLOCK_ROWS = 16
# Of the rows: a photograph without them is one taken a little higher.
_MAX_MISSING = 0.05
_CAMERA_TAGS = (ExifTags.Base.Make, ExifTags.Base.Model)
_CAMERA_SETTINGS = (ExifTags.Base.ExposureTime, ExifTags.Base.FNumber)
_NOTES = (ExifTags.Base.ImageDescription, ExifTags.Base.Software)
_DIGITS = tuple(b"%d" % turn for turn in range(1, 9))
_SCREENSHOT_WORDS = ("screenshot", "screen shot", "截屏", "截图")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NotDecoded(Exception):
    """Why a file was not decoded."""


class Undecodable(NotDecoded):
    """Not a picture, corrupt, or of an unsupported format."""


class Unsupported(NotDecoded):
    """A file of a format that is not accepted; it was not decoded."""

    def __init__(self, format_: FileFormat) -> None:
        super().__init__(format_)
        self.format = format_


class Incomplete(NotDecoded):
    """A picture whose end is missing: `missing` percent, or `UNKNOWN_SHARE`."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class TooSmall(NotDecoded):
    """Too small or too narrow to be analysed."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.width, self.height = width, height


class TooManyPixels(NotDecoded):
    """Exceeds the limit of its format; it was not decoded."""

    def __init__(self, width: int, height: int, most: int) -> None:
        super().__init__(width, height)
        self.width, self.height, self.most = width, height, most


@dataclass(frozen=True, slots=True)
class Decoded:
    """`picture` is upright, sRGB and without metadata, scaled by `fraction`; `width` and `height` are
    those of the file.

    `names_camera` and `names_screenshot` are what its EXIF data claim.
    """

    picture: Image.Image
    width: int
    height: int
    fraction: float
    format: str
    names_camera: bool = False
    names_screenshot: bool = False


def decode(data: bytes, short_edge: int) -> Decoded:
    """Decodes at reduced size: the short edge stays at least `short_edge` pixels if it was, unless
    the picture is very long; the area is at most six squares of that edge.

    Raises `Undecodable`, `Unsupported`, `Incomplete`, `TooManyPixels`, or `TooSmall` if the picture
    is too narrow.
    """
    try:
        return _decode(data, short_edge)
    except (NotDecoded, MemoryError):
        raise
    except Exception as error:
        # The libraries raise arbitrary exceptions for corrupt files.
        raise _reason(data) from error


def _reason(data: bytes) -> NotDecoded:
    if (format_ := format_of(data)) is not None:
        return Unsupported(format_)
    if (missing := missing_share(data)) is not None:
        return Incomplete(missing)
    return Undecodable()


def encode(picture: Image.Image, quality: int, subsampling: int = 2) -> bytes:
    """`subsampling` as in Pillow: 2 is 4:2:0, 0 is 4:4:4."""
    buffer = io.BytesIO()
    picture.save(
        buffer, "JPEG", quality=quality, subsampling=subsampling, dpi=(DPI, DPI), optimize=True
    )
    return buffer.getvalue()


def _decode(data: bytes, short_edge: int) -> Decoded:
    _accept_heif()
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        kind = "JPEG" if opened.format == "MPO" else opened.format or ""
        width, height = opened.size
        most = _most_pixels(opened, kind)
        _check_size(opened, most)
        if kind == "JPEG" and data.count(_SCAN) > _MAX_SCANS:
            raise Undecodable
        opened.draft("RGB", (short_edge, short_edge))
        with _exclusive(4 * opened.width * opened.height > most):
            loaded = _loaded_jpeg(opened, data, short_edge) if kind == "JPEG" else opened
            loaded.load()
            if loaded.height < opened.height:
                height = height * loaded.height // opened.height
            picture = _reduced(_in_basic_mode(loaded), short_edge)
        exif = _exif(opened)
        profile = opened.info.get("icc_profile")
    picture = _in_srgb(picture, profile if isinstance(profile, bytes) else b"")
    orientation = _orientation(exif)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
        width, height = (height, width) if orientation > 4 else (width, height)
    return Decoded(
        picture,
        width,
        height,
        picture.width / width,
        kind,
        _names_camera(exif),
        _names_screenshot(exif),
    )


def _loaded_jpeg(opened: ImageFile.ImageFile, data: bytes, short_edge: int) -> Image.Image:
    """The rows that a JPEG has. Raises `Incomplete` if more than a few are missing.

    What cut the file off may have closed it with an end mark: libjpeg then fills in the rows that are
    missing, without an error.
    """
    try:
        opened.load()
    except OSError:
        return _without_missing_rows(opened, data, short_edge)
    if opened.info.get("progressive") and lacks_detail(data):
        raise Incomplete(UNKNOWN_SHARE)
    if not _is_filled_in(opened, opened.width, 1):
        return opened
    unclosed = data[: data.rfind(_JPEG_END)]
    opened = Image.open(io.BytesIO(unclosed), formats=("JPEG",))
    opened.draft("RGB", (short_edge, short_edge))
    with contextlib.suppress(OSError):
        opened.load()
    return _without_missing_rows(opened, unclosed, short_edge)


def _without_missing_rows(opened: ImageFile.ImageFile, data: bytes, short_edge: int) -> Image.Image:
    """`opened` failed to load: Pillow leaves the rows black that it did not come to.

    Raises `OSError` if an end mark does not help.
    """
    closed = Image.open(io.BytesIO(data + _JPEG_END), formats=("JPEG",))
    height = closed.height
    closed.draft("RGB", (short_edge, short_edge))
    closed.load()
    if closed.info.get("progressive"):
        if lacks_detail(data):
            raise Incomplete(UNKNOWN_SHARE)
        return closed
    opened.tile = []
    there = opened.getbbox()
    if there is None:
        raise Incomplete(UNKNOWN_SHARE)
    rows = there[3]
    missing = opened.height - rows
    block = math.ceil(_BLOCK_ROWS * opened.height / height)
    if missing <= block and not _is_filled_in(closed, block // 2, block // 2):
        return closed
    if missing > max(block, _MAX_MISSING * opened.height):
        raise Incomplete(max(1, round(100 * missing / opened.height)))
    return opened.crop((0, 0, opened.width, rows))


def _is_filled_in(picture: Image.Image, columns: int, rows: int) -> bool:
    """Looks at the lower right corner."""
    width, height = picture.size
    corner = picture.crop((max(0, width - columns), max(0, height - rows), width, height))
    return set(corner.tobytes()) == {_FILLED_IN}


def _accept_heif() -> None:
    import pi_heif

    pi_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
    )


def _most_pixels(opened: Image.Image, kind: str) -> int:
    """A progressive JPEG keeps all coefficients in memory, also when decoded at reduced size."""
    if opened.info.get("progressive"):
        return _MAX_PIXELS_PROGRESSIVE
    return _MAX_PIXELS[kind]


def _check_size(opened: Image.Image, most: int) -> None:
    if opened.width * opened.height > most:
        raise TooManyPixels(opened.width, opened.height, most)
    if max(opened.size) > _MAX_ASPECT_RATIO * min(opened.size):
        raise TooSmall(*opened.size)


@contextlib.contextmanager
def _exclusive(is_large: bool) -> Iterator[None]:
    """Lets only one worker of the machine at a time decode a large picture.

    The lock is on this source file, because workers cannot write files. It is released if the
    worker dies.
    """
    if not is_large:
        yield
        return
    with open(__file__, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        memory.release()
        yield


def _in_basic_mode(opened: Image.Image) -> Image.Image:
    """Converts to L, LA, RGB, RGBA or CMYK."""
    if opened.mode.startswith("I;16"):
        return opened.point(lambda value: value * _EIGHT_OF_SIXTEEN_BITS).convert("L")
    basic = ("L", "LA", "RGB", "RGBA", "CMYK")
    if opened.mode in basic and "transparency" not in opened.info:
        return opened
    transparent = "A" in opened.getbands() or "transparency" in opened.info
    return opened.convert("RGBA" if transparent else "RGB")


def _reduced(picture: Image.Image, short_edge: int) -> Image.Image:
    area = picture.width * picture.height / (_MAX_SHORT_EDGES_SQUARED * short_edge**2)
    factor = max(min(picture.size) // short_edge, math.ceil(math.sqrt(area)))
    return picture.reduce(factor) if factor > 1 else picture


def _exif(opened: Image.Image) -> dict[int, object]:
    """What is used of the EXIF data. Unreadable entries are left out."""
    found: dict[int, object] = {}
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        exif = opened.getexif()
        for tag in (ExifTags.Base.Orientation, *_CAMERA_TAGS, *_NOTES):
            with contextlib.suppress(Exception):
                found[tag] = exif.get(tag)
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        found |= {tag: inner.get(tag) for tag in (*_CAMERA_SETTINGS, ExifTags.Base.UserComment)}
    return found


def _orientation(exif: dict[int, object]) -> int:
    """1 unless exactly one orientation can be meant: software writes it in types that it must not have."""
    meant = set(_orientations(exif.get(ExifTags.Base.Orientation)))
    return meant.pop() if len(meant) == 1 else 1


def _orientations(value: object) -> Iterator[int]:
    if isinstance(value, str | bytes):
        text = value.encode("utf-8", "replace") if isinstance(value, str) else value
        digits = text.strip(b"\0 ")
        yield from [int(digits)] if digits in _DIGITS else [byte for byte in text if 1 <= byte <= 8]
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _orientations(part)
    else:
        yield from (turn for turn in range(1, 9) if value == turn)


def _names_camera(exif: dict[int, object]) -> bool:
    return any(exif.get(tag) for tag in (*_CAMERA_TAGS, *_CAMERA_SETTINGS))


def _names_screenshot(exif: dict[int, object]) -> bool:
    comment = exif.get(ExifTags.Base.UserComment)
    notes = [exif.get(tag) for tag in _NOTES]
    if isinstance(comment, bytes):
        notes += [comment.decode("utf-8", "ignore"), comment[8:].decode("utf-16", "ignore")]
    notes.append(comment)
    texts = [note.lower() for note in notes if isinstance(note, str)]
    return any(word in text for text in texts for word in _SCREENSHOT_WORDS)


def _flattened(picture: Image.Image) -> Image.Image:
    """Composites on white in a new image, which carries no metadata of the file."""
    canvas = Image.new("RGB", picture.size, "white")
    mask = picture.getchannel("A") if "A" in picture.getbands() else None
    canvas.paste(picture.convert("RGB"), mask=mask)
    return canvas


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Converts from the embedded profile (phones use Display P3); an invalid profile is ignored."""
    if not profile or len(profile) > _MAX_PROFILE_BYTES or b"sRGB" in profile:
        return _flattened(picture)
    # Only inks have a profile of their own kind: the others are flattened to RGB first.
    flat = picture if picture.mode == "CMYK" else _flattened(picture)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(flat, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return _flattened(picture)
    return _flattened(picture if converted is None else converted)
