"""Decodes untrusted pictures, and encodes pictures without metadata.

Runs only in a worker process of the isolated pool: a hostile file may make a decoder crash, hang
or exhaust memory.
"""

import contextlib
import fcntl
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageCms

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
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Undecodable(Exception):
    """Not a picture, corrupt, or of an unsupported format."""


class TooSmall(Exception):
    """Too small or too narrow to be analysed."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.width, self.height = width, height


class TooManyPixels(Exception):
    """Exceeds the limit of its format; it was not decoded."""

    def __init__(self, width: int, height: int, most: int) -> None:
        super().__init__(width, height)
        self.width, self.height, self.most = width, height, most


@dataclass(frozen=True, slots=True)
class Decoded:
    """`picture` is upright, sRGB and without metadata, scaled by `fraction`; `width` and `height` are
    those of the file."""

    picture: Image.Image
    width: int
    height: int
    fraction: float
    format: str


def decode(data: bytes, short_edge: int) -> Decoded:
    """Decodes at reduced size: the short edge stays at least `short_edge` pixels if it was, unless
    the picture is very long; the area is at most six squares of that edge.

    Raises `Undecodable`, `TooManyPixels`, or `TooSmall` if the picture is too narrow.
    """
    try:
        return _decode(data, short_edge)
    except (TooManyPixels, TooSmall, MemoryError):
        raise
    except Exception as error:
        # The libraries raise arbitrary exceptions for corrupt files.
        raise Undecodable from error


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
            opened.load()
            picture = _reduced(_in_basic_mode(opened), short_edge)
        orientation = _orientation(opened)
        profile = opened.info.get("icc_profile")
    picture = _flattened(picture)
    if isinstance(profile, bytes):
        picture = _in_srgb(picture, profile)
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
        width, height = (height, width) if orientation > 4 else (width, height)
    return Decoded(picture, width, height, picture.width / width, kind)


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
    """Converts to L, LA, RGB or RGBA."""
    if opened.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in opened.info:
        return opened
    transparent = "A" in opened.getbands() or "transparency" in opened.info
    return opened.convert("RGBA" if transparent else "RGB")


def _reduced(picture: Image.Image, short_edge: int) -> Image.Image:
    area = picture.width * picture.height / (_MAX_SHORT_EDGES_SQUARED * short_edge**2)
    factor = max(min(picture.size) // short_edge, math.ceil(math.sqrt(area)))
    return picture.reduce(factor) if factor > 1 else picture


def _orientation(opened: Image.Image) -> int:
    try:
        found = opened.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        # Unreadable EXIF data is ignored.
        return 1
    return found if isinstance(found, int) else 1


def _flattened(picture: Image.Image) -> Image.Image:
    """Composites on white in a new image, which carries no metadata of the file."""
    canvas = Image.new("RGB", picture.size, "white")
    mask = picture.getchannel("A") if "A" in picture.getbands() else None
    canvas.paste(picture.convert("RGB"), mask=mask)
    return canvas


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Converts from the embedded profile (phones use Display P3); an invalid profile is ignored."""
    if len(profile) > _MAX_PROFILE_BYTES or b"sRGB" in profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return picture if converted is None else converted
