"""MACs for verification codes, states, links and audit records, and encryption of password hashes.

Two key rings: the peppers for codes and passwords, the audit keys for the audit log and receipts. A MAC is
`key id length | key id | HMAC-SHA-256`. A password hash is encrypted with AES-256-GCM under a key
derived from the pepper.

The MAC of a set is the sum of its members' HMACs modulo 2^256, so it does not depend on their order.
Without the key the HMAC of a new member is unknown, and which members have a given sum too; a member
must not occur in two sets, or else their sums could be combined.
"""

import base64
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.crypto.encryption import CannotOpen, KeyRing

_NONCE = 12
_SUM_BYTES = 32
SUM_MODULUS: int = 1 << 8 * _SUM_BYTES


@dataclass(frozen=True)
class Seals:
    peppers: KeyRing
    audit_keys: KeyRing

    def code(self, *parts: str | int) -> bytes:
        return _keyed_mac(self.peppers, "code", parts)

    def matches_code(self, mac: bytes, *parts: str | int) -> bool:
        return _matches(self.peppers, mac, "code", parts)

    def link(self, *parts: str | int) -> str:
        """A short MAC in hexadecimal, for URLs."""
        return _keyed_mac(self.peppers, "link", parts)[-32:][:16].hex()

    def matches_link(self, mac: str, *parts: str | int) -> bool:
        return any(
            hmac.compare_digest(mac, _mac(key, "link", parts)[:16].hex())
            for key in self.peppers.keys.values()
        )

    def audit(self, *parts: str | int) -> bytes:
        return _keyed_mac(self.audit_keys, "audit", parts)

    def matches_audit(self, mac: bytes, *parts: str | int) -> bool:
        return _matches(self.audit_keys, mac, "audit", parts)

    def audit_set(self, members: Iterable[str]) -> bytes:
        """The MAC of a set of texts, none of which occurs in another set."""
        key_id = self.audit_keys.current
        keyed = _keyed_hmac(self.audit_keys.keys[key_id])
        total = sum([_of_member(keyed, member) for member in members]) % SUM_MODULUS
        return _prefix(key_id) + total.to_bytes(_SUM_BYTES)

    def audit_sum(self, mac: bytes) -> tuple[str, int] | None:
        """Key id and sum of a set's MAC; None if no key of the ring can have made it."""
        for key_id in self.audit_keys.keys:
            prefix = _prefix(key_id)
            if mac.startswith(prefix) and len(mac) == len(prefix) + _SUM_BYTES:
                return key_id, int.from_bytes(mac[len(prefix) :])
        return None

    def audit_member(self, key_id: str, member: str) -> int:
        """What a member adds to the sum of its set."""
        return _of_member(_keyed_hmac(self.audit_keys.keys[key_id]), member)

    def receipts(self, number: str) -> list[bytes]:
        """The MAC of a receipt's number under each audit key, the current one first.

        Audit keys are kept as long as audit entries: a paper can be verified as long.
        """
        return [_mac(key, "receipt", (number,)) for key in self.audit_keys.keys.values()]

    def hash(self, owner: int, encoded: str) -> str:
        """Encrypts a password hash for its owner: `pepper id$base64 of nonce, ciphertext, tag`."""
        key_id, nonce = self.peppers.current, os.urandom(_NONCE)
        sealed = self._cipher(key_id).encrypt(nonce, encoded.encode(), _owner(owner))
        return f"{key_id}${base64.b64encode(nonce + sealed).decode()}"

    @property
    def hash_prefix(self) -> str:
        """The first characters of a hash that is encrypted under the current pepper."""
        return f"{self.peppers.current}$"

    def is_current_mac(self, mac: bytes) -> bool:
        """Whether an audit MAC was computed with the current audit key."""
        return mac.startswith(_prefix(self.audit_keys.current))

    def open_hash(self, owner: int, stored: str) -> str:
        key_id, _, encoded = stored.partition("$")
        try:
            data = base64.b64decode(encoded, validate=True)
            cipher = self._cipher(key_id)
            return cipher.decrypt(data[:_NONCE], data[_NONCE:], _owner(owner)).decode()
        except (KeyError, ValueError, InvalidTag) as error:
            raise CannotOpen("a password's hash was altered or moved, or has no pepper") from error

    def _cipher(self, key_id: str) -> AESGCM:
        return AESGCM(_mac(self.peppers.keys[key_id], "password", ()))


def _owner(owner: int) -> bytes:
    return f"service_passwords.hash:{owner}".encode("ascii")


def _keyed_mac(ring: KeyRing, kind: str, parts: tuple[str | int, ...]) -> bytes:
    key_id = ring.current
    return _prefix(key_id) + _mac(ring.keys[key_id], kind, parts)


def _matches(ring: KeyRing, mac: bytes, kind: str, parts: tuple[str | int, ...]) -> bool:
    return any(
        hmac.compare_digest(mac, _prefix(key_id) + _mac(key, kind, parts))
        for key_id, key in ring.keys.items()
        if mac.startswith(_prefix(key_id))
    )


def _prefix(key_id: str) -> bytes:
    encoded = key_id.encode("ascii")
    return bytes([len(encoded)]) + encoded


def _mac(key: bytes, kind: str, parts: tuple[str | int, ...]) -> bytes:
    message = "\0".join([kind, *[f"{len(text)}:{text}" for text in map(str, parts)]])
    mac = _keyed_hmac(key).copy()
    mac.update(message.encode())
    return mac.digest()


def _of_member(keyed: hmac.HMAC, member: str) -> int:
    mac = keyed.copy()
    mac.update(b"member\0" + member.encode())
    return int.from_bytes(mac.digest())


@lru_cache(maxsize=32)
def _keyed_hmac(key: bytes) -> hmac.HMAC:
    """Copied for each message: the key setup costs several times as much as the message."""
    return hmac.new(key, digestmod="sha256")
