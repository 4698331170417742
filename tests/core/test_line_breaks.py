"""Numbers stay together on a screen, and an SMS stays what every phone can show."""

import re
import unicodedata
from datetime import datetime
from typing import Any

import pytest

from core.citizens import Notice
from core.kernel.clock import CHINA, DAY, instant
from core.kernel.line_breaks import NO_BREAK_SPACE, WORD_JOINER, unbroken
from core.kernel.refusals import BY_CODE, waiting_time
from core.kernel.texts import Language, Text
from core.messaging.notices import text_of
from core.production import collection
from core.reference import Reference
from tests.clock import START

BREAKABLE = re.compile(r"[0-9][-–/][0-9]|[0-9] [^\W0-9]|[0-9][年月日时分秒]|[0-9][年月][0-9]")
"""Where browsers may break a number, or part it from its unit."""
JOINED = re.compile(f"[{WORD_JOINER}{NO_BREAK_SPACE}]")
SEGMENT = 67
"""UCS-2 characters of one part of a long SMS."""


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("请拨打 028-12333。", "请拨打 028-⁠12333。"),
        ("请 5 分钟后再试", "请 5\u00a0分钟后再试"),
        ("12月8日前", "12⁠月⁠8⁠日前"),
        ("9:00–17:00", "9:00–⁠17:00"),
        ("in 1 hour 30 minutes", "in 1\u00a0hour 30\u00a0minutes"),
        ("2028-10-21", "2028-⁠10-⁠21"),
        ("卡号 SAMPLE01X，510***********1236", "卡号 SAMPLE01X，510***********1236"),
    ],
)
def test_joins_what_belongs_together(text: str, joined: str) -> None:
    assert unbroken(text) == joined
    assert JOINED.sub(lambda found: "" if found[0] == WORD_JOINER else " ", joined) == text
    assert unbroken(joined) == joined


@pytest.mark.parametrize("language", Language)
def test_no_refusal_breaks_a_number(language: Language) -> None:
    shown = []
    for refusal in BY_CODE.values():
        names = set(re.findall(r"\{(\w+)\}", refusal.text.zh + refusal.text.en)) - {"wait"}
        given: Any = {name: Text("12 项", "12 items") for name in names}
        shown.append(refusal(retry_after=5_400, **given).message(language))

    assert not [text for text in shown if BREAKABLE.search(text)]
    assert [text for text in shown if JOINED.search(text)]


def test_the_texts_themselves_would_break() -> None:
    """The control."""
    assert BREAKABLE.search(waiting_time(5_400).zh)
    assert [
        text for text in (refusal.text.zh for refusal in BY_CODE.values()) if BREAKABLE.search(text)
    ]


def test_an_sms_has_only_what_every_phone_shows() -> None:
    where = collection.where_and_until(Reference.load(), "SAMPLE-510104-1", START, 90)

    for notice in Notice:
        text = f"【成都人社】{text_of(notice, where).zh}"
        strange = [letter for letter in text if unicodedata.category(letter) in ("Cf", "Cc", "Cn")]
        assert strange == []
        assert NO_BREAK_SPACE not in text
        assert len(text.encode("utf-16-le")) == 2 * len(text)
        assert len(f"【成都人社】{text_of(notice).zh}") <= 2 * SEGMENT
        assert len(text) <= 3 * SEGMENT


def test_the_last_day_is_named_in_both_languages() -> None:
    ready = instant(datetime(2026, 9, 9, 12, tzinfo=CHINA))

    where = collection.where_and_until(Reference.load(), "nowhere", ready, 90)

    assert where == Text("请在12月8日前领取。", "Collect it before 8 December.")
    assert collection.where_and_until(Reference.load(), "nowhere", ready + DAY, 0) == Text("", "")
