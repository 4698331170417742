"""UnionPay's signatures and field encryption (云闪付开放平台 · 接口文档). No I/O."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.channels.contract import ForgedCallback

MAX_FIELDS = 64


class UnreadableField(Exception):
    """An encrypted field that cannot be decrypted with the key."""


class FieldCipher(Protocol):
    """Decrypts the personal fields of replies, which are encrypted one by one."""

    def decrypt(self, encrypted: str) -> str:
        """Raises `UnreadableField`."""
        ...


class TripleDesFields:
    """3DES in ECB mode, PKCS#5 padding, base64, as the platform prescribes."""

    def __init__(self, hex_key: str) -> None:
        self._key = bytes.fromhex(hex_key)

    def __repr__(self) -> str:
        return "<TripleDesFields>"

    def decrypt(self, encrypted: str) -> str:
        decryptor = Cipher(TripleDES(self._key), ECB()).decryptor()  # noqa: S305 - as above
        unpadder = PKCS7(TripleDES.block_size).unpadder()
        try:
            sealed = base64.b64decode(encrypted, validate=True)
            padded = decryptor.update(sealed) + decryptor.finalize()
            return (unpadder.update(padded) + unpadder.finalize()).decode()
        except ValueError as cause:
            raise UnreadableField from cause


def token_signature(app_id: str, nonce: str, secret: str, timestamp: str) -> str:
    """SHA-256 over the fields in ASCII order of their names. The secret itself is never sent."""
    signed = f"appId={app_id}&nonceStr={nonce}&secret={secret}&timestamp={timestamp}"
    return hashlib.sha256(signed.encode()).hexdigest()


def signed_string(fields: Mapping[str, str]) -> str:
    return "&".join(f"{key}={fields[key]}" for key in sorted(fields) if key != "signature")


def read_notification(body: bytes, public_key_pem: str) -> dict[str, str]:
    """The fields of a form that UnionPay signed with SHA256withRSA. Raises `ForgedCallback`."""
    fields = _form(body)
    _check_unambiguous(fields)
    signature = _canonical_base64(fields.get("signature", ""))
    try:
        _public_key(public_key_pem).verify(
            signature, signed_string(fields).encode(), PKCS1v15(), SHA256()
        )
    except InvalidSignature as cause:
        raise ForgedCallback from cause
    return fields


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as cause:
        raise ForgedCallback from cause
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ForgedCallback
    return fields


def _check_unambiguous(fields: Mapping[str, str]) -> None:
    """The signed string has no escaping: an `&` in a value or an `=` in a name is ambiguous."""
    if any("&" in key + value or "=" in key for key, value in fields.items()):
        raise ForgedCallback


def _canonical_base64(text: str) -> bytes:
    """Several base64 texts decode to the same bytes; only the canonical one is accepted."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise ForgedCallback from cause
    if base64.b64encode(decoded).decode() != text:
        raise ForgedCallback
    return decoded


def _public_key(pem: str) -> RSAPublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("UnionPay's public key is not an RSA key")
    return key
