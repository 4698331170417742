"""Drawings of cards and pages that are taken for the resident ID card, with their printed titles.

Only layout, colours and titles matter; all names and numbers are invented.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path, serif_path
from stdnum.iso7064 import mod_11_2

from sandbox.id_cards import HEIGHT, MM, WIDTH, IdCard
from tests.id_documents import styles
from tests.id_documents.styles import Colour, Style

Draw = Callable[[IdCard, Style, int], Image.Image]


def social_security_card(card: IdCard, style: Style, seed: int) -> Image.Image:
    sheet = _Sheet((206, 226, 240), (238, 226, 214), style, seed)
    sheet.disc(10, 10, 5.5, (198, 44, 40))
    sheet.text(18, 5, "中华人民共和国", 4.2, (50, 50, 54), serif=True)
    sheet.text(18, 10.5, "社会保障卡", 5.6, (40, 40, 44), serif=True)
    sheet.box((8, 22, 20.5, 31.5), (214, 180, 96))
    for row, text in enumerate(
        (
            f"姓名 {card.name}",
            f"社会保障号码 {card.number}",
            "卡号 D51A00X1C",
            "发卡日期 2021年06月",
        )
    ):
        sheet.text(8, 34 + 4.4 * row, text, 3.1, (40, 40, 44))
    sheet.head(62, 18, 18, 23)
    return sheet.card()


def permanent_residence(card: IdCard, style: Style, seed: int) -> Image.Image:
    """外国人永久居留身份证, the five-star card."""
    sheet = _Sheet((224, 232, 226), (206, 226, 238), style, seed)
    sheet.disc(9, 8.5, 5, (198, 44, 40))
    sheet.text(17, 4, "中华人民共和国外国人永久居留身份证", 3.5, (40, 40, 44))
    sheet.text(17, 8.6, "FOREIGN PERMANENT RESIDENT ID CARD", 2.2, (70, 70, 74))
    for row, text in enumerate(
        (
            "姓名 / Name",
            "SAMPLE, JANE ANN",
            "性别 / Sex  女 / F",
            "出生日期 / Date of Birth",
            "1984.03.21",
            "国籍 / Nationality  示例 / XXX",
            "有效期限 / Period of Validity",
            "2023.12.01-2033.11.30",
        )
    ):
        sheet.text(6.5, 14.5 + 3.7 * row, text, 2.7, (44, 44, 48))
    sheet.text(28, 47, "911" + card.number[3:], 3.6, (30, 30, 34))
    sheet.head(56, 13, 24, 30)
    return sheet.card()


def travel_permit(card: IdCard, style: Style, seed: int) -> Image.Image:
    """港澳居民来往内地通行证."""
    sheet = _Sheet((208, 226, 238), (230, 224, 236), style, seed)
    sheet.disc(9, 8, 4.6, (198, 44, 40))
    sheet.text(16, 5, "港澳居民来往内地通行证", 4.2, (40, 60, 110))
    sheet.head(5, 14, 24, 30)
    for row, text in enumerate(
        (
            f"姓名 {card.name}",
            "SAMPLE, TAI MAN",
            "出生日期 1990.04.12   性别 男",
            "有效期限 2019.05.07-2029.05.06",
            "签发机关 中华人民共和国出入境管理局",
            "签发次数 01",
        )
    ):
        sheet.text(32, 14 + 5 * row, text, 2.9, (40, 40, 44))
    sheet.text(58, 46, "H01234567", 4.2, (30, 30, 34))
    return sheet.card()


def residence_permit(card: IdCard, style: Style, seed: int) -> Image.Image:
    """港澳居民居住证, portrait side: the ID card's own, with a number of region 81 and no ethnicity."""
    body = f"810000{card.birth_date:%Y%m%d}001"
    number = body + mod_11_2.calc_check_digit(body)
    lone = IdCard(
        card.name, card.gender, "", card.birth_date, card.address, number, "", card.valid_from, None
    )
    return styles.portrait_side(lone, style, seed, has_ethnicity=False)


def residence_permit_back(card: IdCard, style: Style, seed: int) -> Image.Image:
    return styles.emblem_side(card, style, seed, title="港澳居民居住证")


def temporary_card(card: IdCard, style: Style, seed: int) -> Image.Image:
    """临时居民身份证, the side with its title; valid for three months."""
    return styles.emblem_side(card, style, seed, title="临时居民身份证", has_emblem=False, months=3)


def bank_card(card: IdCard, style: Style, seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    tone = [(36, 84, 150), (168, 30, 40), (26, 110, 90), (60, 60, 66)][chance.integers(4)]
    sheet = _Sheet(tone, tone, style, seed)
    sheet.text(6, 5, "示例商业银行", 5, (245, 245, 245))
    sheet.box((8, 18, 20.5, 28), (206, 176, 96))
    sheet.text(8, 33, "6200 0000 0000 0000 000", 5.4, (240, 240, 240))
    sheet.text(8, 42, "VALID THRU 08/31", 2.8, (235, 235, 235))
    sheet.disc(70, 44, 5.5, (220, 60, 60))
    sheet.disc(77, 44, 5.5, (240, 160, 40))
    return sheet.card()


def driving_licence(card: IdCard, style: Style, seed: int) -> Image.Image:
    sheet = _Sheet((226, 232, 222), (232, 236, 226), style, seed)
    sheet.text(20, 3, "中华人民共和国机动车驾驶证", 3.8, (40, 40, 44))
    sheet.text(24, 7.4, "Driving License of the People's Republic of China", 1.8, (60, 60, 64))
    rows = (
        f"证号 {card.number}", f"姓名 {card.name}   性别 {card.gender}   国籍 中国",
        f"住址 {card.address[:16]}", card.address[16:], f"出生日期 {card.birth_date:%Y-%m-%d}",
        "初次领证日期 2012-08-30", "准驾车型 C1", "有效期限 2018-08-30 至 2028-08-30",
    )  # fmt: skip
    for row, text in enumerate(rows):
        sheet.text(5, 12 + 4.9 * row, text, 2.8, (40, 40, 44))
    sheet.head(62, 22, 18, 23)
    sheet.box((36, 33, 52, 47), (226, 120, 120), outline=True)
    return sheet.card()


def passport(card: IdCard, style: Style, seed: int) -> Image.Image:
    """The data page of a passport: 125 × 88 mm."""
    sheet = _Sheet((226, 228, 238), (238, 226, 228), style, seed, ratio=1.42)
    sheet.text(30, 3, "护照  PASSPORT", 4, (40, 40, 90))
    sheet.head(5, 10, 22, 28)
    for row, text in enumerate(
        (
            f"{card.name}   E00000000",
            "SAMPLE, REN",
            "男/M  中国/CHINESE",
            f"{card.birth_date:%d %m %Y}",
            "四川/SICHUAN",
            "25 11月/NOV 2019",
            "24 11月/NOV 2029",
        )
    ):
        sheet.text(32, 9 + 4.2 * row, text, 2.8, (40, 40, 44))
    sheet.text(4, 43, "POCHNSAMPLE<<REN<<<<<<<<<<<<<<<<<<<<<<<<<<<", 3.0, (20, 20, 24), step=1.85)
    sheet.text(4, 49, "E000000000CHN8001014M2911240<<<<<<<<<<<<<<00", 3.0, (20, 20, 24), step=1.85)
    return sheet.card()


def student_card(card: IdCard, style: Style, seed: int) -> Image.Image:
    sheet = _Sheet((250, 250, 248), (240, 244, 250), style, seed)
    sheet.box((0, 0, 85.6, 13), (30, 86, 160))
    sheet.text(20, 3.5, "虚构大学学生证", 6, (250, 250, 250))
    for row, text in enumerate(
        (f"姓名：{card.name}", f"性别：{card.gender}", "学院：计算机学院", "学号：2021141460000")
    ):
        sheet.text(8, 18 + 7.4 * row, text, 3.6, (40, 40, 44))
    sheet.head(58, 16, 22, 29)
    return sheet.card()


OTHERS: dict[str, Draw] = {
    "社会保障卡": social_security_card,
    "外国人永久居留身份证": permanent_residence,
    "港澳居民来往内地通行证": travel_permit,
    "港澳居民居住证": residence_permit,
    "港澳居民居住证背面": residence_permit_back,
    "临时居民身份证": temporary_card,
    "银行卡": bank_card,
    "驾驶证": driving_licence,
    "护照": passport,
    "学生证": student_card,
}
WITH_EMBLEM_TITLE = {"港澳居民居住证背面", "临时居民身份证"}


class _Sheet:
    """A card in the tint and guilloche of a style; lengths are mm."""

    def __init__(
        self, left: Colour, right: Colour, style: Style, seed: int, ratio: float = WIDTH / HEIGHT
    ) -> None:
        self._chance = np.random.default_rng(seed)
        self._style = style
        self._paper = styles.paper(style, (left, right), self._chance)
        self._ratio = ratio
        self._words: list[tuple[float, float, str, float, Colour, bool, float]] = []
        self._shapes: list[tuple[tuple[float, ...], Colour, str]] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: Colour,
        *,
        serif: bool = False,
        step: float = 0.0,
    ) -> None:
        self._words.append((x, y, text, size, colour, serif, step))

    def box(
        self, box: tuple[float, float, float, float], colour: Colour, *, outline: bool = False
    ) -> None:
        self._shapes.append((box, colour, "outline" if outline else "box"))

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._shapes.append(((x - radius, y - radius, x + radius, y + radius), colour, "disc"))

    def head(self, x: float, y: float, width: float, height: float) -> None:
        styles.head(self._paper, (x, y, width, height), self._chance)

    def card(self) -> Image.Image:
        picture = Image.fromarray(np.clip(self._paper, 0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(picture)
        for box, colour, kind in self._shapes:
            place = [edge * MM for edge in box]
            if kind == "disc":
                pen.ellipse(place, fill=colour)
            elif kind == "outline":
                pen.rectangle(place, outline=colour, width=6)
            else:
                pen.rectangle(place, fill=colour)
        for x, y, text, size, colour, serif, step in self._words:
            font = ImageFont.truetype(serif_path() if serif else sans_path(), round(size * MM))
            if step:
                for number, character in enumerate(text):
                    pen.text(((x + number * step) * MM, y * MM), character, colour, font)
            else:
                pen.text((x * MM, y * MM), text, colour, font)
        rounded = styles.rounded(np.asarray(picture, np.float32))
        if self._ratio != WIDTH / HEIGHT:
            rounded = rounded.resize((WIDTH, round(WIDTH / self._ratio)))
        return rounded
