"""Every setting of the gateway: read once where the application is put together, then frozen.

Each comes from an environment variable `CARD_GATEWAY_<NAME>`, or from a file of that name
(in lower case) in the folder that `CARD_GATEWAY_SECRETS_DIR` names.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_type_hints

import msgspec

from core.crypto import MAX_KEYS, KeyRing, Suite
from core.kernel.lengths import NOTICE_VERSION

PREFIX = "CARD_GATEWAY_"
KEY_BYTES = 32


class SettingsError(Exception):
    """One sentence for the operator about what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself only when asked to."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        return self.value


TEMPLATE_VALUES = ("content", "event", "text", "time", "advice")


@dataclass(frozen=True, slots=True)
class Template:
    """A platform's message template: `fields` are its own names, each with what fills it."""

    id: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """`notice:id`, or `notice:id:field=value;field=value`."""
        _, _, rest = text.partition(":")
        id_, _, given = rest.partition(":")
        pairs = (part.partition("=") for part in given.split(";") if part)
        fields = {name.strip(): value.strip() for name, _, value in pairs}
        if not id_ or not set(fields.values()) <= set(TEMPLATE_VALUES):
            raise SettingsError(
                f"A message template must be NOTICE:id or NOTICE:id:field=value;… with values of "
                f"{', '.join(TEMPLATE_VALUES)}, not {text!r}."
            )
        return cls(id_, fields or {"content": "content"})


def setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Settings:
    # --- the server -----------------------------------------------------------------------
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on")
    workers: int = setting(1, "server processes")
    worker: bool = setting(
        True, "deliver the outbox in the server; off where `card-gateway work` runs apart"
    )
    sandbox: bool = setting(False, "stand in for the outside world; never in production")
    public_url: str = setting(
        "", "address under which clients reach the gateway, without a slash at the end"
    )
    progress_url: str = setting(
        "",
        "page that shows the progress, where the QR code of a receipt leads; "
        "{number} stands for the application number",
    )
    introspection: bool | None = setting(
        None, "answer introspection and serve the playground; by default only in the sandbox"
    )
    allowed_origins: str = setting(
        "", "web origins that may call for every channel, separated by commas"
    )
    wechat_origins: str = setting("", "web origins of WeChat's front-end, separated by commas")
    unionpay_origins: str = setting("", "as wechat_origins, for UnionPay")
    ping_an_origins: str = setting("", "as wechat_origins, for Ping An")
    operation_manifest: Path | None = setting(
        None, "JSON file of trusted documents: identifier and document, or Apollo's manifest"
    )
    only_trusted_documents: bool = setting(
        False, "run the operation manifest's documents and no others"
    )
    session_budget: int = setting(1_200, "points a minute for a session; see extensions.cost")
    address_budget: int = setting(
        60_000, "points a minute for an address (many citizens may share one)"
    )
    total_budget: int = setting(600_000, "points a minute for everybody together")
    read_seconds: float = setting(
        10, "seconds within which a request's head must be whole, and grace for its body"
    )
    min_upload_rate: int = setting(
        16_384, "bytes a second at which a body must come after that grace"
    )
    max_connections: int = setting(
        4_000, "connections of a server process, as far as the system's limit allows"
    )
    max_body_bytes: int = setting(1_048_576, "largest request body without files")
    max_upload_bytes: int = setting(10_485_760, "largest uploaded file")
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    # --- data -----------------------------------------------------------------------------
    database_url: str = setting(
        "sqlite:///var/card-gateway.sqlite3",
        "sqlite:///path or postgresql://user@host/name",
    )
    redis_url: Secret = setting(
        Secret(""),
        "redis://host:port/number where workers share the platforms' tokens and the wake-ups of "
        "live subscriptions; optional",
    )
    live_relay: Literal["auto", "redis", "postgresql", "none"] = setting(
        "auto",
        "how workers tell each other that a card has moved on; auto: by redis_url where it is "
        "given, otherwise by the PostgreSQL that holds the data; none, and SQLite: by looking",
    )
    objects_dir: Path = setting(Path("var/objects"), "folder of the encrypted pictures")
    objects_s3_bucket: str = setting(
        "", "bucket of an S3-compatible store, where pictures lie there and not in the folder"
    )
    objects_s3_endpoint: str = setting("", "its address, as https://host:port")
    objects_s3_region: str = setting("us-east-1", "its region")
    objects_s3_access_key_id: str = setting("", "the access key's id")
    objects_s3_secret_access_key: Secret = setting(Secret(""), "the access key")
    outlets_csv: Path | None = setting(
        None, "outlets and banks of the operator; the built-in ones are samples"
    )
    cipher_suite: Suite = setting(
        Suite.INTERNATIONAL, "algorithms of personal columns: " + ", ".join(Suite)
    )
    column_keys: Secret = setting(
        Secret(""),
        "id:base64 of 32 bytes, separated by commas, the current key first",
    )
    index_keys: Secret = setting(Secret(""), "as column_keys, for the keyed indexes")
    peppers: Secret = setting(Secret(""), "as column_keys, for codes and service passwords")
    audit_keys: Secret = setting(Secret(""), "as column_keys, for the audit chains")

    # --- rules of the services ------------------------------------------------------------
    card_check_character: bool = setting(
        False,
        "verify the card number's last character as MOD 11-2 (no published rule found)",
    )
    reissue_fee_fen: int = setting(0, "fee of a reissue in fen (sample)")
    adult_age: int = setting(16, "years from which financial withholding can be opened online")
    privacy_notice_version: str = setting("1", "version of the notice citizens consent to")
    privacy_notice_url: str = setting("", "where that notice stands, for front-ends to show")
    consent_required: bool = setting(
        False, "refuse an application before `giveConsent`; otherwise applying is the consent"
    )
    code_lifetime_seconds: int = setting(300, "how long a verification code is valid")
    code_resend_seconds: int = setting(60, "wait before a code is sent again")
    codes_per_phone_hour: int = setting(5, "codes an hour for a phone, all purposes")
    codes_per_phone_day: int = setting(10, "codes a day for a phone, all purposes")
    codes_per_session_hour: int = setting(10, "codes an hour for a session")
    codes_per_address_hour: int = setting(60, "codes an hour for a network address")
    codes_in_all_minute: int = setting(600, "codes a minute for everybody together")
    portrait_min_kb: int = setting(14, "smallest stored portrait in KB (differs by city)")
    portrait_max_kb: int = setting(40, "largest stored portrait in KB (differs by city)")
    retention_days: int = setting(
        180, "days that delivered effects, messages, issuer events and ended sessions are kept"
    )
    session_hours: int = setting(2, "longest lifetime of a session")
    audit_anchor_seconds: int = setting(60, "how often the audit chains are anchored together")

    # --- partners -------------------------------------------------------------------------
    sms_url: str = setting("", "SMS gateway")
    sms_token: Secret = setting(Secret(""), "bearer token of the SMS gateway")
    population_registry_url: str = setting("", "population registry")
    population_registry_token: Secret = setting(Secret(""), "its bearer token")
    insurance_registry_url: str = setting("", "insurance registry")
    insurance_registry_token: Secret = setting(Secret(""), "its bearer token")
    card_registry_url: str = setting("", "provincial card registry")
    card_registry_token: Secret = setting(Secret(""), "its bearer token")
    issuer_url: str = setting("", "card issuer")
    issuer_token: Secret = setting(Secret(""), "bearer token of the card issuer")
    issuer_event_signer: Literal["hmac-sha256", "hmac-sm3"] = setting(
        "hmac-sha256", "how the issuer signs its events: hmac-sha256 or hmac-sm3"
    )
    issuer_event_key: Secret = setting(Secret(""), "key with which the issuer signs its events")

    # --- channels -------------------------------------------------------------------------
    bind_browsers: bool | None = setting(
        None,
        "give a sign-in state only to a browser that keeps a verifier for it (`challenge`); "
        "by default everywhere but in the sandbox",
    )
    channels_off: str = setting("", "channels switched off, separated by commas")
    wechat_url: str = setting("https://api.weixin.qq.com", "WeChat API")
    wechat_authorize_url: str = setting(
        "https://open.weixin.qq.com/connect/oauth2/authorize", "WeChat authorize page"
    )
    wechat_app_id: str = setting("", "WeChat official account")
    wechat_secret: Secret = setting(Secret(""), "its secret")
    wechat_token: Secret = setting(Secret(""), "token of its callback")
    wechat_aes_key: Secret = setting(Secret(""), "EncodingAESKey of its callback")
    wechat_redirect_domains: str = setting(
        "", "hosts that WeChat may send the citizen back to, separated by commas"
    )
    wechat_templates: str = setting(
        "",
        "notice:template id, separated by commas: CARD_READY:…, LOSS_REPORTED:…; behind a second "
        "colon what fills the template's own fields, out of content, event, text, time and "
        "advice: CARD_READY:…:thing1=event;time2=time",
    )
    wechat_query_url: str = setting("", "page that the menu's 社保查询 opens, for 绑卡")
    wechat_card_url: str = setting("", "page that the menu's 新社保卡 opens")
    unionpay_mini_program_id: str = setting("", "mini-program in whose name messages are sent")
    unionpay_templates: str = setting("", "as wechat_templates")
    unionpay_url: str = setting("https://open.95516.com", "UnionPay open platform")
    unionpay_authorize_url: str = setting(
        "https://open.95516.com/s/open/html/oauth.html", "UnionPay authorize page"
    )
    unionpay_app_id: str = setting("", "UnionPay application")
    unionpay_secret: Secret = setting(Secret(""), "its secret")
    unionpay_symmetric_key: Secret = setting(
        Secret(""), "48 hex digits: 3DES key of its encrypted fields"
    )
    unionpay_public_key: str = setting("", "PEM: UnionPay's key for notifications")
    unionpay_leaving_types: str = setting(
        "",
        "types of UnionPay's notifications by which a user withdraws, separated by commas: "
        "binding, sessions and channel data are then removed (the types are not published)",
    )
    unionpay_redirect_domains: str = setting(
        "", "hosts that UnionPay may send the citizen back to, separated by commas"
    )
    ping_an_url: str = setting("", "Ping An open platform (modelled)")
    ping_an_app_id: str = setting("", "Ping An application")
    ping_an_signer: Literal["md5", "rsa"] = setting(
        "md5", "how calls to Ping An are signed: md5 with its key, rsa with the private key"
    )
    ping_an_app_key: Secret = setting(Secret(""), "its key, for md5")
    ping_an_private_key: Secret = setting(Secret(""), "PEM: our private key, for rsa")
    ping_an_templates: str = setting("", "as wechat_templates")

    def __post_init__(self) -> None:
        for entry in fields(self):
            if entry.name.endswith("_templates"):
                for part in split(getattr(self, entry.name)):
                    Template.parse(part)
        if not 0 < len(self.privacy_notice_version) <= NOTICE_VERSION:
            raise SettingsError(
                f"{variable('privacy_notice_version')} must have 1 to {NOTICE_VERSION} characters."
            )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From the environment, and from the secrets folder where the environment is silent."""
        environment = os.environ if environment is None else environment
        given = _secrets_in(environment.get(PREFIX + "SECRETS_DIR")) | {
            name: value for name, value in environment.items() if value
        }
        types = get_type_hints(cls)
        return cls(
            **{
                entry.name: _converted(given[name], types[entry.name], name)
                for entry in fields(cls)
                if (name := variable(entry.name)) in given
            }
        )

    @property
    def address(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def template(self, channel: str, notice: str) -> "Template | None":
        """The platform's template for a notice; None where that channel does not tell it."""
        templates: str = getattr(self, f"{channel.lower()}_templates", "")
        found = (part for part in split(templates) if part.partition(":")[0] == notice)
        return next((Template.parse(part) for part in found), None)

    @property
    def browsers_must_be_bound(self) -> bool:
        return not self.sandbox if self.bind_browsers is None else self.bind_browsers

    def missing(self) -> list[str]:
        """The variables without which the real outside world cannot be reached."""
        off = tuple(f"{channel}_" for channel in split(self.channels_off.lower()))
        return [
            variable(entry.name)
            for entry in fields(self)
            if entry.default in ("", Secret(""))
            and entry.name not in _OPTIONAL | _UNUSED_WITH[self.ping_an_signer]
            and not entry.name.startswith(off)
            and getattr(self, entry.name) == entry.default
        ]


_OPTIONAL = {
    "privacy_notice_url",
    "objects_s3_bucket",
    "objects_s3_endpoint",
    "objects_s3_access_key_id",
    "objects_s3_secret_access_key",
    "redis_url",
    "public_url",
    "allowed_origins",
    "wechat_origins",
    "unionpay_origins",
    "ping_an_origins",
    "channels_off",
    "unionpay_public_key",
    "unionpay_mini_program_id",
    "unionpay_templates",
    "unionpay_leaving_types",
    "wechat_aes_key",
    "wechat_templates",
    "wechat_query_url",
    "wechat_card_url",
    "ping_an_templates",
}


_UNUSED_WITH = {"md5": {"ping_an_private_key"}, "rsa": {"ping_an_app_key"}}


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def _secrets_in(folder: str | None) -> dict[str, str]:
    if folder is None:
        return {}
    try:
        files = [file for file in Path(folder).iterdir() if file.is_file()]
        return {file.name.upper(): file.read_text("utf-8").strip() for file in files}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{PREFIX}SECRETS_DIR: the folder {folder} cannot be read.") from None


def _converted(text: str, kind: Any, name: str) -> Any:
    if kind is Secret:
        return Secret(text)
    if kind in (Path, Path | None):
        return Path(text)
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name} is not valid: {error}.") from None


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def key_ring(ring: Secret, name: str) -> KeyRing:
    """Parses `id:base64, id:base64`."""
    keys: dict[str, bytes] = {}
    for part in split(ring.reveal()):
        key_id, _, encoded = part.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not (0 < len(key_id) < 64 and key_id.isascii()) or len(key) != KEY_BYTES:
            raise SettingsError(
                f"{variable(name)} must hold id:base64 of {KEY_BYTES} bytes, separated by commas."
            )
        keys[key_id] = key
    if not keys:
        raise SettingsError(f"{variable(name)} is missing.")
    if len(keys) > MAX_KEYS:
        raise SettingsError(f"{variable(name)} may hold {MAX_KEYS} keys at most.")
    return KeyRing(keys)


def kept_secrets(file: Path) -> dict[str, str]:
    """The sandbox's own keys: drawn at its first start and kept, so that its data stays readable."""
    if file.exists():
        return dict(json.loads(file.read_text()))
    generated = {
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
    generated["wechat_aes_key"] = (
        base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode().rstrip("=")
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(generated, indent=1))
    return generated
