"""Audit: a MAC chain per subject of what was changed, and the access log of what was viewed."""

from core.audit import anchors, history, operators, ratings, verify
from core.audit.access_log import access_log_table
from core.audit.anchors import audit_anchored_heads_table, audit_anchors_table
from core.audit.history import NEWEST, Entry, Place
from core.audit.log import (
    ACTIONS,
    ADD_ENTRY,
    DONE,
    ISSUER,
    MOVE_HEAD,
    OPERATOR,
    WORKER,
    Action,
    AuditRecord,
    audit_entries_table,
    extend,
    head_of,
    record,
    write,
)
from core.audit.ratings import RATED_ACTIONS, service_ratings_table
from core.audit.writer import AccessLogWriter
from core.citizens import audit_heads_table

__all__ = [
    "ACTIONS",
    "ADD_ENTRY",
    "DONE",
    "ISSUER",
    "MOVE_HEAD",
    "NEWEST",
    "OPERATOR",
    "RATED_ACTIONS",
    "WORKER",
    "AccessLogWriter",
    "Action",
    "AuditRecord",
    "Entry",
    "Place",
    "access_log_table",
    "anchors",
    "audit_anchored_heads_table",
    "audit_anchors_table",
    "audit_entries_table",
    "audit_heads_table",
    "extend",
    "head_of",
    "history",
    "operators",
    "ratings",
    "record",
    "service_ratings_table",
    "verify",
    "write",
]
