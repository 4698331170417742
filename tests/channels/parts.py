"""Settings, a moment and made-up people for the tests of the channels."""

import base64
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from core.kernel.settings import Secret, Settings

NOW = 1_790_000_000_000
NAME = "欧阳测试"
NUMBER = "51010419900307123X"
PHONE = "13800001234"
SYMMETRIC_KEY = "0123456789abcdef23456789abcdef01456789abcdef0123"

CREDENTIALS: dict[str, Any] = {
    "wechat_url": "https://wechat.test",
    "wechat_app_id": "wx0000000000000001",
    "wechat_secret": "wechat-app-secret",
    "wechat_token": "wechatcallbacktoken",
    "wechat_aes_key": "",
    "wechat_redirect_domains": "card.test, localhost",
    "unionpay_url": "https://unionpay.test",
    "unionpay_app_id": "up0000000000000001",
    "unionpay_secret": "unionpay-app-secret",
    "unionpay_symmetric_key": SYMMETRIC_KEY,
    "unionpay_redirect_domains": "card.test",
    "ping_an_url": "https://ping-an.test",
    "ping_an_app_id": "pa0000000000000001",
    "ping_an_app_key": "ping-an-app-key",
}


def settings(**changed: Any) -> Settings:
    return Settings(**_wrapped({**CREDENTIALS, **changed}))


def _wrapped(values: dict[str, Any]) -> dict[str, Any]:
    defaults = Settings()
    return {
        name: Secret(value) if isinstance(getattr(defaults, name), Secret) else value
        for name, value in values.items()
    }


def unionpay_field(value: str, key: str = SYMMETRIC_KEY) -> str:
    """A field as UnionPay encrypts it."""
    padder = PKCS7(64).padder()
    padded = padder.update(value.encode()) + padder.finalize()
    encryptor = Cipher(TripleDES(bytes.fromhex(key)), ECB()).encryptor()  # noqa: S305
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
