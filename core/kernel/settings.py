"""All settings of the gateway: read once when the application is composed, then immutable.

Each is read from the environment variable `CARD_GATEWAY_<NAME>`, or from a file of that name in
the directory `CARD_GATEWAY_SECRETS_DIR`.
"""

import base64
import ipaddress
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_type_hints

import msgspec

from core.crypto import MAX_KEYS, KeyRing, Suite
from core.db import Limits, WrongUrl, check_url
from core.kernel.lengths import NOTICE_VERSION

PREFIX = "CARD_GATEWAY_"
KEY_BYTES = 32

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """One sentence for the operator about what is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A string that is hidden in `repr` and logs; `reveal()` returns it."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        return self.value


TEMPLATE_VALUES = ("content", "event", "text", "time", "advice")


@dataclass(frozen=True, slots=True)
class Template:
    """A platform's message template: `fields` maps its field names to one of `TEMPLATE_VALUES`."""

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


_ANY = (0, 1_000_000_000)
_SOME = (1, 1_000_000_000)
_PORT = (0, 65_535)
_DATABASE_SECONDS = (0.001, 600)


def setting(default: Any, meaning: str, *, within: tuple[float, float] = _ANY) -> Any:
    """`within` are the least and the greatest number, of a setting that is one."""
    return field(default=default, metadata={"meaning": meaning, "within": within})


@dataclass(frozen=True, kw_only=True)
class Settings:
    # --- the server -----------------------------------------------------------------------
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on", within=_PORT)
    operations_host: str = setting("127.0.0.1", "address for operations_port")
    operations_port: int = setting(
        0,
        "port of its own for /metrics and the details of /readyz, the first of one for each "
        "worker; 0: on the public port",
        within=_PORT,
    )
    workers: int = setting(1, "server processes", within=(1, 256))
    worker: bool = setting(
        True,
        "deliver the outbox in the server process; off if `card-gateway work` runs separately "
        "(codes are delivered by the server that is asked for them, in either case)",
    )
    sandbox: bool = setting(False, "simulate platforms and partners; never in production")
    sandbox_confirmed: bool = setting(
        False,
        "the sandbox is meant even on a public address, or beside settings of a real gateway",
    )
    public_url: str = setting(
        "", "address under which clients reach the gateway, without a slash at the end"
    )
    trusted_proxies: str = setting(
        "",
        "networks of the reverse proxies that are believed about the client's address, separated "
        "by commas: 10.0.0.7, 10.1.0.0/16, fd00::/8; without them the peer counts as the client",
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = setting(
        "x-forwarded-for",
        "the one header that they set, x-forwarded-for or forwarded; the other is never read",
    )
    progress_url: str = setting(
        "",
        "page that shows the progress, target of the QR code on a receipt; "
        "{number} is replaced by the application number",
    )
    introspection: bool | None = setting(
        None, "allow introspection and serve the playground; by default only in the sandbox"
    )
    allowed_origins: str = setting("", "web origins allowed for every channel, separated by commas")
    wechat_origins: str = setting("", "web origins of the WeChat front-end, separated by commas")
    unionpay_origins: str = setting("", "as wechat_origins, for UnionPay")
    ping_an_origins: str = setting("", "as wechat_origins, for Ping An")
    operation_manifest: Path | None = setting(
        None, "JSON file of trusted documents: identifier to document, or an Apollo manifest"
    )
    only_trusted_documents: bool = setting(
        False, "execute only documents of the operation manifest"
    )
    session_budget: int = setting(
        1_200, "points per minute for a session; see extensions.cost", within=_SOME
    )
    address_budget: int = setting(
        60_000,
        "points per minute for a network address (many citizens may share one)",
        within=_SOME,
    )
    total_budget: int = setting(600_000, "points per minute for all callers together", within=_SOME)
    read_seconds: float = setting(
        10,
        "seconds within which a request's headers must be complete; also the grace period of its body",
        within=(0.01, 86_400),
    )
    min_upload_rate: int = setting(
        16_384,
        "bytes per second at which a body must arrive after the grace period",
        within=(0, 1_000_000_000),
    )
    max_connections: int = setting(
        4_000,
        "connections per server process, capped by the system's limit on open files",
        within=(1, 1_000_000),
    )
    max_connections_per_address: int = setting(
        64,
        "connections and WebSockets of one address, or of one IPv6 network (/64), per process",
        within=(1, 1_000_000),
    )
    max_body_bytes: int = setting(
        1_048_576, "largest request body without files", within=(1_024, 1_000_000_000)
    )
    max_upload_bytes: int = setting(
        10_485_760, "largest uploaded file", within=(1_024, 1_000_000_000)
    )
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    # --- data -----------------------------------------------------------------------------
    database_url: str = setting(
        "sqlite:///var/card-gateway.sqlite3",
        "sqlite:///path or postgresql://user@host/name; several servers as host:port,host:port, of "
        "which the first that takes writes is used",
    )
    database_deadline_seconds: float = setting(
        1.5,
        "seconds after which a read or change is given up and the citizen told to try again",
        within=_DATABASE_SECONDS,
    )
    database_acquire_seconds: float = setting(
        1.0, "seconds to wait for a free or new connection to PostgreSQL", within=_DATABASE_SECONDS
    )
    database_statement_seconds: float = setting(
        1.0, "seconds after which PostgreSQL itself ends a statement", within=_DATABASE_SECONDS
    )
    database_pool_size: int = setting(
        16, "connections to PostgreSQL per server process, at most", within=(1, 1_000)
    )
    database_partitions: int = setting(
        0,
        "hash partitions of each table of persons, made by the first migration of a PostgreSQL "
        "database; 0 for none",
        within=(0, 256),
    )
    database_statement_cache: bool = setting(
        True,
        "keep prepared statements on PostgreSQL; off behind PgBouncer in transaction mode, unless "
        "its max_prepared_statements is set",
    )
    redis_url: Secret = setting(
        Secret(""),
        "redis://host:port/number where workers share the platforms' tokens and the rate limits; "
        "optional",
    )
    live_relay: Literal["auto", "none"] = setting(
        "auto",
        "how workers notify each other of changes for live subscriptions; auto: LISTEN/NOTIFY on "
        "PostgreSQL, polling on SQLite; none: polling only",
    )
    objects_dir: Path = setting(Path("var/objects"), "folder of the encrypted pictures")
    objects_s3_bucket: str = setting(
        "", "bucket of an S3-compatible store that replaces objects_dir"
    )
    objects_s3_endpoint: str = setting("", "its address, as https://host:port")
    objects_s3_region: str = setting("us-east-1", "its region")
    objects_s3_access_key_id: str = setting("", "the access key's id")
    objects_s3_secret_access_key: Secret = setting(Secret(""), "the access key")
    outlets_csv: Path | None = setting(
        None, "CSV file of pickup outlets, with banks.csv beside it; the built-in ones are samples"
    )
    cipher_suite: Suite = setting(
        Suite.INTERNATIONAL, "encryption algorithms of personal columns: " + ", ".join(Suite)
    )
    column_keys: Secret = setting(
        Secret(""),
        "id:base64 of 32 bytes, separated by commas, the current key first",
    )
    index_keys: Secret = setting(Secret(""), "as column_keys, for the blind indexes")
    peppers: Secret = setting(Secret(""), "as column_keys, for codes and service passwords")
    audit_keys: Secret = setting(Secret(""), "as column_keys, for the audit chains")

    # --- rules of the services ------------------------------------------------------------
    card_check_character: bool = setting(
        False,
        "verify the card number's last character as MOD 11-2 (no published rule found)",
    )
    reissue_fee_fen: int = setting(0, "fee of a reissue in fen (sample)")
    collect_within_days: int = setting(
        0,
        "days that an outlet keeps a card that is ready; 0 if citizens are not told (no source)",
        within=(0, 3_650),
    )
    adult_age: int = setting(
        16, "age in years from which financial withholding can be opened online", within=(0, 150)
    )
    privacy_notice_version: str = setting(
        "1", "version of the privacy notice that citizens consent to"
    )
    privacy_notice_url: str = setting("", "URL of the privacy notice, shown by front-ends")
    consent_required: bool = setting(
        False, "refuse an application before `giveConsent`; otherwise applying counts as consent"
    )
    code_lifetime_seconds: int = setting(
        300, "seconds that a verification code is valid", within=(1, 86_400)
    )
    code_resend_seconds: int = setting(
        60, "seconds before a code may be sent again", within=(0, 86_400)
    )
    codes_own_hour: int = setting(
        10,
        "codes per hour that citizens may have sent to their own phone on file (sample)",
        within=_SOME,
    )
    codes_own_day: int = setting(20, "as codes_own_hour, per day (sample)", within=_SOME)
    codes_for_loss_hour: int = setting(
        10,
        "codes per hour to the own phone on file for 挂失, which nothing else uses up (sample)",
        within=_SOME,
    )
    codes_for_loss_day: int = setting(30, "as codes_for_loss_hour, per day (sample)", within=_SOME)
    codes_from_others_hour: int = setting(
        3,
        "codes per hour to a phone from everybody whose phone on file it is not (sample)",
        within=_SOME,
    )
    codes_from_others_day: int = setting(
        5, "as codes_from_others_hour, per day (sample)", within=_SOME
    )
    codes_per_account_hour: int = setting(
        5,
        "codes per hour that a channel account may have sent to phones not on file (sample)",
        within=_SOME,
    )
    codes_per_account_day: int = setting(
        10, "as codes_per_account_hour, per day (sample)", within=_SOME
    )
    codes_per_address_hour: int = setting(
        1_000,
        "codes per hour to phones not on file from one address, or one IPv6 network (/64); high, "
        "because carriers and halls share addresses (sample)",
        within=_SOME,
    )
    codes_in_all_hour: int = setting(
        36_000,
        "codes per hour to phones not on file, for all callers together (sample)",
        within=_SOME,
    )
    bindings_per_account_hour: int = setting(
        10, "attempts at 绑卡 per hour for a channel account (sample)", within=_SOME
    )
    wrong_codes_per_account_hour: int = setting(
        15,
        "wrong codes per hour for a citizen, or a session without one, over all phones (sample)",
        within=_SOME,
    )
    wrong_codes_per_address_hour: int = setting(
        300,
        "as wrong_codes_per_account_hour, for an address and phones not on file (sample)",
        within=_SOME,
    )
    portrait_min_kb: int = setting(
        14, "smallest stored portrait in KB (differs by city)", within=(1, 10_240)
    )
    portrait_max_kb: int = setting(
        40, "largest stored portrait in KB (differs by city)", within=(1, 10_240)
    )
    retention_days: int = setting(
        180, "days to keep delivered messages, issuer events and ended sessions", within=(1, 36_500)
    )
    session_hours: int = setting(2, "maximum lifetime of a session in hours", within=(1, 8_760))
    audit_anchor_seconds: int = setting(
        60, "seconds between two anchors of the audit chains", within=(1, 86_400)
    )

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
        "require a `challenge` (PKCE-like) for a sign-in state, so that it works in one browser only; "
        "on by default, except in the sandbox",
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
        "notice:template id, separated by commas: CARD_READY:…, LOSS_REPORTED:…; after a second "
        "colon the values of the template's fields, out of content, event, text, time and "
        "advice: CARD_READY:…:thing1=event;time2=time",
    )
    wechat_query_url: str = setting("", "page that the menu's 社保查询 opens, for 绑卡")
    wechat_card_url: str = setting("", "page that the menu's 新社保卡 opens")
    unionpay_mini_program_id: str = setting("", "mini-program that sends the messages")
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
        trusted_networks(self.trusted_proxies)
        self._check_numbers()
        self._check_database()

    def _check_numbers(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            least, most = entry.metadata["within"]
            if not least <= value <= most:
                raise SettingsError(
                    f"{variable(entry.name)} must be from {least} to {most}, for example "
                    f"{entry.default}."
                )

    def _check_database(self) -> None:
        try:
            check_url(self.database_url)
        except WrongUrl as error:
            raise SettingsError(f"{variable('database_url')} {error}") from None

    @property
    def database_limits(self) -> Limits:
        return Limits(
            deadline_seconds=self.database_deadline_seconds,
            acquire_seconds=self.database_acquire_seconds,
            statement_seconds=self.database_statement_seconds,
            pool_size=self.database_pool_size,
            statement_cache=self.database_statement_cache,
        )

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Environment variables take precedence over files in the secrets directory."""
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
    def operations_ports(self) -> range:
        """One for each worker; none without the setting."""
        first = self.operations_port
        return range(first, first + (self.workers if first else 0))

    @property
    def address(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def template(self, channel: str, notice: str) -> "Template | None":
        """The platform's template for a notice; None if the channel does not send it."""
        templates: str = getattr(self, f"{channel.lower()}_templates", "")
        found = (part for part in split(templates) if part.partition(":")[0] == notice)
        return next((Template.parse(part) for part in found), None)

    @property
    def browsers_must_be_bound(self) -> bool:
        return not self.sandbox if self.bind_browsers is None else self.bind_browsers

    def missing(self) -> list[str]:
        """Names of unset variables that are required outside the sandbox."""
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
    "trusted_proxies",
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


def trusted_networks(text: str) -> tuple[Network, ...]:
    """Parses `trusted_proxies`. A network that holds every address would believe everybody."""
    networks: list[Network] = []
    for part in split(text):
        network: Network | None
        try:
            network = ipaddress.ip_network(part)
        except ValueError:
            network = None
        if network is None or network.prefixlen == 0:
            raise SettingsError(
                f"{variable('trusted_proxies')}: {part!r} is not the network of a proxy. "
                "Right are, for example, 10.0.0.7, 10.1.0.0/16 and fd00::/8, separated by commas."
            )
        networks.append(network)
    return tuple(networks)


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


def stored_secrets(file: Path) -> dict[str, str]:
    """The sandbox's keys: generated at its first start and stored, so that its data stays readable."""
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
