"""Signatures of calls to Ping An: the two variants that public integrations use.

The variant depends on the operator's contract, so a setting selects the signer.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.kernel.clock import CHINA, Instant, moment
from core.kernel.settings import Settings, SettingsError, variable


class Signer(Protocol):
    def body(self, now: Instant) -> Mapping[str, Any]:
        """The signed body of a call made without an access token."""
        ...

    def user_info_body(self, user_token: str, now: Instant) -> Mapping[str, Any]:
        """The body of a request for user information."""
        ...

    def accepted(self, envelope: Mapping[str, Any]) -> bool:
        """Whether the envelope of a reply reports success."""
        ...


class Md5Signer:
    """`cipherText` = md5 of the concatenated names and values, including the app key."""

    def __init__(self, app_id: str, app_key: str) -> None:
        self._app_id = app_id
        self._app_key = app_key

    def __repr__(self) -> str:
        return "<Md5Signer>"

    def body(self, now: Instant) -> dict[str, str]:
        timestamp, series = str(now), _random_series()
        signed = f"appId{self._app_id}appKey{self._app_key}randomSeries{series}timestamp{timestamp}"
        return {
            "appId": self._app_id,
            "timestamp": timestamp,
            "randomSeries": series,
            "cipherText": hashlib.md5(signed.encode()).hexdigest(),  # noqa: S324 - prescribed
        }

    def user_info_body(self, user_token: str, now: Instant) -> dict[str, str]:
        """Not signed: the user token authenticates the call."""
        return {"userAccessToken": user_token}

    def accepted(self, envelope: Mapping[str, Any]) -> bool:
        return str(envelope.get("code")) == "200"


class RsaSigner:
    """`sign` = base64 of SHA1withRSA over the JSON of `message`."""

    def __init__(self, app_id: str, private_key_pem: str) -> None:
        key = load_pem_private_key(private_key_pem.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("Ping An's signer needs an RSA key")
        self._app_id = app_id
        self._key = key

    def __repr__(self) -> str:
        return "<RsaSigner>"

    def body(self, now: Instant) -> dict[str, Any]:
        return self._signed(now)

    def user_info_body(self, user_token: str, now: Instant) -> dict[str, Any]:
        return self._signed(now, userToken=user_token)

    def _signed(self, now: Instant, **more: str) -> dict[str, Any]:
        message = {
            "appId": self._app_id,
            "timestamp": f"{moment(now).astimezone(CHINA):%Y%m%d%H%M%S}",
            "randomSeries": _random_series(),
            **more,
        }
        signature = self._key.sign(orjson.dumps(message), PKCS1v15(), SHA1())  # noqa: S303 - prescribed
        return {
            "appId": self._app_id,
            "sign": base64.b64encode(signature).decode(),
            "message": message,
        }

    def accepted(self, envelope: Mapping[str, Any]) -> bool:
        return envelope.get("success") is True


def build_signer(settings: Settings) -> Signer:
    """Raises `SettingsError` for an invalid private key."""
    if settings.ping_an_signer == "md5":
        return Md5Signer(settings.ping_an_app_id, settings.ping_an_app_key.reveal())
    try:
        return RsaSigner(settings.ping_an_app_id, settings.ping_an_private_key.reveal())
    except (ValueError, UnsupportedAlgorithm) as cause:
        name = variable("ping_an_private_key")
        raise SettingsError(f"{name} must hold an RSA private key in PEM.") from cause


def _random_series() -> str:
    return f"{secrets.randbelow(10**10):010d}"
