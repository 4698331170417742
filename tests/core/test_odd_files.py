"""Decoding files of phones, scanners, editors and messengers that are not as they should be."""

import contextlib
import io
import re
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from core.imaging.decoding import Incomplete, Undecodable, Unsupported, decode
from core.imaging.format_advice import FORMAT_ADVICE, FORMAT_NAMES
from core.imaging.formats import UNKNOWN_SHARE, FileFormat, format_of, missing_share
from tests.core.odd_files import (
    ARITHMETIC_JPEG,
    drawn,
    lossless_jpeg,
    other_formats,
    png_of_16_bits,
    stored,
    with_exif_entry,
)

pillow_heif.register_heif_opener()

END = b"\xff\xd9"
_ORIENTATION, _COMMENT = 0x0112, 0x9286
ASCII, BYTE, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE = 2, 1, 3, 4, 5, 7, 12


def pixels(data: bytes, short_edge: int = 1_000) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(decode(data, short_edge).picture).astype(np.int16)


# --- without an end -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize("short_edge", [1_000, 100])
def test_a_jpeg_without_its_end_mark_opens_as_a_whole(
    options: dict[str, Any], short_edge: int
) -> None:
    whole = stored(drawn(), quality=90, **options)

    found = decode(whole[:-2], short_edge)

    assert (found.width, found.height) == (400, 600)
    assert (np.asarray(found.picture) == pixels(whole, short_edge)).all()


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("short_edge", [1_000, 100])
def test_the_last_rows_of_a_jpeg_that_are_missing_are_left_out(
    closed: bool, short_edge: int
) -> None:
    whole = stored(drawn(), quality=90)

    found = decode(whole[: -len(whole) // 60] + END * closed, short_edge)

    assert found.width == 400
    assert 570 <= found.height < 600
    assert found.picture.height == pytest.approx(found.height * found.fraction, abs=1)
    there = pixels(whole, short_edge)[: found.picture.height - 1]
    assert np.abs(np.asarray(found.picture).astype(np.int16)[:-1] - there).max() < 60


@pytest.mark.parametrize("closed", [False, True])
def test_a_jpeg_of_which_more_is_missing_is_incomplete(closed: bool) -> None:
    whole = stored(drawn(), quality=90)

    with pytest.raises(Incomplete) as refused:
        decode(whole[: len(whole) * 2 // 3] + END * closed, 100)

    assert 28 <= refused.value.missing <= 40


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_at_the_lower_edge_is_not_taken_for_missing_control(mode: str) -> None:
    picture = drawn().convert(mode)
    picture.paste(128 if mode == "L" else (128, 128, 128), (0, 380, 400, 600))

    found = decode(stored(picture, quality=90), 1_000)

    assert found.height >= 584


@pytest.mark.parametrize(("share", "opens"), [(0.75, True), (0.2, False)])
def test_a_progressive_jpeg_opens_if_only_the_last_bits_are_missing(
    share: float, opens: bool
) -> None:
    whole = stored(drawn(), quality=90, progressive=True)
    cut = whole[: int(len(whole) * share)]

    if not opens:
        with pytest.raises(Incomplete):
            decode(cut, 100)
        return
    found = decode(cut, 1_000)
    assert (found.width, found.height) == (400, 600)
    assert np.abs(np.asarray(found.picture).astype(np.int16) - pixels(whole)).mean() < 3


@pytest.mark.parametrize("end", [b"", END])
def test_a_progressive_jpeg_cut_after_any_scan_opens_or_is_incomplete(end: bytes) -> None:
    whole = stored(drawn(), quality=90, progressive=True)
    scans = [at.start() for at in re.finditer(rb"\xff\xda", whole)]
    apart = []

    for start in scans[1:]:
        with contextlib.suppress(Incomplete):
            apart.append(np.abs(pixels(whole[:start] + end) - pixels(whole)).mean())

    assert 0 < len(apart) < len(scans) - 3
    assert max(apart) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_what_is_cut_off_is_called_incomplete(kind: str, share: float) -> None:
    whole = stored(drawn(), kind)

    with pytest.raises(Incomplete) as refused:
        decode(whole[: max(16, int(len(whole) * share))], 100)

    if kind in ("WEBP", "HEIF") and share > 0.1:
        assert refused.value.missing == pytest.approx(100 * (1 - share), abs=3)
    assert missing_share(whole) is None


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"\xff\xd8", UNKNOWN_SHARE),
        (b"\x89PNG", UNKNOWN_SHARE),
        (b"RIFF", 67),
        (bytes(5_000), UNKNOWN_SHARE),
        (b"\xff\xd8\xff\xe1\xff\xff" + bytes(90), UNKNOWN_SHARE),
    ],
)
def test_a_beginning_is_incomplete_and_so_is_a_file_of_zeros(data: bytes, missing: int) -> None:
    with pytest.raises(Incomplete) as refused:
        decode(data, 100)

    assert refused.value.missing == missing


def test_a_corrupt_jpeg_with_an_end_is_not_called_incomplete_control() -> None:
    whole = bytearray(stored(drawn()))
    place = whole.index(b"\xff\xc4") + 5
    whole[place : place + 16] = b"\xff" * 16

    with pytest.raises(Undecodable):
        decode(bytes(whole), 100)


# --- of another format --------------------------------------------------------------------


@pytest.mark.parametrize(("came_from", "data", "format_"), other_formats())
def test_another_format_is_named(came_from: str, data: bytes, format_: FileFormat) -> None:
    with pytest.raises(Unsupported) as refused:
        decode(data, 100)

    assert refused.value.format is format_, came_from


def test_a_lossless_jpeg_is_named() -> None:
    with pytest.raises(Unsupported) as refused:
        decode(lossless_jpeg(), 100)

    assert refused.value.format is FileFormat.SPECIAL_JPEG


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_what_is_accepted_is_not_named_control(kind: str) -> None:
    assert format_of(stored(drawn(), kind)) is None
    assert decode(stored(drawn(), kind), 100).format == kind


def test_every_format_has_a_name_and_a_way_out() -> None:
    assert set(FORMAT_NAMES) == set(FORMAT_ADVICE) == set(FileFormat)
    assert len({name.zh for name in FORMAT_NAMES.values()}) == len(FileFormat)
    assert all(advice.zh.startswith("请") for advice in FORMAT_ADVICE.values())
    assert all(advice.en.startswith("please ") for advice in FORMAT_ADVICE.values())


def test_an_arithmetic_jpeg_is_decoded() -> None:
    found = decode(ARITHMETIC_JPEG, 1_000).picture

    assert found.getpixel((2, 2)) == pytest.approx((255, 0, 0), abs=8)
    assert found.getpixel((2, 20)) == pytest.approx((255, 255, 255), abs=8)


# --- orientation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        (SHORT, 1, b"\0\x06"),
        (LONG, 1, b"\0\0\0\x06"),
        (BYTE, 1, b"\x06"),
        (ASCII, 2, b"6\0"),
        (ASCII, 4, b" 6 \0"),
        (UNDEFINED, 1, b"\x06"),
        (UNDEFINED, 2, b"\0\x06"),
        (UNDEFINED, 1, b"6"),
        (SHORT, 2, b"\0\x06\0\0"),
        (SHORT, 2, b"\0\x06\0\x06"),
        (SHORT, 2, b"\0\x06\0\x08"),
        (RATIONAL, 1, struct.pack(">II", 6, 1)),
        (RATIONAL, 1, struct.pack(">II", 12, 2)),
        (DOUBLE, 1, struct.pack(">d", 6.0)),
    ],
)
def test_an_orientation_of_the_wrong_type_is_used_if_it_is_clear(
    kind: int, count: int, value: bytes
) -> None:
    data = with_exif_entry(stored(drawn()), _ORIENTATION, kind, count, value)

    found = decode(data, 1_000)

    assert (found.width, found.height) == (600, 400)


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        (SHORT, 1, b"\0\x09"),
        (SHORT, 1, b"\0\0"),
        (ASCII, 6, b"right\0"),
        (ASCII, 3, b"66\0"),
        (RATIONAL, 1, struct.pack(">II", 13, 2)),
        (RATIONAL, 1, struct.pack(">II", 6, 0)),
        (DOUBLE, 1, struct.pack(">d", float("nan"))),
        (UNDEFINED, 4, b"\x01\x06\x03\x08"),
        (99, 1, b"\0\x06"),
    ],
)
def test_an_orientation_that_is_not_clear_is_ignored(kind: int, count: int, value: bytes) -> None:
    data = with_exif_entry(stored(drawn()), _ORIENTATION, kind, count, value)

    found = decode(data, 1_000)

    assert (found.width, found.height) == (400, 600)


# --- pixels -------------------------------------------------------------------------------


def _ramp(*channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """A grey ramp from black to white; a channel of alpha is opaque."""
    levels = np.linspace(0, 65_535, 256).astype(np.uint16)
    grey = np.tile(levels[None, :, None], (256, 1, channels[0]))
    opaque = np.full((256, 256, channels[1]), 65_535, np.uint16)
    return np.concatenate([grey, opaque], axis=2)


@pytest.mark.parametrize("channels", [(1, 0), (1, 1), (3, 0), (3, 1)])
def test_16_bits_become_the_same_shades_of_8(channels: tuple[int, int]) -> None:
    found = pixels(png_of_16_bits(_ramp(*channels)))

    assert np.abs(found - np.arange(256)[None, :, None]).max() <= 1


def test_transparency_of_every_kind_becomes_white() -> None:
    half = Image.new("L", (64, 64), 255)
    half.paste(0, (0, 0, 32, 64))
    colour, grey = Image.new("RGB", (64, 64), "blue"), Image.new("L", (64, 64), 40)
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(0, (0, 0, 32, 64))
    for picture in (colour, grey):
        picture.putalpha(half)

    found = {
        "RGBA": pixels(stored(colour, "PNG")),
        "LA": pixels(stored(grey, "PNG")),
        "P": pixels(stored(palette, "PNG", transparency=0)),
        "P, by alpha": pixels(stored(palette, "PNG", transparency=b"\0\xff")),
        "WebP": pixels(stored(colour, "WEBP", lossless=True)),
    }

    for mode, picture_found in found.items():
        assert picture_found[30, 10].tolist() == [255, 255, 255], mode
        shade = [40, 40, 40] if mode == "LA" else [0, 0, 255]
        assert picture_found[30, 50].tolist() == shade, mode


def test_one_bit_and_shades_of_a_palette_keep_their_values() -> None:
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))

    assert (pixels(stored(ramp.convert("P"), "PNG"))[5, :, 0] == np.arange(256)).all()
    bits = pixels(stored(ramp.point(lambda value: 255 * (value > 99)).convert("1"), "PNG"))
    assert (bits[5, :, 0] == 255 * (np.arange(256) > 99)).all()


def test_inks_are_converted_as_their_profile_says_and_plainly_without_one() -> None:
    inks = Image.new("CMYK", (64, 64), (0, 255, 255, 0))

    assert pixels(stored(inks, quality=95))[9, 9] == pytest.approx((255, 0, 0), abs=3)
    for profile in (b"nonsense", ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()):
        found = pixels(stored(inks, quality=95, icc_profile=profile))
        assert found[9, 9] == pytest.approx((255, 0, 0), abs=3)


def test_ycck_of_editors_is_not_a_negative() -> None:
    """Photoshop stores inks inverted; marked as transformed, they are colours like those of YCbCr."""
    for stored_as, seen in (((255, 127, 127, 0), (255, 255, 255)), ((76, 84, 255, 0), (255, 0, 0))):
        plain = stored(Image.new("CMYK", (64, 64), stored_as), quality=95, subsampling=0)
        transform = plain.index(b"Adobe") + 11
        marked = plain[:transform] + b"\x02" + plain[transform + 1 :]

        assert pixels(marked)[9, 9] == pytest.approx(seen, abs=4)


# --- containers ---------------------------------------------------------------------------


def test_of_several_pictures_the_first_is_taken() -> None:
    first, other = drawn(), Image.new("RGB", (300, 300), "green")
    files = {
        "JPEG": stored(first, "MPO", save_all=True, append_images=[other]),
        "HEIF": stored(first, "HEIF", save_all=True, append_images=[other], primary_index=0),
        "WEBP": stored(first, "WEBP", save_all=True, append_images=[drawn()], lossless=True),
        "PNG": stored(first, "PNG", save_all=True, append_images=[drawn()]),
    }

    for kind, data in files.items():
        found = decode(data, 1_000)
        assert (found.format, found.width, found.height) == (kind, 400, 600)
        apart = np.abs(np.asarray(found.picture).astype(np.int16) - np.asarray(first)).mean()
        assert apart < 6, kind


def test_the_primary_picture_of_a_heic_is_taken_wherever_it_lies() -> None:
    data = stored(
        Image.new("RGB", (300, 300), "green"),
        "HEIF",
        save_all=True,
        append_images=[drawn()],
        primary_index=1,
    )

    assert (decode(data, 1_000).width, decode(data, 1_000).height) == (400, 600)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_heic_is_rotated_once(orientation: int) -> None:
    """Phones write the rotation as `irot`, and in the EXIF data besides."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    lying = drawn()
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(stored(lying, "PNG", exif=exif))))

    found = decode(stored(lying, "HEIF", exif=exif.tobytes(), quality=95), 1_000)

    assert found.picture.size == upright.size
    apart = np.abs(np.asarray(found.picture).astype(np.int16) - np.asarray(upright)).mean()
    assert apart < 6


def test_the_thumbnail_in_the_exif_data_is_not_taken_for_the_picture() -> None:
    thumbnail = stored(Image.new("RGB", (160, 120), "green"))
    segment = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    plain = stored(drawn())
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]

    assert (pixels(data) == pixels(plain)).all()
    assert (pixels(data[:-2]) == pixels(plain)).all()
    with pytest.raises(Incomplete):
        decode(data[: len(segment) + 200], 100)


@pytest.mark.parametrize("cut", [False, True])
def test_large_comments_are_skipped(cut: bool) -> None:
    comments = (b"\xff\xfe\xff\xff" + b"\xff\xd8\xff\xda" * 16_383 + b"\0") * 20
    plain = stored(drawn())
    data = plain[:2] + (b"\xff\xfe\xff\xff" + b"no picture " * 5_957 + b"\0" * 6) * 20 + plain[2:]

    assert (pixels(data[:-2] if cut else data) == pixels(plain)).all()
    with pytest.raises(Undecodable):
        decode(plain[:2] + comments + plain[2:], 100)


def test_bytes_behind_the_end_change_nothing() -> None:
    """Motion photos carry a film behind the picture."""
    plain = stored(drawn())

    assert (pixels(plain + b"\0\0\0\x18ftypmp42" + bytes(500)) == pixels(plain)).all()


@pytest.mark.parametrize(
    "comment", [b"ASCII\0\0\0Screenshot", b"UNICODE\0" + "截屏".encode("utf-16")]
)
def test_tells_what_the_exif_data_claim(comment: bytes) -> None:
    camera, screen = Image.Exif(), Image.Exif()
    camera[0x010F] = "a phone"
    screen.get_ifd(0x8769)[_COMMENT] = comment

    by_camera = decode(stored(drawn(), exif=camera), 100)
    by_screen = decode(stored(drawn(), exif=screen), 100)
    by_neither = decode(stored(drawn()), 100)

    assert (by_camera.names_camera, by_camera.names_screenshot) == (True, False)
    assert (by_screen.names_camera, by_screen.names_screenshot) == (False, True)
    assert (by_neither.names_camera, by_neither.names_screenshot) == (False, False)
