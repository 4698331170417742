"""Searching by blind index during key rotation: a row's index may be under any key in use."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, bindparam

from core.crypto.encryption import MAX_KEYS, Vault

T = TypeVar("T", bytes, str)


def index_is(column: Any, name: str) -> ColumnElement[bool]:
    """SQL condition: the column equals one of the indexes bound by `index_params` of the same name."""
    found: ColumnElement[bool] = column.in_(
        [bindparam(f"{name}_{number}") for number in range(MAX_KEYS)]
    )
    return found


def index_params(name: str, indexes: Sequence[T]) -> dict[str, T]:
    """Parameters for `index_is`, one per key in use."""
    last = len(indexes) - 1
    return {f"{name}_{number}": indexes[min(number, last)] for number in range(MAX_KEYS)}


def account_indexes(vault: Vault, channel: str, account: str) -> list[bytes]:
    """Indexes of a channel account under each key in use, the current key first."""
    return vault.indexes(f"{channel}|{account}", "account")


def open_account(vault: Vault, sealed: bytes) -> str:
    return vault.open(sealed, "accounts", 0)


def seal_account(vault: Vault, account: str) -> bytes:
    return vault.seal(account, "accounts", 0)
