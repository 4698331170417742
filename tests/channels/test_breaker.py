"""The breaker, with time passed in."""

import pytest

from gateway.channels.platform_client import PlatformFailed, PlatformRefused
from gateway.channels.platform_client.breaker import FAILURES_TO_OPEN, REST, Breaker, CircuitOpen

from .parts import NOW


def fail(breaker: Breaker, now: int, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(PlatformFailed), breaker.passage(now):
            raise PlatformFailed("down")


def succeed(breaker: Breaker, now: int) -> None:
    with breaker.passage(now):
        pass


def is_open(breaker: Breaker, now: int) -> bool:
    try:
        breaker.check(now)
    except CircuitOpen:
        return True
    return False


def test_stays_closed_below_the_limit() -> None:
    breaker = Breaker()

    fail(breaker, NOW, FAILURES_TO_OPEN - 1)

    assert not is_open(breaker, NOW)


def test_opens_after_consecutive_failures_until_the_rest_is_over() -> None:
    breaker = Breaker()

    fail(breaker, NOW, FAILURES_TO_OPEN)

    assert is_open(breaker, NOW)
    assert is_open(breaker, NOW + REST - 1)
    assert not is_open(breaker, NOW + REST)


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker()

    fail(breaker, NOW, FAILURES_TO_OPEN - 1)
    succeed(breaker, NOW)
    fail(breaker, NOW, FAILURES_TO_OPEN - 1)

    assert not is_open(breaker, NOW)


def test_a_refusal_is_an_answer() -> None:
    breaker = Breaker()

    fail(breaker, NOW, FAILURES_TO_OPEN - 1)
    with pytest.raises(PlatformRefused), breaker.passage(NOW):
        raise PlatformRefused("40029")
    fail(breaker, NOW)

    assert not is_open(breaker, NOW)


def test_lets_one_probe_through_and_closes_when_it_succeeds() -> None:
    breaker = Breaker()
    fail(breaker, NOW, FAILURES_TO_OPEN)

    with breaker.passage(NOW + REST):
        during = is_open(breaker, NOW + REST)

    assert during
    assert not is_open(breaker, NOW + REST)


def test_a_refused_probe_closes_it_too() -> None:
    breaker = Breaker()
    fail(breaker, NOW, FAILURES_TO_OPEN)

    with pytest.raises(PlatformRefused), breaker.passage(NOW + REST):
        raise PlatformRefused("a31")

    assert not is_open(breaker, NOW + REST)


def test_rests_again_after_a_failed_probe() -> None:
    breaker = Breaker()
    fail(breaker, NOW, FAILURES_TO_OPEN)

    fail(breaker, NOW + REST)

    assert is_open(breaker, NOW + 2 * REST - 1)
    assert not is_open(breaker, NOW + 2 * REST)


def test_a_cancelled_probe_leaves_room_for_the_next() -> None:
    breaker = Breaker()
    fail(breaker, NOW, FAILURES_TO_OPEN)

    with pytest.raises(KeyboardInterrupt), breaker.passage(NOW + REST):
        raise KeyboardInterrupt

    assert not is_open(breaker, NOW + REST)
    fail(breaker, NOW + REST)
    assert is_open(breaker, NOW + REST)


def test_calls_begun_before_it_opened_change_nothing() -> None:
    breaker = Breaker()
    early = breaker.passage(NOW)
    early.__enter__()
    fail(breaker, NOW, FAILURES_TO_OPEN)

    early.__exit__(None, None, None)

    assert is_open(breaker, NOW)
