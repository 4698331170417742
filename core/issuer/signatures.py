"""Signatures of the card issuer's events: a MAC over timestamp, a dot and the request body.

A further algorithm is one class and one line in `SIGNERS`.
"""

import hmac
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC


class EventSigner(Protocol):
    def sign(self, key: bytes, timestamp: str, body: bytes) -> str:
        """`timestamp` in Unix seconds, as the header has it."""


class HmacSha256:
    """Lowercase hex."""

    def sign(self, key: bytes, timestamp: str, body: bytes) -> str:
        return hmac.new(key, f"{timestamp}.".encode() + body, "sha256").hexdigest()


class HmacSm3:
    """Lowercase hex; SM3 is GB/T 32905."""

    def sign(self, key: bytes, timestamp: str, body: bytes) -> str:
        code = HMAC(key, hashes.SM3())
        code.update(f"{timestamp}.".encode() + body)
        return code.finalize().hex()


SIGNERS: dict[str, EventSigner] = {"hmac-sha256": HmacSha256(), "hmac-sm3": HmacSm3()}


def is_signed(signer: EventSigner, key: bytes, timestamp: str, body: bytes, signature: str) -> bool:
    """False for an empty key; compares in constant time."""
    if not key or not signature.isascii():
        return False
    return hmac.compare_digest(signer.sign(key, timestamp, body), signature)
