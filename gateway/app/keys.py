"""Builds the core's keys from the key rings in the settings."""

from core.crypto import Keys, Seals, Vault
from core.kernel.settings import Settings, key_ring


def keys_from(settings: Settings) -> Keys:
    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    seals = Seals(
        key_ring(settings.peppers, "peppers"), key_ring(settings.audit_keys, "audit_keys")
    )
    return Keys(vault, seals)
