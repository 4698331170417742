"""Finding a row by a keyed index while keys are changed: any of the keys in use may have made it."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam

from core.crypto.encryption import MAX_KEYS, Vault


def index_is(column: Any, name: str) -> ColumnElement[bool]:
    """In a statement: the column holds one of the indexes that `named` gives under this name."""
    found: ColumnElement[bool] = column.in_(
        [bindparam(f"{name}_{number}") for number in range(MAX_KEYS)]
    )
    return found


def index_params(name: str, indexes: list[bytes]) -> dict[str, bytes]:
    """The values for `index_is`, one for each key in use."""
    padded = [*indexes, *indexes[-1:] * (MAX_KEYS - len(indexes))]
    return {f"{name}_{number}": index for number, index in enumerate(padded)}


def account_indexes(vault: Vault, channel: str, account: str) -> list[bytes]:
    """Of a channel's account, under each key in use, the current one first."""
    return vault.indexes(f"{channel}|{account}", "account")


def open_account(vault: Vault, sealed: bytes) -> str:
    return vault.open(sealed, "accounts", 0)


def seal_account(vault: Vault, account: str) -> bytes:
    return vault.seal(account, "accounts", 0)
