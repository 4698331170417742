"""Database access: compiled statements, one reader and one writer, on SQLite and PostgreSQL."""

from core.db.arrays import json_arrays
from core.db.batches import fetch_in, in_batch
from core.db.connecting import connect
from core.db.database import Database
from core.db.limits import Limits
from core.db.postgres_errors import reason, sqlstate
from core.db.postgres_servers import PostgresServers
from core.db.query import (
    CommitUnknown,
    DatabaseUnavailable,
    Id,
    Query,
    Reader,
    Row,
    Transaction,
    UniqueViolation,
    insert_into,
    metadata,
)
from core.db.readiness import Readiness, write_probes_table
from core.db.urls import WrongUrl, check_url, sqlite_path
from core.db.writes import LostRace, Writes

__all__ = [
    "CommitUnknown",
    "Database",
    "DatabaseUnavailable",
    "Id",
    "Limits",
    "LostRace",
    "PostgresServers",
    "Query",
    "Reader",
    "Readiness",
    "Row",
    "Transaction",
    "UniqueViolation",
    "Writes",
    "WrongUrl",
    "check_url",
    "connect",
    "fetch_in",
    "in_batch",
    "insert_into",
    "json_arrays",
    "metadata",
    "reason",
    "sqlite_path",
    "sqlstate",
    "write_probes_table",
]
