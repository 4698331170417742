"""Names a card by its printed title or number, and finds watermarks, in the words that were read."""

import re
from collections.abc import Iterable

from core.imaging.id_documents.verdict import OtherCard

_TITLES: tuple[tuple[OtherCard, tuple[str, ...]], ...] = (
    (OtherCard.SOCIAL_SECURITY_CARD, ("社会保障卡", "社会保障号码")),
    (
        OtherCard.PERMANENT_RESIDENCE,
        ("外国人永久居留", "永久居留身份证", "FOREIGNPERMANENTRESIDENT"),
    ),
    (
        OtherCard.TRAVEL_PERMIT,
        ("居民来往内地通行证", "来往大陆通行证", "往来港澳通行证", "往来台湾通行证"),
    ),
    (OtherCard.RESIDENCE_PERMIT, ("居民居住证", "港澳居民居住证", "台湾居民居住证")),
    (OtherCard.TEMPORARY_ID_CARD, ("临时居民身份证",)),
    (OtherCard.DRIVING_LICENCE, ("机动车驾驶证", "DRIVINGLICENSE", "准驾车型")),
    (OtherCard.VEHICLE_LICENCE, ("机动车行驶证", "VEHICLELICENSE")),
    (OtherCard.PASSPORT, ("护照PASSPORT", "PASSPORT", "POCHN", "<<<<<<")),
    (OtherCard.STUDENT_CARD, ("学生证", "学生卡")),
    (OtherCard.HOUSEHOLD_REGISTER, ("常住人口登记卡", "居民户口簿")),
    (OtherCard.BANK_CARD, ("VALIDTHRU", "UNIONPAY", "MONTHYEAR")),
)
_ID_CARD = re.compile("公民身份号码|^居民身份证$|^签发机关")
_BANK_NUMBER = re.compile(r"^\d{4}(?: ?\d{4}){3,4}(?: ?\d{1,3})?$")
_WATERMARK = re.compile("仅供|仅限|仅用于|他用无效|复印无效|再次复印|水印")
_FUZZY_FROM = 5
"""A title of so many characters may have one misread."""


def name_card(lines: Iterable[str], number: str | None) -> OtherCard | None:
    """`number` is a number with a valid check character; regions 81 to 83 are Hong Kong, Macao and
    Taiwan, and 9 begins those of foreigners. None is an ID card, or unknown.
    """
    texts = [re.sub(r"[\s·/]", "", line).upper() for line in lines]
    for card, titles in _TITLES:
        if any(_contains(text, title) for text in texts for title in titles):
            return card
    if number is not None and number[:2] in ("81", "82", "83"):
        return OtherCard.RESIDENCE_PERMIT
    if number is not None and number.startswith("9"):
        return OtherCard.PERMANENT_RESIDENCE
    is_id_card = any(_ID_CARD.search(text) for text in texts)
    if not is_id_card and any(_BANK_NUMBER.match(text) for text in texts):
        return OtherCard.BANK_CARD
    return None


def is_watermarked(lines: Iterable[str]) -> bool:
    return any(_WATERMARK.search(line) for line in lines)


def _contains(text: str, title: str) -> bool:
    if title in text:
        return True
    if len(title) < _FUZZY_FROM or title.isascii():
        return False
    windows = (text[start : start + len(title)] for start in range(len(text) - len(title) + 1))
    return any(sum(a != b for a, b in zip(window, title, strict=True)) == 1 for window in windows)
