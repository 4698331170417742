"""Database access: compiled statements, one reader and one writer, on SQLite and PostgreSQL."""

from core.db.arrays import json_arrays
from core.db.batches import fetch_in, in_batch
from core.db.connecting import PATIENT_SECONDS, connect
from core.db.query import (
    Database,
    DatabaseUnavailable,
    Id,
    Lock,
    Query,
    Reader,
    Row,
    Transaction,
    UniqueViolation,
    insert_into,
    metadata,
)
from core.db.readiness import Readiness, write_probes_table

__all__ = [
    "PATIENT_SECONDS",
    "Database",
    "DatabaseUnavailable",
    "Id",
    "Lock",
    "Query",
    "Reader",
    "Readiness",
    "Row",
    "Transaction",
    "UniqueViolation",
    "connect",
    "fetch_in",
    "in_batch",
    "insert_into",
    "json_arrays",
    "metadata",
    "write_probes_table",
]
