"""Audit: hash-chained records of what was changed, and the access log of what was viewed."""

from core.audit import anchors, history, verify
from core.audit.access_log import audit_views_filed_table, audit_views_of_table, audit_views_table
from core.audit.anchors import audit_anchored_heads_table, audit_anchors_table
from core.audit.history import NEWEST, Entry, Place
from core.audit.log import (
    ACTION_NAMES,
    DONE,
    ISSUER,
    OPERATOR,
    VIEWS,
    WORKER,
    Action,
    Note,
    append,
    audit_entries_table,
    audit_heads_table,
    record,
)
from core.audit.writer import AuditKeeper

__all__ = [
    "ACTION_NAMES",
    "DONE",
    "ISSUER",
    "NEWEST",
    "OPERATOR",
    "VIEWS",
    "WORKER",
    "Action",
    "AuditKeeper",
    "Entry",
    "Note",
    "Place",
    "anchors",
    "append",
    "audit_anchored_heads_table",
    "audit_anchors_table",
    "audit_entries_table",
    "audit_heads_table",
    "audit_views_filed_table",
    "audit_views_of_table",
    "audit_views_table",
    "history",
    "record",
    "verify",
]
