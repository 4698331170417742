"""Settings, a moment and made-up people for the tests of the channels."""

import base64
import importlib
from typing import Any, cast

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from core.kernel.settings import Secret, Settings
from gateway.channels import CHANNELS
from gateway.channels.contract import Channel

from .samples.shape import Samples

NOW = 1_790_000_000_000
NAME = "欧阳测试"
NUMBER = "51010419900307123X"
PHONE = "13800001234"
SYMMETRIC_KEY = "0123456789abcdef23456789abcdef01456789abcdef0123"


def settings(**changed: Any) -> Settings:
    """The settings of all channels, from their samples."""
    given = dict(item for kind in CHANNELS for item in samples_of(kind).settings.items())
    return Settings(**_wrapped(given | changed))


def samples_of(kind: type[Channel]) -> Samples:
    name = f"{__package__}.samples.{kind.id.value.lower()}"
    try:
        return cast(Samples, importlib.import_module(name).SAMPLES)
    except ModuleNotFoundError:
        pytest.fail(f"{kind.__name__} has no samples: add {name.replace('.', '/')}.py")


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
