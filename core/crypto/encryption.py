"""Column encryption and blind indexes for personal data at rest.

A sealed value is `key id length (1 byte) | key id | nonce (12) | ciphertext and tag`. Column and
owner are associated data: a value moved to another row or column does not decrypt. An index is
`key id length | key id | MAC`, so that keys can be rotated row by row.

Source: NIST SP 800-38D (AES-GCM), RFC 8998 (SM4-GCM), RFC 2104 (HMAC), GB/T 32905 (SM3).
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

MAX_KEYS = 4
"""Maximum keys in a ring: the current one and those still being replaced."""


class Suite(StrEnum):
    """Algorithms for column encryption and blind indexes."""

    INTERNATIONAL = "aes-256-gcm+hmac-sha256"
    CHINESE = "sm4-gcm+hmac-sm3"


class CannotOpen(Exception):
    """A sealed value was altered or moved, or its key is missing."""


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


class _Sm4Gcm:
    """SM4-GCM with the interface of `AESGCM`. Uses the key's first 16 bytes: SM4 has 128-bit keys."""

    _TAG = 16

    def __init__(self, key: bytes) -> None:
        self._key = key[:16]

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        encryptor = Cipher(algorithms.SM4(self._key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        body, tag = data[: -self._TAG], data[-self._TAG :]
        decryptor = Cipher(algorithms.SM4(self._key), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(body) + decryptor.finalize()


@dataclass(frozen=True)
class KeyRing:
    """Keys by id. New values use the first; existing values may use any of them."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        return next(iter(self.keys))


class Vault:
    """Encrypts and decrypts personal values, and computes their blind indexes.

    Values and indexes under the current keys begin with `column_prefix` and `index_prefix`.
    """

    _NONCE = 12

    def __init__(self, suite: Suite, column_keys: KeyRing, index_keys: KeyRing) -> None:
        cipher = AESGCM if suite is Suite.INTERNATIONAL else _Sm4Gcm
        digest = "sha256" if suite is Suite.INTERNATIONAL else "sm3"
        self._ciphers: dict[bytes, _Aead] = {
            _prefix(name): cipher(key) for name, key in column_keys.keys.items()
        }
        self._macs = {
            _prefix(name): hmac.new(key, digestmod=digest) for name, key in index_keys.keys.items()
        }
        self.column_prefix = _prefix(column_keys.current)
        self.index_prefix = _prefix(index_keys.current)

    def seal(self, value: str | bytes, column: str, owner: int) -> bytes:
        data = value.encode() if isinstance(value, str) else value
        nonce = os.urandom(self._NONCE)
        cipher = self._ciphers[self.column_prefix]
        return (
            self.column_prefix + nonce + cipher.encrypt(nonce, data, f"{column}:{owner}".encode())
        )

    def open_bytes(self, sealed: bytes, column: str, owner: int) -> bytes:
        body = sealed[0] + 1 if sealed else 0
        cipher = self._ciphers.get(sealed[:body])
        if cipher is None:
            raise CannotOpen(f"no key for a value of {column}")
        nonce, data = sealed[body : body + self._NONCE], sealed[body + self._NONCE :]
        try:
            return cipher.decrypt(nonce, data, f"{column}:{owner}".encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(f"a value of {column} was altered or moved") from error

    def open(self, sealed: bytes, column: str, owner: int) -> str:
        return self.open_bytes(sealed, column, owner).decode()

    def is_current_key(self, sealed: bytes) -> bool:
        """Whether the value is encrypted under the current key."""
        return sealed.startswith(self.column_prefix)

    def index(self, value: str, kind: str) -> bytes:
        """The blind index of a value. `kind` separates equal values of different columns."""
        return self._mac(self.index_prefix, value, kind)

    def indexes(self, value: str, kind: str) -> list[bytes]:
        """The value's index under each key in use, the current key first."""
        return [self._mac(prefix, value, kind) for prefix in self._macs]

    def _mac(self, prefix: bytes, value: str, kind: str) -> bytes:
        mac = self._macs[prefix].copy()
        mac.update(f"{kind}\0{value}".encode())
        return prefix + mac.digest()


class Sealed(Struct, frozen=True):
    """An encrypted value as stored in its row; `reveal()` decrypts it."""

    vault: Vault
    data: bytes
    column: str
    owner: int

    def __repr__(self) -> str:
        return f"Sealed(column={self.column!r}, owner={self.owner})"

    def reveal(self) -> str:
        return self.vault.open_bytes(self.data, self.column, self.owner).decode()


def _prefix(name: str) -> bytes:
    encoded = name.encode("ascii")
    return bytes([len(encoded)]) + encoded
