"""Every setting of the gateway: read once where the application is put together, then frozen.

Each comes from an environment variable `CARD_GATEWAY_<NAME>`, or from a file of that name
(in lower case) in the folder that `CARD_GATEWAY_SECRETS_DIR` names.
"""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.encryption import KeyRing, Suite

PREFIX = "CARD_GATEWAY_"
KEY_BYTES = 32


class SettingsError(Exception):
    """One sentence for the operator about what is missing or wrong."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
    )

    # --- the server -----------------------------------------------------------------------
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=64, description="server processes")
    sandbox: bool = Field(False, description="stand in for the outside world; never in production")
    public_url: str = Field(
        "", description="address under which clients reach the gateway, without a slash at the end"
    )
    introspection: bool = Field(False, description="answer introspection and serve the playground")
    allowed_origins: str = Field(
        "", description="web origins of the channels' front-ends, separated by commas"
    )
    max_body_bytes: int = Field(1_048_576, description="largest request body without files")
    max_upload_bytes: int = Field(10_485_760, description="largest uploaded file")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    # --- data -----------------------------------------------------------------------------
    database_url: str = Field(
        "sqlite:///var/card-gateway.sqlite3",
        description="sqlite:///path or postgresql://user@host/name",
    )
    objects_dir: Path = Field(Path("var/objects"), description="folder of the encrypted pictures")
    outlets_csv: Path | None = Field(
        None, description="outlets and banks of the operator; the built-in ones are samples"
    )
    cipher_suite: Suite = Field(
        Suite.INTERNATIONAL, description="algorithms of personal columns: " + ", ".join(Suite)
    )
    column_keys: SecretStr = Field(
        SecretStr(""),
        description="id:base64 of 32 bytes, separated by commas, the current key first",
    )
    index_keys: SecretStr = Field(
        SecretStr(""), description="as column_keys, for the keyed indexes"
    )
    peppers: SecretStr = Field(
        SecretStr(""), description="as column_keys, for codes and service passwords"
    )
    audit_keys: SecretStr = Field(SecretStr(""), description="as column_keys, for the audit chains")

    # --- rules of the services ------------------------------------------------------------
    card_check_character: bool = Field(
        False,
        description="verify the card number's last character as MOD 11-2 (no published rule found)",
    )
    reissue_fee_fen: int = Field(0, ge=0, description="fee of a reissue in fen (sample)")
    adult_age: int = Field(
        16, description="years from which financial withholding can be opened online"
    )
    privacy_notice_version: str = Field(
        "1", description="version of the notice citizens consent to"
    )
    code_lifetime_seconds: int = Field(300, description="how long a verification code is valid")
    code_resend_seconds: int = Field(60, description="wait before a code is sent again")
    codes_per_phone_hour: int = Field(5, description="codes an hour for a phone, all purposes")
    codes_per_phone_day: int = Field(10, description="codes a day for a phone, all purposes")
    codes_per_session_hour: int = Field(10, description="codes an hour for a session")
    codes_per_address_hour: int = Field(60, description="codes an hour for a network address")
    portrait_min_kb: int = Field(14, description="smallest stored portrait in KB (differs by city)")
    portrait_max_kb: int = Field(40, description="largest stored portrait in KB (differs by city)")
    session_hours: int = Field(2, description="longest lifetime of a session")

    # --- partners -------------------------------------------------------------------------
    sms_url: str = Field("", description="SMS gateway")
    sms_token: SecretStr = Field(SecretStr(""), description="bearer token of the SMS gateway")
    population_registry_url: str = Field("", description="population registry")
    population_registry_token: SecretStr = Field(SecretStr(""), description="its bearer token")
    insurance_registry_url: str = Field("", description="insurance registry")
    insurance_registry_token: SecretStr = Field(SecretStr(""), description="its bearer token")
    card_registry_url: str = Field("", description="provincial card registry")
    card_registry_token: SecretStr = Field(SecretStr(""), description="its bearer token")
    issuer_url: str = Field("", description="card issuer")
    issuer_token: SecretStr = Field(SecretStr(""), description="bearer token of the card issuer")
    issuer_event_key: SecretStr = Field(
        SecretStr(""), description="key with which the issuer signs its events"
    )

    # --- channels -------------------------------------------------------------------------
    channels_off: str = Field("", description="channels switched off, separated by commas")
    wechat_url: str = Field("https://api.weixin.qq.com", description="WeChat API")
    wechat_authorize_url: str = Field(
        "https://open.weixin.qq.com/connect/oauth2/authorize", description="WeChat authorize page"
    )
    wechat_app_id: str = Field("", description="WeChat official account")
    wechat_secret: SecretStr = Field(SecretStr(""), description="its secret")
    wechat_token: SecretStr = Field(SecretStr(""), description="token of its callback")
    wechat_aes_key: SecretStr = Field(SecretStr(""), description="EncodingAESKey of its callback")
    wechat_redirect_domains: str = Field(
        "", description="hosts that WeChat may send the citizen back to, separated by commas"
    )
    unionpay_url: str = Field("https://open.95516.com", description="UnionPay open platform")
    unionpay_authorize_url: str = Field(
        "https://open.95516.com/s/open/html/oauth.html", description="UnionPay authorize page"
    )
    unionpay_app_id: str = Field("", description="UnionPay application")
    unionpay_secret: SecretStr = Field(SecretStr(""), description="its secret")
    unionpay_symmetric_key: SecretStr = Field(
        SecretStr(""), description="48 hex digits: 3DES key of its encrypted fields"
    )
    unionpay_public_key: str = Field("", description="PEM: UnionPay's key for notifications")
    unionpay_redirect_domains: str = Field(
        "", description="hosts that UnionPay may send the citizen back to, separated by commas"
    )
    ping_an_url: str = Field("", description="Ping An open platform (modelled)")
    ping_an_app_id: str = Field("", description="Ping An application")
    ping_an_app_key: SecretStr = Field(SecretStr(""), description="its key")

    @field_validator("public_url", "wechat_url", "unionpay_url", "ping_an_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @classmethod
    def read(cls, **given: Any) -> Self:
        """From the environment and the secrets folder; `given` wins over both."""
        folder = os.environ.get(PREFIX + "SECRETS_DIR")
        return cls(_secrets_dir=folder or None, **given)  # type: ignore[call-arg]

    @property
    def address(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(split(self.allowed_origins))

    def missing(self) -> list[str]:
        """The settings without which the real outside world cannot be reached."""
        off = set(split(self.channels_off.upper()))
        needed = [
            name
            for name, field in type(self).model_fields.items()
            if _is_needed(name, field.default) and _channel_of(name) not in off
        ]
        return [PREFIX + name.upper() for name in needed if not _text(getattr(self, name))]


_OPTIONAL = {
    "public_url",
    "allowed_origins",
    "channels_off",
    "unionpay_public_key",
    "wechat_aes_key",
}


def _is_needed(name: str, default: object) -> bool:
    return name not in _OPTIONAL and (
        default == "" or (isinstance(default, SecretStr) and not default.get_secret_value())
    )


def _channel_of(name: str) -> str | None:
    return next(
        (
            channel
            for channel in ("WECHAT", "UNIONPAY", "PING_AN")
            if name.upper().startswith(channel)
        ),
        None,
    )


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def key_ring(setting: SecretStr, name: str) -> KeyRing:
    """Parses `id:base64, id:base64`."""
    keys: dict[str, bytes] = {}
    for part in split(setting.get_secret_value()):
        key_id, _, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not (0 < len(key_id) < 64 and key_id.isascii()) or len(key) != KEY_BYTES:
            raise SettingsError(
                f"{PREFIX}{name.upper()} must hold id:base64 of {KEY_BYTES} bytes, separated by commas."
            )
        keys[key_id] = key
    if not keys:
        raise SettingsError(f"{PREFIX}{name.upper()} is missing.")
    return KeyRing(keys)


def kept_secrets(file: Path) -> dict[str, str]:
    """The sandbox's own keys: drawn at its first start and kept, so that its data stays readable."""
    if file.exists():
        return dict(json.loads(file.read_text()))
    drawn = {
        name: f"sandbox:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"
        for name in ("column_keys", "index_keys", "peppers", "audit_keys")
    } | {
        name: secrets.token_hex(24)
        for name in (
            "sms_token",
            "population_registry_token",
            "insurance_registry_token",
            "card_registry_token",
            "issuer_token",
            "issuer_event_key",
            "wechat_secret",
            "wechat_token",
            "unionpay_secret",
            "unionpay_symmetric_key",
            "ping_an_app_key",
        )
    }
    drawn["wechat_aes_key"] = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(drawn, indent=1))
    return drawn
