"""Keyed marks for what is never read back: verification codes, states, links, audit entries.

Two key rings: the peppers guard codes and passwords, the audit keys guard the history.
A mark is `key id length | key id | HMAC-SHA-256`.
"""

import hmac
from dataclasses import dataclass

from core.encryption import KeyRing


@dataclass(frozen=True)
class Seals:
    peppers: KeyRing
    audit_keys: KeyRing

    def code(self, *parts: str | int) -> bytes:
        return _mark(self.peppers, "code", parts)

    def matches_code(self, mark: bytes, *parts: str | int) -> bool:
        return _matches(self.peppers, mark, "code", parts)

    def link(self, *parts: str | int) -> str:
        """A short mark in hex for what travels in a URL."""
        return _mark(self.peppers, "link", parts)[-32:][:16].hex()

    def matches_link(self, mark: str, *parts: str | int) -> bool:
        return any(
            hmac.compare_digest(mark, _mac(key, "link", parts)[:16].hex())
            for key in self.peppers.keys.values()
        )

    def audit(self, *parts: str | int) -> bytes:
        return _mark(self.audit_keys, "audit", parts)

    def matches_audit(self, mark: bytes, *parts: str | int) -> bool:
        return _matches(self.audit_keys, mark, "audit", parts)

    def pepper(self, value: str) -> tuple[str, bytes]:
        """The current pepper's id and the peppered value."""
        key_id = self.peppers.current
        return key_id, _mac(self.peppers.keys[key_id], "password", (value,))

    def pepper_again(self, key_id: str, value: str) -> bytes | None:
        key = self.peppers.keys.get(key_id)
        return None if key is None else _mac(key, "password", (value,))


def _mark(ring: KeyRing, kind: str, parts: tuple[str | int, ...]) -> bytes:
    key_id = ring.current
    return _prefix(key_id) + _mac(ring.keys[key_id], kind, parts)


def _matches(ring: KeyRing, mark: bytes, kind: str, parts: tuple[str | int, ...]) -> bool:
    return any(
        hmac.compare_digest(mark, _prefix(key_id) + _mac(key, kind, parts))
        for key_id, key in ring.keys.items()
        if mark.startswith(_prefix(key_id))
    )


def _prefix(key_id: str) -> bytes:
    encoded = key_id.encode("ascii")
    return bytes([len(encoded)]) + encoded


def _mac(key: bytes, kind: str, parts: tuple[str | int, ...]) -> bytes:
    message = "\0".join([kind, *(f"{len(str(part))}:{part}" for part in parts)])
    return hmac.digest(key, message.encode(), "sha256")
