"""Files of phones, scanners, editors and messengers that are not as they should be."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

from core.imaging.formats import FileFormat

ARITHMETIC_JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb00430006040506050406060506070706080a100a0a09"
    "090a140e0f0c1017141818171416161a1d251f1a1b231c1616202c20232627292a29191f2d302d2830252829"
    "28ffdb0043010707070a080a130a0a13281a161a282828282828282828282828282828282828282828282828"
    "2828282828282828282828282828282828282828282828282828ffc900110800180010030111000211010311"
    "01ffcc000a0010100501101105ffda000c03010002110311003f00ff00b2342a7ee246cece1f198a8252adf6"
    "dcf8030261ab69fe2de9cae6b4747eb073ea240d92f259d32f98fc06eb81bd8ae5e66e05d9c0ffd9"
)
"""Of 16 × 24 pixels, the upper half red, the lower white; by `cjpeg -arithmetic`."""


def drawn(width: int = 400, height: int = 600) -> Image.Image:
    """Colours without large even parts, so that every row and block carries data."""
    small = np.random.default_rng(7).integers(20, 236, (30, 20, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def stored(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif_entry(data: bytes, tag: int, kind: int, count: int, value: bytes) -> bytes:
    """A JPEG with one entry in its EXIF data, big-endian; a value of more than four bytes follows it."""
    inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(">I", 26)
    tail = b"" if len(value) <= 4 else value
    body = (
        b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHI", tag, kind, count) + inline + bytes(4) + tail
    )
    segment = b"Exif\0\0" + body
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def png_of_16_bits(samples: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> bytes:
    """`samples` by row, column and channel: grey, grey with alpha, RGB or RGBA."""
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def lossless_jpeg(width: int = 400, height: int = 600) -> bytes:
    """ITU-T T.81 process 14, black: each difference is 0, whose code is the bit 0, but the first."""
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    codes = bytes([2]) + bytes(15) + bytes([0, 8])
    bits = "1" + "0" * 8 + "0" * (width * height - 1)
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    segments = [(0xC4, b"\0" + codes), (0xC3, frame), (0xDA, bytes([1, 1, 0, 1, 0, 0]))]
    return (
        b"\xff\xd8"
        + b"".join(
            bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
            for marker, body in segments
        )
        + coded
        + b"\xff\xd9"
    )


def jpeg_of_12_bits() -> bytes:
    data = bytearray(stored(drawn()))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def _brands(major: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + major + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + struct.pack(">I4s", 8, b"mdat")


def _tiff(*tags: int, at_8: bytes = b"") -> bytes:
    start = 8 + len(at_8)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 0) for tag in tags)
    return b"II*\0" + struct.pack("<I", start) + at_8 + struct.pack("<H", len(tags)) + entries


def other_formats() -> list[tuple[str, bytes, FileFormat]]:
    """How each came to be, the file, and what it is."""
    picture = drawn(60, 80)
    return [
        ("saved from a web page", stored(picture, "AVIF"), FileFormat.AVIF),
        ("brand among others", _brands(b"mif1", b"avif", b"miaf"), FileFormat.AVIF),
        ("codestream", b"\xff\x0a" + bytes(50), FileFormat.JPEG_XL),
        ("container", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), FileFormat.JPEG_XL),
        ("jp2", stored(picture, "JPEG2000"), FileFormat.JPEG_2000),
        ("j2k", stored(picture, "JPEG2000", no_jp2=True), FileFormat.JPEG_2000),
        ("12 bits", jpeg_of_12_bits(), FileFormat.SPECIAL_JPEG),
        ("scanner", stored(picture, "TIFF"), FileFormat.TIFF),
        ("scanner, packed", stored(picture, "TIFF", compression="tiff_lzw"), FileFormat.TIFF),
        ("big-endian", b"MM\0*\0\0\0\x08\0\0", FileFormat.TIFF),
        ("no directory", b"II*\0\xff\xff\xff\x7f", FileFormat.TIFF),
        ("meme", stored(picture, "GIF"), FileFormat.GIF),
        ("Paint", stored(picture, "BMP"), FileFormat.BMP),
        ("Photoshop", b"8BPS\0\x01" + bytes(50), FileFormat.PSD),
        ("drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>", FileFormat.SVG),
        ("drawing", b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", FileFormat.SVG),
        ("ProRAW", _tiff(0x010F, 0xC612), FileFormat.RAW),
        ("Canon, old", _tiff(0x010F, at_8=b"CR\x02\0"), FileFormat.RAW),
        ("Canon, new", _brands(b"crx ", b"crx ", b"isom"), FileFormat.RAW),
        ("Nikon", _tiff(0x010F, 0x014A), FileFormat.RAW),
        ("Fuji", b"FUJIFILMCCD-RAW 0201" + bytes(50), FileFormat.RAW),
        ("scan", b"%PDF-1.7\n%", FileFormat.PDF),
        ("Word", _zip("[Content_Types].xml", "word/document.xml"), FileFormat.OFFICE),
        ("OFD", _zip("OFD.xml", "Doc_0/Document.xml"), FileFormat.OFFICE),
        ("Word 97", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), FileFormat.OFFICE),
        ("mp4", _brands(b"isom", b"iso2", b"mp41"), FileFormat.VIDEO),
        ("live photo", _brands(b"qt  ", b"qt  "), FileFormat.VIDEO),
        ("old QuickTime", struct.pack(">I4s", 8, b"wide") + bytes(50), FileFormat.VIDEO),
        ("avi", b"RIFF\0\0\0\0AVI LIST", FileFormat.VIDEO),
        ("webm", b"\x1a\x45\xdf\xa3" + bytes(50), FileFormat.VIDEO),
        ("zip", _zip("photo.jpg"), FileFormat.ARCHIVE),
        ("rar", b"Rar!\x1a\x07\x01\0", FileFormat.ARCHIVE),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04", FileFormat.ARCHIVE),
        ("expired link", b"<!DOCTYPE html>\n<html></html>", FileFormat.WEB_PAGE),
    ]
