"""What is checked alike for every channel, before anything is done with it."""

import re

from core.kernel.clock import MINUTE, Instant

CLOCK_SKEW = 5 * MINUTE
"""How far a platform's clock may be from ours, either way."""

_STATE = re.compile(r"[A-Za-z0-9]{1,128}")
_CREDENTIAL = re.compile(r"[!-~]{1,512}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """base64url of 32 bytes, without padding (`S256` of RFC 7636)."""
    return _CHALLENGE.fullmatch(text) is not None


def is_credential(text: str) -> bool:
    """Whether an app could have sent it: nothing else is worth a call."""
    return _CREDENTIAL.fullmatch(text) is not None


def checked_state(state: str) -> str:
    """Both platforms with a state take letters and digits only, at most 128 bytes."""
    if _STATE.fullmatch(state) is None:
        raise ValueError("a state is 1 to 128 ASCII letters and digits")
    return state


def is_current(timestamp: str, now: Instant) -> bool:
    """Whether a timestamp in whole seconds, as ten digits, lies within the permitted skew."""
    if re.fullmatch(r"[0-9]{10}", timestamp) is None:
        return False
    return abs(int(timestamp) * 1000 - now) <= CLOCK_SKEW
