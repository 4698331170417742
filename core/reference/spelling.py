"""One spelling for what people type in many: full-width characters, spaces, hyphens, other dots.

Changed is only what can mean nothing else; everything else is left as it is, and the form refuses it.
"""

import re
import unicodedata
from difflib import SequenceMatcher

DOT = "·"
"""The middle dot of ID cards, U+00B7."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−"), "-")
_DIRECTION_MARKS = dict.fromkeys(
    [0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
)
"""Address books wrap phone numbers in them."""
_COUNTRY_CODE = re.compile(r"(?:\+|00)?86(?=1[0-9]{10}$)")
_LANDLINE_COUNTRY_CODE = re.compile(r"(?:\+|00)86-?(?=[2-9])")
_WRITTEN_DATE = re.compile(r"([0-9]{4}) ?[-./年 ] ?([0-9]{1,2}) ?[-./月 ] ?([0-9]{1,2}) ?日?")

_HAN = "〇㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff"
_OTHER_DOTS = str.maketrans(dict.fromkeys("•・‧･∙⋅●。", DOT))
_DOT_IN_HAN = re.compile(rf"(?<=[{_HAN}]) *(?:[.{DOT}] *)+(?=[{_HAN}])")
_SPACE_IN_HAN = re.compile(rf"(?<=[{_HAN}]) +(?=[{_HAN}])")
_LONGEST_WITHOUT_DOT = 4
"""Characters of a name that is written without a dot: 欧阳娜娜."""
_MAX_MISREAD = 2
_NOT_IN_KEY = re.compile(rf"[{DOT}. '-]")


def digits(value: str) -> str:
    """Without what groups them: spaces, hyphens, marks of direction."""
    return re.sub(r"[ -]", "", _half_width(value).translate(_DIRECTION_MARKS))


def mobile(value: str) -> str:
    """`+86 199-0000-1001` is `19900001001`."""
    return _COUNTRY_CODE.sub("", re.sub(r"[()]", "", digits(value)))


def landline(value: str) -> str:
    """`（028）1234 5678` is `02812345678`; hyphens stay, for an extension follows one."""
    joined = re.sub(r"[ ()]", "", _half_width(value).translate(_DIRECTION_MARKS))
    return _LANDLINE_COUNTRY_CODE.sub("0", joined)


def upper(value: str) -> str:
    """`digits` of a number with letters. Non-ASCII letters stay: `ı` would become `I`."""
    joined = digits(value)
    return joined.upper() if joined.isascii() else joined


def date(value: str) -> str:
    """`2028.1.5` and `2028年1月5日` are `20280105`."""
    text = _half_width(value).strip(" ")
    written = _WRITTEN_DATE.fullmatch(text)
    return text if written is None else f"{written[1]}{written[2]:0>2}{written[3]:0>2}"


def password(value: str) -> str:
    """Full-width digits are the same digits; anything else stays."""
    return value.translate(_FULL_WIDTH)


def name(value: str) -> str:
    """NFC. Between Chinese characters every dot is the one of ID cards; a space there is a dot too in a
    long name (阿卜杜拉 买买提), and nothing in a short one (张 三)."""
    text = unicodedata.normalize("NFC", _half_width(value)).strip(" ").translate(_OTHER_DOTS)
    text = _DOT_IN_HAN.sub(DOT, text)
    is_long = len(text.replace(" ", "")) > _LONGEST_WITHOUT_DOT
    return _SPACE_IN_HAN.sub(DOT if is_long else "", text)


def is_same_name(left: str, right: str) -> bool:
    """Whether two names differ in dots, spaces, hyphens and case alone."""
    return _name_key(left) == _name_key(right)


def is_likely_misread(read: str, known: str) -> bool:
    """Whether a name that was read is a known one but for a misreading: one or two characters in
    the place of others or lost, and more than half of them in order.
    """
    one, other = _name_key(read), _name_key(known)
    if one == other:
        return False
    common = sum(
        block.size for block in SequenceMatcher(None, one, other, False).get_matching_blocks()
    )
    longer = max(len(one), len(other))
    return longer - common <= _MAX_MISREAD and 2 * common >= longer


def _name_key(text: str) -> str:
    return _NOT_IN_KEY.sub("", name(text)).casefold()


def _half_width(value: str) -> str:
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in value)
    return spaced.translate(_FULL_WIDTH).translate(_DASHES)
