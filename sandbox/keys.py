"""RSA keys of the sandbox: generated at the first start and stored, so that they stay the same."""

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from core.kernel.settings import Settings
from sandbox.paths import var_dir


def unionpay_key(settings: Settings) -> RSAPrivateKey:
    """The key with which the sandbox signs UnionPay's notifications."""
    return _loaded(stored_key(settings, "unionpay"))


def stored_key(settings: Settings, platform: str) -> bytes:
    """The PEM of a platform's private key."""
    file = var_dir(settings) / f"sandbox-{platform}-key.pem"
    return _stored(file)


@cache
def _loaded(pem: bytes) -> RSAPrivateKey:
    """Cached: OpenSSL verifies the primes of a key that it loads, which takes 50 ms."""
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def _stored(file: Path) -> bytes:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(_generated())
    return file.read_bytes()


@cache
def _generated() -> bytes:
    """Cached: generating a key takes 100 ms, so a process generates one only."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
