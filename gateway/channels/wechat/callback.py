"""Callbacks of WeChat and our replies (消息推送 · 消息加解密). No I/O.

Every error raises `ForgedCallback`, which does not say which check failed.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]

from core.kernel.clock import SECOND, Instant
from gateway.channels.contract import ForgedCallback
from gateway.channels.platform_client import is_current

BLOCK = 32
"""The platform pads to 32 bytes, not to AES's 16, so standard PKCS#7 unpadding fails."""
_RANDOM = 16
_LENGTH = 4


def sign(token: str, *parts: str) -> str:
    """SHA-1 of the sorted, joined parts: token, timestamp, nonce, in secure mode also Encrypt."""
    joined = "".join(sorted((token, *parts)))
    return hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the platform's algorithm


def read_message(body: bytes) -> dict[str, str]:
    """The top-level elements of the XML: no field that we use is nested."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as cause:
        raise ForgedCallback from cause
    fields = {child.tag: child.text or "" for child in root}
    if len(fields) != len(root):
        raise ForgedCallback
    return fields


class Callback:
    """Verifies callbacks by our token; in secure mode also decrypts them with our key."""

    def __init__(self, token: str, encoding_aes_key: str, app_id: str) -> None:
        self._token = token
        self._cipher = CallbackCipher(encoding_aes_key, app_id) if encoding_aes_key else None

    def __repr__(self) -> str:
        return "<Callback>"

    def check_url(self, query: Mapping[str, str], now: Instant) -> str:
        self._check_signature(query, now, query.get("signature", ""))
        return query.get("echostr", "")

    def read(self, query: Mapping[str, str], body: bytes, now: Instant) -> dict[str, str]:
        """The fields of a verified message. With an EncodingAESKey only secure mode is accepted.

        In plain mode the platform signs only timestamp and nonce, not the body: the caller must
        reject a repeated nonce.
        """
        sent = read_message(body)
        if self._cipher is None:
            self._check_signature(query, now, query.get("signature", ""))
            return sent
        encrypted = sent.get("Encrypt", "")
        self._check_signature(query, now, query.get("msg_signature", ""), encrypted)
        return read_message(self._cipher.decrypt(encrypted))

    def reply_text(self, to: Mapping[str, str], text: str, now: Instant) -> bytes:
        """被动回复文本消息."""
        reply = _xml(
            ToUserName=to.get("FromUserName", ""),
            FromUserName=to.get("ToUserName", ""),
            CreateTime=str(now // SECOND),
            MsgType="text",
            Content=text,
        )
        return reply if self._cipher is None else self._sealed(self._cipher, reply, now)

    def _sealed(self, cipher: "CallbackCipher", reply: bytes, now: Instant) -> bytes:
        encrypted = cipher.encrypt(reply, secrets.token_bytes(_RANDOM))
        timestamp, nonce = str(now // SECOND), secrets.token_hex(8)
        return _xml(
            Encrypt=encrypted,
            MsgSignature=sign(self._token, timestamp, nonce, encrypted),
            TimeStamp=timestamp,
            Nonce=nonce,
        )

    def _check_signature(
        self, query: Mapping[str, str], now: Instant, signature: str, *signed: str
    ) -> None:
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        in_form = is_current(timestamp, now) and nonce.isascii() and nonce.isalnum()
        if not (self._token and in_form):
            raise ForgedCallback
        expected = sign(self._token, timestamp, nonce, *signed)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise ForgedCallback


class CallbackCipher:
    """Secure mode: AES-256-CBC, plaintext = 16 random bytes + length + message + appid."""

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        self._key = base64.b64decode(encoding_aes_key + "=")
        self._app_id = app_id.encode()

    def __repr__(self) -> str:
        return "<CallbackCipher>"

    def decrypt(self, encrypted: str) -> bytes:
        """Returns the message. Check its signature first."""
        plain = _unpad(self._aes_decrypt(_decode(encrypted)))
        end = _RANDOM + _LENGTH + int.from_bytes(plain[_RANDOM : _RANDOM + _LENGTH], "big")
        if not hmac.compare_digest(plain[end:], self._app_id):
            raise ForgedCallback
        return plain[_RANDOM + _LENGTH : end]

    def encrypt(self, message: bytes, random: bytes) -> str:
        length = len(message).to_bytes(_LENGTH, "big")
        encryptor = self._aes().encryptor()
        plain = _pad(random + length + message + self._app_id)
        return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()

    def _aes_decrypt(self, sealed: bytes) -> bytes:
        decryptor = self._aes().decryptor()
        return decryptor.update(sealed) + decryptor.finalize()

    def _aes(self) -> Cipher[CBC]:
        return Cipher(AES256(self._key), CBC(self._key[:16]))


def _decode(encrypted: str) -> bytes:
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise ForgedCallback from cause
    if not sealed or len(sealed) % BLOCK:
        raise ForgedCallback
    return sealed


def _pad(plain: bytes) -> bytes:
    missing = BLOCK - len(plain) % BLOCK
    return plain + bytes([missing]) * missing


def _unpad(padded: bytes) -> bytes:
    padding = padded[-1]
    if not 1 <= padding <= BLOCK or padded[-padding:] != bytes([padding]) * padding:
        raise ForgedCallback
    return padded[:-padding]


def _xml(**fields: str) -> bytes:
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{inside}</xml>".encode()
