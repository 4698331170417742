"""A generator of hostile files, deterministic by number.

They are truncated, mutated, decompression bombs, polyglots, of other types or sizes, of maximum
length, or have malformed EXIF, colour profiles or pixels. They show a head, an ID card or nothing.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pillow_heif
from numpy.random import Generator
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from sandbox.id_cards import photograph_of
from sandbox.personas import PERSONAS
from tests.portraits import scenes

pillow_heif.register_heif_opener()

KINDS = ("JPEG", "PNG", "WEBP", "HEIF")
MARK = b"left-behind-by-the-sender"
"""A marker that must not appear in any stored data."""


def files(count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """A description and the content of each file."""
    for number in range(count):
        yield file(number, seed)


def file(number: int, seed: int = 1) -> tuple[str, bytes]:
    rng = np.random.default_rng([seed, number])
    make = MAKERS[number % len(MAKERS)]
    return make.__name__, make(rng)


def is_clean(kept: bytes) -> bool:
    """True if a JPEG has only pixels and density, no other segment and no trailing bytes."""
    picture = Image.open(io.BytesIO(kept))
    return (
        picture.format == "JPEG"
        and MARK not in kept
        and kept.endswith(b"\xff\xd9")
        and kept.count(b"\xff\xd9") == 1
        and set(picture.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
        and not any(marker in kept for marker in _METADATA)
    )


_METADATA = (b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xfe")


# --- what they are made of ----------------------------------------------------------------


@cache
def _head() -> Image.Image:
    scene = scenes.good_scene(np.random.default_rng(3))
    scene.kind, scene.orientation = "PNG", 1
    return Image.open(io.BytesIO(scenes.picture("head", scene).data)).resize((480, 640))


@cache
def _card(side: str) -> Image.Image:
    """The persona `no-card`'s own."""
    drawn = Image.open(io.BytesIO(photograph_of(PERSONAS["no-card"], side)))
    return drawn.convert("RGB").resize((1000, 1000 * drawn.height // drawn.width))


def _picture(rng: Generator) -> Image.Image:
    what = rng.random()
    if what < 0.25:
        return _head()
    if what < 0.4:
        return _card("PORTRAIT_SIDE" if what < 0.325 else "EMBLEM_SIDE")
    width, height = (int(edge) for edge in rng.integers(8, 500, 2))
    small = rng.integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def _stored(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def _stock(kind: str, number: int) -> bytes:
    return _stored(_picture(np.random.default_rng([9, number])), kind)


def _any(rng: Generator) -> bytes:
    return _stock(str(rng.choice(KINDS)), int(rng.integers(12)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, packed: bytes, *more: bytes, depth: int = 1, colour: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@cache
def zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1_048_576)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


# --- the files ----------------------------------------------------------------------------


def truncated(rng: Generator) -> bytes:
    whole = _any(rng)
    return whole[: int(rng.integers(0, len(whole)))]


def bits_flipped(rng: Generator) -> bytes:
    data = bytearray(_any(rng))
    for position in rng.integers(0, len(data), int(rng.integers(1, 60))):
        data[position] ^= 1 << int(rng.integers(8))
    return bytes(data)


def header_mutated(rng: Generator) -> bytes:
    data = bytearray(_any(rng))
    for position in rng.integers(4, min(len(data), 400), int(rng.integers(1, 12))):
        data[position] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
    return bytes(data)


def spliced(rng: Generator) -> bytes:
    one, other = _any(rng), _any(rng)
    return one[: int(rng.integers(1, len(one)))] + other[int(rng.integers(0, len(other))) :]


def claims_huge(rng: Generator) -> bytes:
    """A header that claims up to four billion pixels over data for few."""
    width, height = (int(2 ** rng.uniform(10, 31)) for _ in range(2))
    which = rng.integers(3)
    if which == 0:
        return png(
            width, height, zlib.compress(bytes(5000)), depth=8, colour=int(rng.choice([0, 2, 3, 6]))
        )
    data = bytearray(_stock("JPEG" if which == 1 else "WEBP", int(rng.integers(12))))
    if which == 1:
        at = data.find(b"\xff\xc0")
        struct.pack_into(">HH", data, at + 5, height % 65536, width % 65536)
    else:
        at = data.find(b"VP8 ")
        if at > 0:
            struct.pack_into("<HH", data, at + 14, width % 16384, height % 16384)
    return bytes(data)


def pixel_bomb(rng: Generator) -> bytes:
    """A decompression bomb: up to 800 megapixels of black in a few hundred kilobytes."""
    edge = int(rng.choice([6_000, 12_000, 20_000, 28_000]))
    rows = (edge * (edge // 8 + 1)) // 1_048_576 + 1
    return png(edge, edge, zeros(rows))


def as_many_pixels_as_may_be(rng: Generator) -> bytes:
    """Just below the size limit, in the encodings that take most memory."""
    return _large(int(rng.integers(6)))


@cache
def _large(which: int) -> bytes:
    edge = 3_990 if which < 3 else 3_160 if which == 3 else 4_990
    plain = Image.new("RGB", (edge, edge), (200, 180, 170))
    if which == 0:
        return _stored(plain.convert("RGBA"), "PNG")
    if which == 1:
        return _stored(plain.convert("P"), "PNG", transparency=1)
    if which == 2:
        return _stored(Image.new("I;16", plain.size, 40_000), "PNG")
    if which == 3:
        return _stored(plain, "WEBP", quality=50, method=0)
    if which == 4:
        return _stored(plain, "JPEG", progressive=True, subsampling=0)
    return _stored(plain, "HEIF")


def text_bomb(rng: Generator) -> bytes:
    """Compressed text or profile that expands a thousandfold."""
    kind, head = [
        (b"zTXt", b"Comment\0\0"),
        (b"iCCP", b"icc\0\0"),
        (b"iTXt", b"Comment\0\1\0\0\0"),
    ][int(rng.integers(3))]
    extra = chunk(kind, head + zeros(int(rng.choice([1, 16, 80]))))
    return png(64, 64, zlib.compress(bytes(64 * 9)), *([extra] * int(rng.integers(1, 4))))


def frames_bomb(rng: Generator) -> bytes:
    frames = [Image.new("P", (300, 300), number) for number in range(int(rng.integers(2, 40)))]
    kind = str(rng.choice(["PNG", "WEBP", "GIF"]))
    pictures = frames if kind == "GIF" else [frame.convert("RGB") for frame in frames]
    return _stored(pictures[0], kind, save_all=True, append_images=pictures[1:])


def scans_bomb(rng: Generator) -> bytes:
    """A progressive JPEG whose refinement scans are repeated hundreds of times."""
    data = _stored(Image.new("L", (1600, 1600), 128), "JPEG", progressive=True, quality=95)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * int(rng.integers(50, 400)) + b"\xff\xd9"


def polyglot(rng: Generator) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files_in:
        files_in.writestr("index.html", b"<script>" + MARK + b"</script>")
    tails = [
        b"<?php echo '" + MARK + b"'; ?>",
        archive.getvalue() + MARK,
        b"\n%PDF-1.7\n" + MARK + b"\n%%EOF",
        b"<html><script>alert('" + MARK + b"')</script></html>",
        MARK * 2000,
    ]
    data = _any(rng) + tails[int(rng.integers(len(tails)))]
    if rng.random() < 0.3:
        return bytes(rng.choice([b"GIF89a/*", b"%PDF-1.7\n", b"MZ", b"#!/bin/sh\n"])) + data
    return data


def marked_inside(rng: Generator) -> bytes:
    """The marker in comments, EXIF, XMP, text chunks and profiles."""
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x9286, 0x8298):
        exif[tag] = MARK.decode()
    picture = _picture(rng)
    kind = str(rng.choice(KINDS))
    if kind == "PNG":
        text = PngInfo()
        text.add_text("Comment", MARK.decode())
        text.add_itxt("XML:com.adobe.xmp", MARK.decode())
        return _stored(picture, kind, pnginfo=text, exif=exif)
    if kind == "JPEG":
        return _stored(picture, kind, exif=exif, comment=MARK, xmp=MARK, icc_profile=MARK * 10)
    return _stored(picture, kind, exif=exif.tobytes(), xmp=MARK)


def as_long_as_may_be(rng: Generator) -> bytes:
    """Useless data up to and slightly beyond the limit of 10 MiB."""
    length = int(rng.uniform(0.6, 1.02) * 10 * 1_048_576)
    data = _any(rng)
    return data + _noise()[: length - len(data)]


@cache
def _noise() -> bytes:
    return np.random.default_rng(5).bytes(11 * 1_048_576)


def other_type(rng: Generator) -> bytes:
    kind = str(
        rng.choice(["GIF", "BMP", "TIFF", "ICO", "PPM", "PCX", "TGA", "PDF", "JPEG2000", "text"])
    )
    if kind == "text":
        texts = [
            b"",
            b"\0" * 1000,
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"{}",
            b"\xff\xd8",
            b"\x89PNG",
            b"RIFF",
            b"\x7fELF",
            rng.bytes(3000),
            b"\xff\xd8\xff" + rng.bytes(3000),
            b"\0\0\0 ftypheic" + rng.bytes(900),
        ]
        return bytes(texts[int(rng.integers(len(texts)))])
    return _stored(_picture(rng), kind)


def odd_size(rng: Generator) -> bytes:
    sizes = [
        (1, 1),
        (1, 4000),
        (4000, 1),
        (2, 2),
        (16_000, 16),
        (3, 9000),
        (65_000, 1),
        (1, 65_000),
    ]
    width, height = sizes[int(rng.integers(len(sizes)))]
    kind = (
        "WEBP"
        if max(width, height) < 16_000 and rng.random() < 0.4
        else str(rng.choice(["JPEG", "PNG"]))
    )
    return _stored(Image.new("RGB", (width, height), "white"), kind)


def odd_profile(rng: Generator) -> bytes:
    real = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for position in rng.integers(0, len(real), int(rng.integers(1, 80))):
        real[position] = int(rng.integers(256))
    profiles = [
        bytes(real).replace(b"sRGB", b"abcd"),
        bytes(real[: int(rng.integers(4, len(real)))]).replace(b"sRGB", b"abcd"),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
        rng.bytes(int(rng.integers(1, 60_000))),
        bytes(500_000),
    ]
    kind = str(rng.choice(["JPEG", "PNG", "WEBP"]))
    return _stored(_picture(rng), kind, icc_profile=profiles[int(rng.integers(len(profiles)))])


def odd_exif(rng: Generator) -> bytes:
    """Loops, out-of-range offsets, invalid orientations."""
    start = b"Exif\0\0II*\0\x08\0\0\0"

    def directory(*entries: bytes, following: int = 0) -> bytes:
        return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, count, value % 2**32)

    bodies = [
        directory(entry(0x0112, 3, 1, int(rng.integers(0, 70_000)))),
        directory(entry(0x0112, 2, 9, 8), following=8),
        directory(entry(0x8769, 4, 1, 8), entry(0x8825, 4, 1, 8), following=8),
        directory(*[entry(int(tag), 7, 2**31, 2**31) for tag in rng.integers(0, 65_536, 30)]),
        directory(*[entry(0x0112, int(kind), 2**20, 8) for kind in range(14)]),
        rng.bytes(int(rng.integers(0, 4000))),
        struct.pack("<H", 65_535) + rng.bytes(2000),
    ]
    exif = start + bodies[int(rng.integers(len(bodies)))]
    plain = _stored(_picture(rng), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", min(65_535, len(exif) + 2)) + exif
    return plain[:2] + segment + plain[2:]


def odd_pixels(rng: Generator) -> bytes:
    mode = str(rng.choice(["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "YCbCr"]))
    base = _picture(rng)
    if mode == "I;16":
        return _stored(Image.new("I;16", base.size, 40_000), "PNG")
    picture = base.convert(mode)
    if mode in ("CMYK", "YCbCr"):
        return _stored(picture, "JPEG")
    options = (
        {"transparency": int(rng.integers(255))}
        if mode in ("P", "L") and rng.random() < 0.5
        else {}
    )
    return _stored(picture, "PNG", **options)


MAKERS: tuple[Callable[[Generator], bytes], ...] = (
    truncated,
    bits_flipped,
    header_mutated,
    spliced,
    claims_huge,
    pixel_bomb,
    as_many_pixels_as_may_be,
    text_bomb,
    frames_bomb,
    scans_bomb,
    polyglot,
    marked_inside,
    as_long_as_may_be,
    other_type,
    odd_size,
    odd_profile,
    odd_exif,
    odd_pixels,
)
