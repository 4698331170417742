"""Database access: compiled statements, one reader and one writer, on SQLite and PostgreSQL."""

from core.db.arrays import json_arrays
from core.db.database import (
    Database,
    DatabaseUnavailable,
    Id,
    Lock,
    Query,
    Reader,
    Row,
    Transaction,
    UniqueViolation,
    connect,
    insert_into,
    metadata,
)
from core.db.in_batch import any_of, fetch_any

__all__ = [
    "Database",
    "DatabaseUnavailable",
    "Id",
    "Lock",
    "Query",
    "Reader",
    "Row",
    "Transaction",
    "UniqueViolation",
    "any_of",
    "connect",
    "fetch_any",
    "insert_into",
    "json_arrays",
    "metadata",
]
