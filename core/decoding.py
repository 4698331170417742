"""Opening a picture that a stranger sent, and writing one that carries nothing of it but pixels.

Runs in a worker of the studio only: a decoder may be made to crash, hang or grow.
"""

import io
from dataclasses import dataclass

from PIL import Image, ImageCms

# Pillow's own limit is a warning, and an error without the size; ours says what may be sent.
Image.MAX_IMAGE_PIXELS = None

DPI = 350
MEGAPIXEL = 1_000_000
# JPEG is decoded at a fraction of its size; the others come whole, 3 or 4 bytes a pixel.
_MOST_PIXELS = {"JPEG": 64 * MEGAPIXEL, "HEIF": 50 * MEGAPIXEL}
_MOST_PIXELS_WHOLE = 25 * MEGAPIXEL
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
_MOST_PROFILE_BYTES = 1_000_000
# Each scan of a progressive JPEG goes over the whole picture again; cameras write about ten.
_SCAN = b"\xff\xda"
_MOST_SCANS = 100
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
    """No picture, a broken one, or one of a kind that is not taken."""


class TooSmall(Exception):
    """So small or so narrow that nothing can be looked for in it."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.width, self.height = width, height


class TooManyPixels(Exception):
    """More than are decoded; nothing was."""

    def __init__(self, width: int, height: int, most: int) -> None:
        super().__init__(width, height)
        self.width, self.height, self.most = width, height, most


@dataclass(frozen=True, slots=True)
class Decoded:
    """`picture` is upright sRGB without metadata, `fraction` of the size that was sent."""

    picture: Image.Image
    width: int
    height: int
    fraction: float
    format: str


def decode(data: bytes, short_edge: int) -> Decoded:
    """No smaller than `short_edge` where the file is not; no larger than twice that or so.

    Raises `Undecodable` or `TooManyPixels`.
    """
    try:
        return _decode(data, short_edge)
    except (TooManyPixels, MemoryError):
        raise
    except Exception as error:
        # The libraries raise whatever a broken file makes them stumble over.
        raise Undecodable from error


def encode(picture: Image.Image, quality: int, subsampling: int = 2) -> bytes:
    """`subsampling` as libjpeg counts it: 2 is 4:2:0, 0 is 4:4:4."""
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
        _check_size(opened, kind)
        if kind == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
            raise Undecodable
        opened.draft("RGB", (short_edge, short_edge))
        opened.load()
        picture = _reduced(_plain(opened), short_edge)
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


def _check_size(opened: Image.Image, kind: str) -> None:
    """A progressive JPEG keeps every coefficient in memory, whatever the size asked for."""
    most = _MOST_PIXELS.get(kind, _MOST_PIXELS_WHOLE)
    if opened.info.get("progressive"):
        most = _MOST_PIXELS_WHOLE
    if opened.width * opened.height > most:
        raise TooManyPixels(opened.width, opened.height, most)


def _plain(opened: Image.Image) -> Image.Image:
    """Grey or colours, with or without transparency."""
    if opened.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in opened.info:
        return opened
    transparent = "A" in opened.getbands() or "transparency" in opened.info
    return opened.convert("RGBA" if transparent else "RGB")


def _reduced(picture: Image.Image, short_edge: int) -> Image.Image:
    factor = min(picture.size) // short_edge
    return picture.reduce(factor) if factor > 1 else picture


def _orientation(opened: Image.Image) -> int:
    try:
        found = opened.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        # EXIF that cannot be read says nothing about the picture.
        return 1
    return found if isinstance(found, int) else 1


def _flattened(picture: Image.Image) -> Image.Image:
    """On white, in fresh pixels: nothing that hung on the file hangs on them."""
    canvas = Image.new("RGB", picture.size, "white")
    mask = picture.getchannel("A") if "A" in picture.getbands() else None
    canvas.paste(picture.convert("RGB"), mask=mask)
    return canvas


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Phones write Display P3; a profile that makes no sense is passed over."""
    if len(profile) > _MOST_PROFILE_BYTES or b"sRGB" in profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return picture if converted is None else converted
