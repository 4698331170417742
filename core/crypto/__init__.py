"""Column encryption, blind indexes for searching encrypted columns, and MACs."""

from core.crypto.blind_index import (
    account_indexes,
    index_is,
    index_params,
    open_account,
    seal_account,
)
from core.crypto.encryption import MAX_KEYS, CannotOpen, KeyRing, Sealed, Suite, Vault
from core.crypto.keys import Keys
from core.crypto.seals import SUM_MODULUS, Seals

__all__ = [
    "MAX_KEYS",
    "SUM_MODULUS",
    "CannotOpen",
    "KeyRing",
    "Keys",
    "Sealed",
    "Seals",
    "Suite",
    "Vault",
    "account_indexes",
    "index_is",
    "index_params",
    "open_account",
    "seal_account",
]
