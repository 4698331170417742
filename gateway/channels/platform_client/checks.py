"""Checks of input that all channels share."""

import re

from core.kernel.clock import MINUTE, Instant

CLOCK_SKEW = 5 * MINUTE
"""Permitted difference between a platform's clock and ours."""

_STATE = re.compile(r"[A-Za-z0-9]{1,128}")
_CREDENTIAL = re.compile(r"[!-~]{1,512}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """base64url of 32 bytes, without padding (`S256` of RFC 7636)."""
    return _CHALLENGE.fullmatch(text) is not None


def is_credential(text: str) -> bool:
    """Whether the format is possible: 1 to 512 printable ASCII characters."""
    return _CREDENTIAL.fullmatch(text) is not None


def checked_state(state: str) -> str:
    """WeChat and UnionPay accept letters and digits only, at most 128 bytes."""
    if _STATE.fullmatch(state) is None:
        raise ValueError("a state is 1 to 128 ASCII letters and digits")
    return state


def is_current(timestamp: str, now: Instant) -> bool:
    """Whether a timestamp (ten digits, in seconds) is within the permitted clock skew."""
    if re.fullmatch(r"[0-9]{10}", timestamp) is None:
        return False
    return abs(int(timestamp) * 1000 - now) <= CLOCK_SKEW
