"""Reads the CSV file line by line from any byte position.

A quoted value may not contain a line break, so that an unclosed quote invalidates one line only.
"""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.imports.lines import COLUMNS, OPTIONAL, BadLine

MAX_LINE_BYTES = 8192
_CHUNK = 1 << 20


class WrongFile(Exception):
    """The file as a whole cannot be imported; the message is for the operator."""


@dataclass(slots=True)
class RawLine:
    """`ends` is the offset of the byte after the line; `cells` are in the order of `COLUMNS`."""

    line: int
    ends: int
    cells: list[str] = field(repr=False)
    bad: BadLine | None = None


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file with valid encoding and header. `begins` is the offset of the byte after the header."""

    path: Path
    size: int
    digest: bytes
    heading: list[str]
    begins: int

    @classmethod
    def open(cls, path: Path) -> "CsvFile":
        try:
            digest = _digest_of_text(path)
            with path.open("rb") as file:
                heading = file.readline(MAX_LINE_BYTES)
        except OSError as error:
            raise WrongFile(f"{path} cannot be read: {error.strerror}.") from None
        return cls(path, path.stat().st_size, digest, _heading(path, heading), len(heading))

    def lines(self, start: int, line: int) -> Iterator[RawLine]:
        """Reads from byte `start`, where line number `line` begins. Empty lines are skipped."""
        order = [self.heading.index(name) if name in self.heading else None for name in COLUMNS]
        with self.path.open("rb") as file:
            file.seek(start)
            ends = start
            while data := file.readline(MAX_LINE_BYTES):
                ends += len(data)
                whole = data.endswith(b"\n") or len(data) < MAX_LINE_BYTES
                while not whole:
                    rest = file.readline(MAX_LINE_BYTES)
                    ends += len(rest)
                    whole = rest.endswith(b"\n") or len(rest) < MAX_LINE_BYTES
                    data = b""
                if not data:
                    yield RawLine(line, ends, [], BadLine(line, "", "the line is too long"))
                elif text := data.rstrip(b"\r\n"):
                    yield self._line(line, ends, text.decode(), order)
                line += 1

    def _line(self, line: int, ends: int, text: str, order: list[int | None]) -> RawLine:
        try:
            cells = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
        except csv.Error as error:
            return RawLine(line, ends, [], BadLine(line, "", f"not CSV: {error}"))
        if len(cells) != len(self.heading):
            reason = f"has {len(cells)} columns instead of {len(self.heading)}"
            return RawLine(line, ends, [], BadLine(line, "", reason))
        return RawLine(line, ends, ["" if at is None else cells[at] for at in order])


def _digest_of_text(path: Path) -> bytes:
    """SHA-256 of the file. Raises `WrongFile` if it is not UTF-8."""
    digest, decoder, lines = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            _decode(path, decoder, chunk, lines)
            lines += chunk.count(b"\n")
        _decode(path, decoder, b"", lines, final=True)
    return digest.digest()


def _decode(
    path: Path,
    decoder: codecs.IncrementalDecoder,
    chunk: bytes,
    lines: int,
    *,
    final: bool = False,
) -> None:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n")
        raise WrongFile(f"{path} is not UTF-8 (line {line}).") from None


def _heading(path: Path, data: bytes) -> list[str]:
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
        heading = [name.strip() for name in next(csv.reader([text], strict=True))]
    except (UnicodeDecodeError, csv.Error):
        heading = []
    missing = [name for name in COLUMNS if name not in heading and name not in OPTIONAL]
    unknown = [name for name in heading if name not in COLUMNS]
    if missing:
        raise WrongFile(f"{path}: the heading lacks {', '.join(missing)}.")
    if unknown or len(set(heading)) < len(heading):
        raise WrongFile(f"{path}: the heading may name only {', '.join(COLUMNS)}, each once.")
    return heading
