"""Decoding: the picture formats of phones, hostile files, and no metadata in the result."""

import fcntl
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw

from core.imaging import decoding
from core.imaging.decoding import MEGAPIXEL, TooManyPixels, TooSmall, Undecodable, decode, encode
from tests.portraits.scenes import UNDO

pillow_heif.register_heif_opener()


def drawn(width: int = 300, height: int = 400) -> Image.Image:
    """A picture with a red upper left corner."""
    picture = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(picture).rectangle((0, 0, width // 3, height // 3), fill="red")
    return picture


def stored(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def is_red(picture: Image.Image, x: int, y: int) -> bool:
    red, green, blue = picture.getpixel((x, y))  # type: ignore[misc]
    return bool(red > 200 and green < 60 and blue < 60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_decodes_the_formats_of_phones(kind: str) -> None:
    found = decode(stored(drawn(), kind), 100)

    assert (found.format, found.width, found.height) == (kind, 300, 400)
    assert found.picture.mode == "RGB"
    assert is_red(found.picture, 2, 2)
    assert not is_red(found.picture, found.picture.width - 2, 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_every_orientation_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = drawn().transpose(UNDO[orientation]) if orientation in UNDO else drawn()

    found = decode(stored(lying, kind, exif=exif), 1000)

    assert (found.width, found.height) == found.picture.size == (300, 400)
    assert is_red(found.picture, 5, 5)
    assert not any(is_red(found.picture, x, y) for x, y in ((294, 5), (5, 394), (294, 394)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_decodes_other_pixel_modes(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = (
        Image.new("I;16", (90, 120), 65535) if mode == "I;16" else drawn(90, 120).convert(mode)
    )

    found = decode(stored(picture, kind), 60).picture

    assert (found.mode, found.size) == ("RGB", (90, 120))
    assert min(found.getpixel((80, 110))) > 240  # type: ignore[arg-type]


def test_composites_transparency_on_white() -> None:
    found = decode(stored(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG"), 64)

    assert found.picture.getpixel((9, 9)) == (255, 255, 255)


def test_decodes_at_reduced_size() -> None:
    found = decode(stored(drawn(3000, 4000)), 1200)

    assert found.picture.size == (1500, 2000)
    assert (found.width, found.height, found.fraction) == (3000, 4000, 0.5)
    assert decode(stored(drawn(3000, 4000), "PNG"), 1200).picture.size == (1500, 2000)


def test_converts_wide_colours_to_srgb_and_ignores_invalid_profiles() -> None:
    red_of_lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

    for profile in (red_of_lab, b"nonsense", b"", bytes(500)):
        found = decode(stored(drawn(), icc_profile=profile), 100)
        assert is_red(found.picture, 5, 5)
        assert "icc_profile" not in found.picture.info


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x7fELF", b"<!-- nothing -->", b"PICT" * 99]
)
def test_refuses_files_that_are_not_pictures(data: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(data, 100)


def bomb(width: int, height: int) -> bytes:
    """A decompression bomb: a PNG of a few kilobytes with any number of black pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = zlib.compressobj(9)
    row = bytes(1 + width * 3)
    packed = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def test_refuses_decompression_bombs() -> None:
    with pytest.raises(TooManyPixels) as refused:
        decode(bomb(4_001, 4_000), 100)

    assert (refused.value.width, refused.value.most) == (4_001, 16 * MEGAPIXEL)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_long_and_narrow_is_refused_unopened_or_reduced(kind: str) -> None:
    with pytest.raises(TooSmall):
        decode(stored(drawn(600, 3_001), kind), 100)

    assert decode(stored(drawn(1_990, 7_000), kind), 1_000).picture.size == (995, 3_500)


@pytest.mark.parametrize(("progressive", "taken"), [(False, True), (True, False)])
def test_a_progressive_jpeg_must_be_smaller(progressive: bool, taken: bool) -> None:
    data = stored(Image.new("L", (5_001, 5_000)), progressive=progressive)

    if taken:
        assert min(decode(data, 600).picture.size) == 625
        return
    with pytest.raises(TooManyPixels):
        decode(data, 600)


def test_large_pictures_are_decoded_one_at_a_time() -> None:
    large, small = stored(Image.new("L", (3_000, 3_000)), "PNG"), stored(drawn(), "PNG")

    with ThreadPoolExecutor(2) as threads, open(decoding.__file__, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threads.submit(decode, large, 100)
        assert threads.submit(decode, small, 100).result(10).width == 300
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        fcntl.flock(file, fcntl.LOCK_UN)
        assert waiting.result(10).width == 3_000


def test_keeps_no_metadata_and_no_trailing_bytes() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a phone"
    data = stored(drawn(), exif=exif, comment=b"at home") + b"<?php trailing ?>"

    kept = encode(decode(data, 100).picture, 80)

    again = Image.open(io.BytesIO(kept))
    assert set(again.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
    assert b"phone" not in kept
    assert b"home" not in kept
    assert kept.endswith(b"\xff\xd9")
    assert b"trailing" not in kept
