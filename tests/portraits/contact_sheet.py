"""Contact sheets: each photograph beside what became of it. The wrong ones come first, framed in red."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path

from core.imaging.decoding import NotDecoded, decode
from tests.portraits.figures import Outcome, said

COLUMNS, ROWS = 4, 5
_CELL, _THUMBNAIL, _GAP = (440, 330), (208, 240), 8
_LETTERS = 13
_LINES = 5
_RED, _GREY = (200, 0, 0), (225, 225, 225)


def write_sheets(outcomes: Sequence[Outcome], pictures: Path, folder: Path) -> list[Path]:
    """JPEG pages in `folder`; pages of an earlier report are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("sheet-*.jpg"):
        old.unlink()
    ordered = sorted(outcomes, key=lambda outcome: not outcome.is_wrong)
    on_page = COLUMNS * ROWS
    written = []
    for number, start in enumerate(range(0, len(ordered), on_page), 1):
        file = folder / f"sheet-{number:03}.jpg"
        _page(ordered[start : start + on_page], pictures).save(file, quality=85)
        written.append(file)
    return written


def _page(outcomes: Sequence[Outcome], pictures: Path) -> Image.Image:
    rows = -(-len(outcomes) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * _CELL[0], rows * _CELL[1]), "white")
    for place, outcome in enumerate(outcomes):
        row, column = divmod(place, COLUMNS)
        page.paste(_cell(outcome, pictures), (column * _CELL[0], row * _CELL[1]))
    return page


def _cell(outcome: Outcome, pictures: Path) -> Image.Image:
    cell = Image.new("RGB", _CELL, "white")
    draw, font = ImageDraw.Draw(cell), ImageFont.truetype(str(sans_path()), _LETTERS)
    source = _source(pictures / outcome.photograph.name)
    finished = Image.open(io.BytesIO(outcome.found.data)) if outcome.found.data else None
    for column, picture in enumerate((source, finished)):
        left = _GAP + column * (_THUMBNAIL[0] + _GAP)
        if picture is None:
            draw.rectangle((left, _GAP, left + _THUMBNAIL[0], _THUMBNAIL[1]), _GREY)
            continue
        picture.thumbnail(_THUMBNAIL)
        cell.paste(picture, (left, _GAP))
    verdict = "accepted" if outcome.is_accepted else "refused"
    truth = ", ".join(outcome.photograph.faults) or "good"
    lines = [f"{outcome.photograph.name}: {verdict}", f"true: {truth}", said(outcome)]
    wrapped = [part for line in lines for part in _wrapped(line, font)]
    top = _GAP + _THUMBNAIL[1] + 4
    for number, line in enumerate(wrapped[:_LINES]):
        draw.text((_GAP, top + number * (_LETTERS + 2)), line, "black", font)
    if outcome.is_wrong:
        draw.rectangle((1, 1, _CELL[0] - 2, _CELL[1] - 2), outline=_RED, width=4)
    return cell


def _source(file: Path) -> Image.Image | None:
    try:
        return decode(file.read_bytes(), max(_THUMBNAIL)).picture
    except NotDecoded:
        return None


def _wrapped(line: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    part = ""
    for letter in line:
        if font.getlength(part + letter) > _CELL[0] - 2 * _GAP:
            yield part
            part = ""
        part += letter
    yield part
