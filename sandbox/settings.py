"""The settings with which the gateway finds the sandbox where the real world would be."""

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from core.citizens import Notice
from core.kernel.settings import Secret, Settings, stored_secrets

MOUNT = "/sandbox"
_PARTNERS = ("sms", "population_registry", "insurance_registry", "card_registry", "issuer")
_TEMPLATES = ",".join(
    f"{notice}:sandbox-{notice.lower()}:event=event;time=time;text=text;advice=advice"
    for notice in Notice
)
_DEVELOPER = {
    "introspection": True,
    "session_budget": 10_000_000,
    "address_budget": 10_000_000,
    "total_budget": 100_000_000,
}
"""The playground, and budgets that load from one machine does not use up."""
_LOOPBACK = ("127.0.0.1", "localhost")


def sandbox_settings(settings: Settings) -> Settings:
    """What the environment does not give points into the sandbox, under its own kept keys."""
    filled = _addresses(settings) | _keys(settings) | _apps(settings) | _DEVELOPER
    defaults = {entry.name: entry.default for entry in fields(settings)}
    missing = {
        name: value
        for name, value in filled.items()
        if name in defaults and getattr(settings, name) == defaults[name]
    }
    return replace(settings, sandbox=True, **missing)


def world_file(settings: Settings) -> Path:
    return _var_dir(settings) / "sandbox-world.sqlite3"


def unionpay_key(settings: Settings) -> RSAPrivateKey:
    """With which the sandbox signs UnionPay's notifications: drawn at the first start and kept."""
    return _loaded(_kept_key(_var_dir(settings) / "sandbox-unionpay-key.pem"))


@cache
def _loaded(pem: bytes) -> RSAPrivateKey:
    """OpenSSL proves a key's primes whenever one is loaded, and takes a twentieth of a second."""
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _kept_key(file: Path) -> bytes:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(_drawn_key())
    return file.read_bytes()


@cache
def _drawn_key() -> bytes:
    """Drawing one takes a tenth of a second, so a process draws no more than one."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _ping_an_key(settings: Settings) -> dict[str, Any]:
    """Drawn only where the gateway is told to sign with one."""
    if settings.ping_an_signer != "rsa":
        return {}
    pem = _kept_key(_var_dir(settings) / "sandbox-ping-an-key.pem").decode()
    return {"ping_an_private_key": Secret(pem)}


def _unionpay_public_key(settings: Settings) -> str:
    key = unionpay_key(settings).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _var_dir(settings: Settings) -> Path:
    return settings.objects_dir.parent


def _addresses(settings: Settings) -> dict[str, Any]:
    sandbox = settings.address + MOUNT
    partners = {f"{name}_url": f"{sandbox}/partners/{_slug(name)}" for name in _PARTNERS}
    return partners | {
        "wechat_url": f"{sandbox}/platforms/wechat",
        "unionpay_url": f"{sandbox}/platforms/unionpay",
        "ping_an_url": f"{sandbox}/platforms/ping-an",
    }


def _keys(settings: Settings) -> dict[str, Any]:
    drawn = stored_secrets(_var_dir(settings) / "sandbox-keys.json")
    return {name: Secret(value) for name, value in drawn.items()}


def _apps(settings: Settings) -> dict[str, Any]:
    host = urlsplit(settings.address).hostname or ""
    domains = ",".join(dict.fromkeys((*_LOOPBACK, host)))
    return {
        "wechat_app_id": "wx-sandbox",
        "wechat_redirect_domains": domains,
        "unionpay_app_id": "unionpay-sandbox",
        "unionpay_public_key": _unionpay_public_key(settings),
        "unionpay_redirect_domains": domains,
        "unionpay_leaving_types": "AUTH_CANCELLED",
        "ping_an_app_id": "ping-an-sandbox",
        **_ping_an_key(settings),
        "unionpay_mini_program_id": "mp-sandbox",
        "progress_url": f"{settings.address}{MOUNT}/#PRODUCTION_PROGRESS",
        "wechat_query_url": f"{settings.address}{MOUNT}/",
        "wechat_card_url": f"{settings.address}{MOUNT}/",
        **{f"{channel}_templates": _TEMPLATES for channel in ("wechat", "unionpay", "ping_an")},
    }


def _slug(name: str) -> str:
    return name.replace("_", "-")
