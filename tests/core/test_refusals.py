"""Waiting times in refusals."""

import pytest

from core.kernel.next_steps import LOSS_BY_PHONE
from core.kernel.refusals import TooManyCodes, TryAgainLater, waiting_time
from core.kernel.texts import Language
from tests.front_end import as_read


@pytest.mark.parametrize(
    ("seconds", "chinese", "english"),
    [
        (1, "1 秒", "1 second"),
        (59, "59 秒", "59 seconds"),
        (60, "1 分钟", "1 minute"),
        (61, "2 分钟", "2 minutes"),
        (3_540, "59 分钟", "59 minutes"),
        (3_541, "1 小时", "1 hour"),
        (3_600, "1 小时", "1 hour"),
        (5_400, "1 小时 30 分钟", "1 hour 30 minutes"),
        (86_400, "24 小时", "24 hours"),
    ],
)
def test_waiting_times_are_in_hours_and_minutes(seconds: int, chinese: str, english: str) -> None:
    assert waiting_time(seconds).zh == chinese
    assert waiting_time(seconds).en == english


def test_a_refusal_says_how_long_to_wait() -> None:
    refusal = TooManyCodes(retry_after=1_800)

    assert refusal.retry_after == 1_800
    assert as_read(refusal.message(Language.ZH)) == "获取验证码过于频繁，请 30 分钟后再试。"
    assert as_read(
        TooManyCodes(retry_after=60).with_next_step(LOSS_BY_PHONE).message(Language.EN)
    ) == (
        "Too many codes were requested; please try again in 1 minute. "
        "If your card is lost, you can report a temporary loss by calling 12333."
    )
    assert "in 5 seconds" in as_read(TryAgainLater(retry_after=5).message(Language.EN))
