"""Which columns depend on a key (encrypted, indexed or hashed), and how each row is re-encrypted.

A test compares this list with the tables, so that no such column can be missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, Table, Text, and_, func, literal, or_

from core.applications import application_drafts_table, applications_table, prefills_table
from core.cards import NUMBER, cards_table
from core.citizens import (
    CONTACT_COLUMNS,
    PHONE,
    SSN,
    bindings_table,
    citizens_table,
    service_passwords_table,
    sessions_table,
)
from core.crypto import Keys, account_indexes, open_account, seal_account
from core.db import Row
from core.issuer import issuer_events_table
from core.messaging import outbox_table
from core.production import production_orders_table
from core.unit_of_work import idempotency_keys_table

Reencrypt = Callable[[Keys, Row], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A table's encrypted columns, blind indexes and hashes; `reencrypt` returns their new values.

    `needs` is a further column that `reencrypt` reads.
    """

    table: Table
    reencrypt: Reencrypt
    sealed: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    needs: str = "id"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.sealed, *self.indexes, *self.hashes)

    @property
    def key(self) -> tuple[Column[Any], ...]:
        return tuple(self.table.primary_key.columns)

    def is_stale(self, keys: Keys) -> ColumnElement[bool]:
        """Matches rows with a value under an older key."""
        vault = keys.vault
        return or_(
            *(differs(self.table.c[name], vault.column_prefix) for name in self.sealed),
            *(differs(self.table.c[name], vault.index_prefix) for name in self.indexes),
            *(differs(self.table.c[name], keys.seals.hash_prefix) for name in self.hashes),
        )


def differs(column: Column[Any], prefix: bytes | str) -> ColumnElement[bool]:
    """Matches values under another key than the current one, whose `prefix` it is."""
    kind = LargeBinary() if isinstance(prefix, bytes) else Text()
    beginning = func.substr(column, 1, len(prefix), type_=kind)
    return and_(
        column.is_not(None), func.length(column) > 0, beginning != literal(prefix, type_=kind)
    )


def _sealed(
    table: Table, *columns: str, owner: str = "id", indexes: Mapping[str, tuple[str, str]] = {}
) -> ColumnPlan:
    """`indexes` maps an index column to its source column and the kind of index."""

    def reencrypt(keys: Keys, row: Row) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        opened: dict[str, str] = {}
        for column in columns:
            data, name = row[column], f"{table.name}.{column}"
            if data is None:
                values[column] = None
                continue
            opened[column] = keys.vault.open(bytes(data), name, row[owner])
            values[column] = keys.vault.seal(opened[column], name, row[owner])
        for index, (column, kind) in indexes.items():
            values[index] = keys.vault.index(opened[column], kind) if column in opened else None
        return values

    return ColumnPlan(table, reencrypt, sealed=columns, indexes=tuple(indexes), needs=owner)


def _accounts(table: Table) -> ColumnPlan:
    def reencrypt(keys: Keys, row: Row) -> Mapping[str, Any]:
        if not row["account"]:
            return {"account": b"", "account_index": b""}
        account = open_account(keys.vault, bytes(row["account"]))
        return {
            "account": seal_account(keys.vault, account),
            "account_index": account_indexes(keys.vault, row["channel"], account)[0],
        }

    return ColumnPlan(table, reencrypt, ("account",), ("account_index",), needs="channel")


def _reencrypt_hash(keys: Keys, row: Row) -> Mapping[str, Any]:
    owner = row["subject_id"]
    return {"hash": keys.seals.hash(owner, keys.seals.open_hash(owner, row["hash"]))}


COLUMN_PLANS = (
    _sealed(issuer_events_table, "content", owner="at"),
    _sealed(
        citizens_table,
        "name",
        SSN,
        PHONE,
        "social_insurance_number",
        *CONTACT_COLUMNS,
        owner="subject_id",
        indexes={f"{PHONE}_index": (PHONE, PHONE)},
    ),
    _sealed(cards_table, "number", indexes={"number_index": ("number", NUMBER)}),
    _sealed(applications_table, "form"),
    _sealed(application_drafts_table, "form", owner="subject_id"),
    _sealed(prefills_table, "fields", owner="subject_id"),
    _sealed(production_orders_table, "card_number"),
    _sealed(outbox_table, "payload"),
    _sealed(idempotency_keys_table, "outcome", owner="session_id"),
    _accounts(sessions_table),
    _accounts(bindings_table),
    ColumnPlan(service_passwords_table, _reencrypt_hash, hashes=("hash",), needs="subject_id"),
)

SHORT_LIVED = {
    "verification_codes": ("phone_index", "mac"),
    "quotas": ("key",),
    "nonces": ("nonce",),
    "code_exchanges": ("pair_mac", "account_index", "account"),
}
"""Not re-encrypted: deleted within two days, and found under older keys until then."""
