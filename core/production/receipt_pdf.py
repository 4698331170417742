"""The receipt as a one-page A4 PDF with an embedded font subset and a vector QR code.

Runs in a worker process of its own pool (`Dependencies.printer`), separate from those that decode
uploads. Its libraries are imported only there, because they take 40 MB.
Font: Noto Sans SC, SIL Open Font License 1.1, from the package `pylopdf-fonts-zh-cn`.
"""

from typing import TYPE_CHECKING

from core.production.receipts import ApplicationReceipt, Line

if TYPE_CHECKING:
    from fpdf import FPDF

_FONT = "noto"
_MARGIN, _WIDTH = 22.0, 166.0
_LABEL_WIDTH = 52.0
_LINE_HEIGHT = 10.5
_QR_SIZE = 38.0
_INK, _GREY, _RULE, _ACCENT = (28, 32, 40), (110, 118, 130), (214, 219, 226), (176, 32, 38)
_MISSING_GLYPH = "〓"
"""The geta mark, the typographic substitute for a character missing from a font."""

_NOTES = (
    (
        "扫码可核验本回执真伪；领卡后请凭上述手机号码激活。",
        "Scan to verify this receipt; activate the card with the phone number above.",
    ),
    (
        "如非本人操作，请立即拨打 028-12333。",
        "If you did not apply, call 028-12333 immediately.",
    ),
    (
        "为保护个人信息，姓名、号码已部分隐去。",
        "Names and numbers are partly masked to protect personal information.",
    ),
)


def print_receipt(receipt: ApplicationReceipt) -> bytes:
    """Characters missing from the font are printed as 〓."""
    from fpdf import FPDF
    from pylopdf_fonts_zh_cn import sans_path

    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(auto=False)
    pdf.set_lang("zh-CN")
    pdf.set_title(f"{receipt.title} {receipt.number}")
    pdf.add_page()
    pdf.add_font(_FONT, fname=str(sans_path()))
    _heading(pdf, receipt)
    _qr_code(pdf, receipt.check_url, _MARGIN + _WIDTH - _QR_SIZE, 22.0)
    bottom = _table(pdf, receipt.lines, top=74.0)
    _notes(pdf, top=bottom + 8.0)
    return bytes(pdf.output())


def _heading(pdf: "FPDF", receipt: ApplicationReceipt) -> None:
    pdf.set_fill_color(*_ACCENT)
    pdf.rect(0, 0, pdf.w, 6, style="F")
    _text(pdf, _MARGIN, 30, receipt.title, 20, _INK)
    _text(pdf, _MARGIN, 41, receipt.english_title, 10, _GREY)
    _text(pdf, _MARGIN, 56, receipt.number, 15, _ACCENT)


def _table(pdf: "FPDF", lines: tuple[Line, ...], top: float) -> float:
    """Rows between rules; long values wrap. Returns the lower edge in mm."""
    pdf.set_draw_color(*_RULE)
    pdf.set_line_width(0.25)
    pdf.line(_MARGIN, top, _MARGIN + _WIDTH, top)
    for line in lines:
        _text(pdf, _MARGIN, top + 2.2, line.label, 10.5, _INK)
        _text(pdf, _MARGIN, top + 6.6, line.english, 7, _GREY)
        top = _value(pdf, line.value, top)
        pdf.line(_MARGIN, top, _MARGIN + _WIDTH, top)
    return top


def _value(pdf: "FPDF", value: str, top: float) -> float:
    pdf.set_xy(_MARGIN + _LABEL_WIDTH, top + 2.6)
    pdf.set_font(_FONT, size=11)
    pdf.set_text_color(*_INK)
    pdf.multi_cell(_WIDTH - _LABEL_WIDTH, 5.6, _printable(pdf, value), align="L")
    return max(top + _LINE_HEIGHT, pdf.get_y() + 2.4)


def _notes(pdf: "FPDF", top: float) -> None:
    for chinese, english in _NOTES:
        _text(pdf, _MARGIN, top, chinese, 10, _INK)
        _text(pdf, _MARGIN, top + 4.8, english, 8, _GREY)
        top += 12


def _text(
    pdf: "FPDF", x: float, y: float, text: str, size: float, colour: tuple[int, int, int]
) -> None:
    """`x` and `y` are the upper left corner of the line, in mm."""
    pdf.set_xy(x, y)
    pdf.set_font(_FONT, size=size)
    pdf.set_text_color(*colour)
    pdf.cell(text=_printable(pdf, text))


def _printable(pdf: "FPDF", text: str) -> str:
    """Replaces missing characters: fpdf2 would log them, and they may be part of a name."""
    from fpdf.fonts import TTFFont

    font = pdf.current_font
    assert isinstance(font, TTFFont)
    cmap = font.cmap
    return "".join(character if ord(character) in cmap else _MISSING_GLYPH for character in text)


def _qr_code(pdf: "FPDF", content: str, x: float, y: float) -> None:
    """Error correction level M restores 15 % of damaged data (ISO/IEC 18004)."""
    import segno

    rows = [list(row) for row in segno.make(content, error="m", micro=False).matrix_iter(border=4)]
    module = _QR_SIZE / len(rows)
    pdf.set_fill_color(0, 0, 0)
    for number, row in enumerate(rows):
        column = 0
        while column < len(row):
            end = column
            while end < len(row) and row[end]:
                end += 1
            if end > column:
                pdf.rect(
                    x + column * module,
                    y + number * module,
                    (end - column) * module,
                    module,
                    style="F",
                )
            column = max(end, column + 1)
