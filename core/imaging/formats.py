"""What a file that could not be decoded is, by its bytes: another format, or a picture without its end.

No library among the requirements does this. Nothing is decoded here.
"""

import re
import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class FileFormat(StrEnum):
    """Formats that people send instead of a picture that is accepted."""

    AVIF = "AVIF"
    JPEG_XL = "JPEG_XL"
    JPEG_2000 = "JPEG_2000"
    SPECIAL_JPEG = "SPECIAL_JPEG"
    TIFF = "TIFF"
    GIF = "GIF"
    BMP = "BMP"
    PSD = "PSD"
    SVG = "SVG"
    RAW = "RAW"
    PDF = "PDF"
    OFFICE = "OFFICE"
    VIDEO = "VIDEO"
    ARCHIVE = "ARCHIVE"
    WEB_PAGE = "WEB_PAGE"


UNKNOWN_SHARE = 0
"""The end is missing, but the file does not tell how much of it."""

_SIGNATURES: tuple[tuple[bytes, FileFormat], ...] = (
    (b"GIF8", FileFormat.GIF),
    (b"%PDF-", FileFormat.PDF),
    (b"8BPS", FileFormat.PSD),
    (b"\xff\x0a", FileFormat.JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", FileFormat.JPEG_XL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", FileFormat.JPEG_2000),
    (b"\xff\x4f\xff\x51", FileFormat.JPEG_2000),
    (b"FUJIFILMCCD-RAW", FileFormat.RAW),
    (b"IIRO", FileFormat.RAW),
    (b"IIRS", FileFormat.RAW),
    (b"IIU\0", FileFormat.RAW),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileFormat.OFFICE),
    (b"{\\rtf", FileFormat.OFFICE),
    (b"\x1a\x45\xdf\xa3", FileFormat.VIDEO),
    (b"Rar!\x1a\x07", FileFormat.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", FileFormat.ARCHIVE),
    (b"\x1f\x8b\x08", FileFormat.ARCHIVE),
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OFFICE_PARTS = (b"[Content_Types].xml", b"OFD.xml", b"META-INF/manifest.xml", b"mimetype")
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_DNG_VERSION, _MAKE, _SUB_IFDS = 0xC612, 0x010F, 0x014A
_MAX_TAGS = 500

_JPEG, _PNG, _SOI = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", 0xD8
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_COMMON_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
_SCAN, _END = 0xDA, 0xD9
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Segment(NamedTuple):
    """Of a JPEG: `end` is where the next one begins, after the coded data in case of a scan."""

    marker: int
    body: bytes
    end: int
    is_cut: bool


def format_of(data: bytes) -> FileFormat | None:
    """None for what is unknown, and for the formats that are accepted."""
    for signature, format_ in _SIGNATURES:
        if data.startswith(signature):
            return format_
    if data.startswith(_JPEG):
        return FileFormat.SPECIAL_JPEG if _is_special_jpeg(data) else None
    if data.startswith(_TIFF):
        return FileFormat.RAW if _is_raw(data) else FileFormat.TIFF
    if data.startswith(_ZIP):
        listed = data[:4_096] + data[-65_536:]
        is_document = any(part in listed for part in _OFFICE_PARTS)
        return FileFormat.OFFICE if is_document else FileFormat.ARCHIVE
    if data.startswith(b"RIFF"):
        return FileFormat.VIDEO if data[8:12] == b"AVI " else None
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return FileFormat.BMP
    if data[4:8] == b"ftyp":
        return _format_of_brands(data)
    if data[4:8] in _QUICKTIME_BOXES:
        return FileFormat.VIDEO
    return _format_of_text(data[:1_024])


def missing_share(data: bytes) -> int | None:
    """None if the file has its end, or is none of JPEG, PNG, WebP and HEIF; else how many percent of it
    are missing, or `UNKNOWN_SHARE`."""
    if data and not data.strip(b"\0"):
        return UNKNOWN_SHARE
    if data.startswith(_JPEG[:2]):
        return UNKNOWN_SHARE if _is_cut_jpeg(data) else None
    if data.startswith(_PNG[:4]):
        return UNKNOWN_SHARE if _is_cut_png(data) else None
    if data.startswith(b"RIFF"):
        whole = 8 + int.from_bytes(data[4:8], "little") if len(data) >= 8 else 12
        return _share(len(data), whole)
    if data[4:8] == b"ftyp" and _format_of_brands(data) is None:
        return _share(len(data), _end_of_boxes(data))
    return None


def jpeg_segments(data: bytes) -> Iterator[Segment]:
    """Up to the end mark, or to the segment that is cut."""
    position = 2
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        marker = data[position + 1] if position + 1 < len(data) else _SOI
        if data[position : position + 1] not in (b"\xff", b""):
            return
        if marker == _END:
            yield Segment(marker, b"", position + 2, is_cut=False)
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + max(2, length)
        body = data[position + 4 : end]
        is_cut = end > len(data) or marker == _SOI
        if marker == _SCAN and not is_cut:
            following = _NEXT_MARKER.search(data, end)
            is_cut = following is None
            end = len(data) if following is None else following.start()
        yield Segment(marker, body, end, is_cut)
        if is_cut:
            return
        position = end


def lacks_detail(data: bytes) -> bool:
    """Whether the scans of a progressive JPEG bring less than all but the last bit of the lightness.

    Each scan brings some values of the whole picture, the last ones usually one bit more of them.
    """
    last_bits: dict[int, int] = {}
    lightness = -1
    for segment in jpeg_segments(data):
        body = segment.body
        if segment.marker in _FRAMES and len(body) > 6:
            lightness = body[6]
        if (
            segment.marker != _SCAN
            or segment.is_cut
            or len(body) < 4
            or len(body) < 4 + 2 * body[0]
        ):
            continue
        ends = 1 + 2 * body[0]
        if lightness in body[1:ends:2]:
            first, last, bits = body[ends : ends + 3]
            last_bits |= dict.fromkeys(range(first, min(last, 63) + 1), bits & 15)
    return len(last_bits) < 64 or max(last_bits.values()) > 1


def _is_special_jpeg(data: bytes) -> bool:
    """Lossless, hierarchical, JPEG-LS, or of more than 8 bits."""
    for segment in jpeg_segments(data):
        if segment.marker in _FRAMES and segment.body:
            return segment.marker not in _COMMON_FRAMES or segment.body[0] != 8
    return False


def _is_cut_jpeg(data: bytes) -> bool:
    is_cut = True
    for segment in jpeg_segments(data):
        is_cut = segment.is_cut
    return is_cut


def _is_cut_png(data: bytes) -> bool:
    position = len(_PNG)
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return False
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return True


def _end_of_boxes(data: bytes) -> int:
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length == 0:
            return len(data)
        position += max(8, length)
    return position


def _share(present: int, whole: int) -> int | None:
    """At least 1, which is not `UNKNOWN_SHARE`."""
    return None if present >= whole else max(1, round(100 * (whole - present) / whole))


def _is_raw(data: bytes) -> bool:
    """The raw formats of cameras that are TIFF: DNG, CR2, NEF, ARW and the like."""
    order = "<" if data.startswith(b"II") else ">"
    if data[8:10] == b"CR":
        return True
    start = int.from_bytes(data[4:8], "little" if order == "<" else "big")
    (count,) = struct.unpack_from(f"{order}H", data[start : start + 2].ljust(2, b"\0"))
    entries = data[start + 2 : start + 2 + 12 * min(count, _MAX_TAGS)]
    tags = {
        struct.unpack_from(f"{order}H", entries, place)[0]
        for place in range(0, len(entries) - 11, 12)
    }
    return _DNG_VERSION in tags or {_MAKE, _SUB_IFDS} <= tags


def _format_of_brands(data: bytes) -> FileFormat | None:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, length - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return FileFormat.AVIF
    if brands & _HEIF_BRANDS:
        return None
    return FileFormat.RAW if b"crx " in brands else FileFormat.VIDEO


def _format_of_text(start: bytes) -> FileFormat | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return None
    if b"<svg" in text:
        return FileFormat.SVG
    return FileFormat.WEB_PAGE if b"<html" in text or b"<!doctype html" in text else None
