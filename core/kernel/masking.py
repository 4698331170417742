"""Masking of personal data for display, and redaction of numbers in free text."""

import re
import unicodedata

_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Za-z]*[0-9])[0-9A-Za-z]{7,}"  # letters alone are not redacted
    r"|\d(?: ?\d){6,}[Xx]?"
)
"""Seven or more characters: a card number has 9, a phone 11, a social security number 18."""


def mask_name(name: str) -> str:
    """`张**`: the first character."""
    return name[:1] + "*" * (len(name) - 1)


def mask_number(number: str) -> str:
    """`510***********123X`: the first three and the last four."""
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"


def mask_phone(phone: str) -> str:
    """`138****5678`."""
    return f"{phone[:3]}****{phone[-4:]}"


def redact_numbers(text: str) -> str:
    """The text on one line, with everything that may be a personal number replaced by `***`."""
    visible = "".join(character for character in text if unicodedata.category(character)[0] != "C")
    return _NUMBER.sub("***", visible).strip().rstrip("。.")
