"""The OAuth `state`: alphanumeric, valid for ten minutes, redeemed once.

Issuing writes nothing to the database: a state consists of time, nonce and MAC. A front-end may
bind it to its browser as in PKCE: it generates a verifier, sends its SHA-256 as challenge when it
requests the state, and presents the verifier at sign-in. RFC 6749 section 10.12, RFC 7636
section 4.
"""

import base64
import hashlib
import secrets

from core.citizens import nonces
from core.crypto import Seals
from core.db import Reader, Writes
from core.kernel.callers import ChannelId
from core.kernel.clock import MINUTE, Instant, is_within

LIFETIME = 10 * MINUTE
_TIME, _NONCE, _MAC = 12, 16, 32


def issue(seals: Seals, channel: ChannelId, now: Instant, challenge: str = "") -> str:
    """60 hexadecimal characters."""
    nonce = secrets.token_hex(_NONCE // 2)
    return f"{now:0{_TIME}x}{nonce}{_keyed_mac(seals, channel, now, nonce, challenge)}"


def nonce_of(
    seals: Seals, channel: ChannelId, state: str, now: Instant, verifier: str = ""
) -> str | None:
    """The nonce of a valid state that was issued for this channel and verifier, otherwise None."""
    if len(state) != _TIME + _NONCE + _MAC or not state.isascii():
        return None
    time, nonce, mac = state[:_TIME], state[_TIME:-_MAC], state[-_MAC:]
    try:
        issued_at = int(time, 16)
    except ValueError:
        return None
    challenge = challenge_of(verifier) if verifier else ""
    if not seals.matches_link(mac, "state", channel, issued_at, nonce, challenge):
        return None
    return nonce if is_within(issued_at + LIFETIME, LIFETIME, now) else None


def challenge_of(verifier: str) -> str:
    """base64url of the SHA-256 without padding (`S256` of RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def redeem(
    db: Reader, writes: Writes, nonce: str, credential_mac: str, pair_mac: str, now: Instant
) -> bool:
    """False if the state or the credential was redeemed before in another combination.

    WeChat's browsers may call back twice with the same code and state, which is one sign-in. An
    intercepted code must not work with another state. `pair_mac` is the MAC of both.
    """
    state, credential, pair = (
        ("state", nonce),
        ("credential", credential_mac),
        ("state-credential", pair_mac),
    )
    used = await nonces.used(db, state, credential, pair)
    if state in used:
        return pair in used
    if used:
        return False
    for scope, value in (state, credential, pair):
        nonces.take(writes, scope, value, now + LIFETIME)
    return True


def _keyed_mac(seals: Seals, channel: ChannelId, now: Instant, nonce: str, challenge: str) -> str:
    return seals.link("state", channel, now, nonce, challenge)
