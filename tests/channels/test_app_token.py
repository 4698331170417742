"""The shared token: one fetch for all, renewed before its end, replaced once when refused."""

import asyncio

import pytest

from core.kernel.clock import MINUTE, SECOND
from gateway.channels.platform_client import AppToken, Issued, PlatformRefused
from gateway.channels.platform_client.app_token import MARGIN

from .parts import NOW

LIFETIME = 7200


class Platform:
    """Issues `token1`, `token2`, …; keeps handing out the last one unless told to renew."""

    def __init__(self, *, always_new: bool) -> None:
        self.asked: list[bool] = []
        self._always_new = always_new
        self._number = 1

    async def issue(self, now: int, force_new: bool) -> Issued:
        await asyncio.sleep(0.01)
        if self.asked and (force_new or self._always_new):
            self._number += 1
        self.asked.append(force_new)
        return Issued(f"token{self._number}", LIFETIME)


def is_stale(code: str) -> bool:
    return code == "stale"


async def test_is_fetched_once_for_all_tasks() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)

    tokens = await asyncio.gather(*(token.current(NOW) for _ in range(100)))

    assert set(tokens) == {"token1"}
    assert platform.asked == [False]


async def test_is_renewed_shortly_before_its_end() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)
    await token.current(NOW)
    renewal = NOW + LIFETIME * SECOND - MARGIN

    before, after = await token.current(renewal - 1), await token.current(renewal)

    assert (before, after) == ("token1", "token2")
    assert MARGIN < 5 * MINUTE


async def test_a_token_from_before_the_clock_was_set_back_is_renewed() -> None:
    """Its end is not known: it would be used for as long as the clock went back."""
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)
    await token.current(NOW)

    little, far = await token.current(NOW - 30 * SECOND), await token.current(NOW - 30 * MINUTE)

    assert (little, far) == ("token1", "token2")
    assert token.is_older_than(MINUTE, NOW - 31 * MINUTE)
    assert not token.is_older_than(MINUTE, NOW - 30 * MINUTE)


async def test_is_replaced_once_when_many_calls_find_it_refused() -> None:
    platform = Platform(always_new=False)
    token = AppToken(platform.issue)
    used: list[str] = []

    async def call(value: str) -> str:
        used.append(value)
        await asyncio.sleep(0.01)
        if value == "token1":
            raise PlatformRefused("stale")
        return value

    answers = await asyncio.gather(*(token.use(call, NOW, is_stale) for _ in range(50)))

    assert set(answers) == {"token2"}
    assert platform.asked == [False, False, True]
    assert (used.count("token1"), used.count("token2")) == (50, 50)


async def test_demands_no_new_one_where_another_process_has_renewed_it() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)
    await token.current(NOW)

    renewed = await token.after_refusal("token1", NOW)

    assert renewed == "token2"
    assert platform.asked == [False, False]


async def test_gives_up_after_the_second_refusal() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)
    used: list[str] = []

    async def call(value: str) -> str:
        used.append(value)
        raise PlatformRefused("stale")

    with pytest.raises(PlatformRefused):
        await token.use(call, NOW, is_stale)

    assert used == ["token1", "token2"]


async def test_another_refusal_replaces_nothing() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)

    async def call(value: str) -> str:
        raise PlatformRefused("other")

    with pytest.raises(PlatformRefused, match="other"):
        await token.use(call, NOW, is_stale)

    assert platform.asked == [False]


async def test_a_fetch_goes_on_when_the_first_who_waited_is_cancelled() -> None:
    platform = Platform(always_new=True)
    token = AppToken(platform.issue)
    first = asyncio.create_task(token.current(NOW))
    second = asyncio.create_task(token.current(NOW))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == "token1"
    assert platform.asked == [False]


async def test_all_who_wait_share_a_failure_and_the_next_asks_again() -> None:
    asked = 0

    async def issue(now: int, force_new: bool) -> Issued:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        if asked == 1:
            raise PlatformRefused("down")
        return Issued("token", LIFETIME)

    token = AppToken(issue)

    outcomes = await asyncio.gather(
        *(token.current(NOW) for _ in range(10)), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {PlatformRefused}
    assert await token.current(NOW) == "token"
    assert asked == 2


def test_shows_nothing() -> None:
    assert "secret" not in repr(Issued("secret", 1))
