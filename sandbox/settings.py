"""The gateway's settings in the sandbox: partners and platforms are found at the gateway itself."""

from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

from core.citizens import Notice
from core.kernel.settings import Secret, Settings, stored_secrets
from sandbox.paths import MOUNT, var_dir
from sandbox.platforms import PLATFORMS

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
"""The playground, and budgets that a load test from one machine does not exhaust."""
_SAMPLES = {"collect_within_days": 90}
"""No source tells it; a sample, as the built-in outlets are."""
_LOOPBACK = ("127.0.0.1", "localhost")


def sandbox_settings(settings: Settings) -> Settings:
    """Fills in what the environment does not set, with addresses and keys of the sandbox."""
    filled = _pages(settings) | _partners(settings) | _keys(settings) | _platforms(settings)
    filled |= _DEVELOPER | _SAMPLES
    defaults = {entry.name: entry.default for entry in fields(settings)}
    missing = {
        name: value
        for name, value in filled.items()
        if name in defaults and getattr(settings, name) == defaults[name]
    }
    return replace(settings, sandbox=True, **missing)


def _pages(settings: Settings) -> dict[str, Any]:
    page = f"{settings.address}{MOUNT}/"
    return {
        "progress_url": f"{page}#PRODUCTION_PROGRESS",
        "wechat_query_url": page,
        "wechat_card_url": page,
    }


def _partners(settings: Settings) -> dict[str, Any]:
    partners = f"{settings.address}{MOUNT}/partners"
    return {f"{name}_url": f"{partners}/{name.replace('_', '-')}" for name in _PARTNERS}


def _keys(settings: Settings) -> dict[str, Any]:
    generated = stored_secrets(var_dir(settings) / "sandbox-keys.json")
    return {name: Secret(value) for name, value in generated.items()}


def _platforms(settings: Settings) -> dict[str, Any]:
    """The settings that all platforms have, by the channel's name, and a platform's own."""
    host = urlsplit(settings.address).hostname or ""
    domains = ",".join(dict.fromkeys((*_LOOPBACK, host)))
    filled: dict[str, Any] = {}
    for platform in PLATFORMS:
        name = platform.channel.value.lower()
        filled |= {
            f"{name}_url": f"{settings.address}{platform.path}",
            f"{name}_app_id": f"{platform.slug}-sandbox",
            f"{name}_redirect_domains": domains,
            f"{name}_templates": _TEMPLATES,
            **platform.settings(settings),
        }
    return filled
