from pathlib import Path
from typing import Any

import pytest

from core.kernel.settings import Settings
from sandbox.settings import sandbox_settings


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return {"objects_dir": tmp_path / "objects", "port": 8123}


def test_nothing_is_missing_in_the_sandbox(given: dict[str, Any]) -> None:
    settings = sandbox_settings(Settings(**given))

    assert settings.missing() == []
    assert settings.sandbox
    assert settings.introspection


def test_every_address_leads_into_the_sandbox(given: dict[str, Any]) -> None:
    settings = sandbox_settings(Settings(**given))

    root = "http://127.0.0.1:8123/sandbox"
    assert settings.sms_url == f"{root}/partners/sms"
    assert settings.population_registry_url == f"{root}/partners/population-registry"
    assert settings.insurance_registry_url == f"{root}/partners/insurance-registry"
    assert settings.card_registry_url == f"{root}/partners/card-registry"
    assert settings.issuer_url == f"{root}/partners/issuer"
    assert settings.wechat_url == f"{root}/platforms/wechat"
    assert settings.unionpay_url == f"{root}/platforms/unionpay"
    assert settings.ping_an_url == f"{root}/platforms/ping-an"


def test_keys_are_drawn_once_and_kept(given: dict[str, Any], tmp_path: Path) -> None:
    first = sandbox_settings(Settings(**given))
    second = sandbox_settings(Settings(**given))

    assert first == second
    assert len(first.unionpay_symmetric_key.reveal()) == 48
    assert (tmp_path / "sandbox-keys.json").stat().st_mode & 0o777 == 0o600


def test_what_the_environment_gives_stays(given: dict[str, Any]) -> None:
    own: dict[str, Any] = {
        "sms_url": "https://sms.test",
        "wechat_app_id": "wx-own",
        "introspection": False,
    }

    settings = sandbox_settings(Settings(**given, **own))

    assert settings.sms_url == "https://sms.test"
    assert settings.wechat_app_id == "wx-own"
    assert not settings.introspection
    assert settings.unionpay_app_id == "unionpay-sandbox"


def test_the_citizen_may_be_sent_back_to_this_machine_and_the_public_host(
    given: dict[str, Any],
) -> None:
    local = sandbox_settings(Settings(**given))
    public = sandbox_settings(Settings(**given, public_url="https://cards.test:8443"))

    assert local.wechat_redirect_domains == "127.0.0.1,localhost"
    assert public.unionpay_redirect_domains == "127.0.0.1,localhost,cards.test"
