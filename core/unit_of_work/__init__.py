"""Unit of work: one transaction with all that a service may use, run at most once per idempotency key."""

from core.unit_of_work import idempotency, picture_intake
from core.unit_of_work.idempotency import IdempotencyKey, idempotency_keys_table
from core.unit_of_work.picture_intake import KeptPicture
from core.unit_of_work.unit import Errand, Signal, Tools, Unit, known

__all__ = [
    "Errand",
    "IdempotencyKey",
    "KeptPicture",
    "Signal",
    "Tools",
    "Unit",
    "idempotency",
    "idempotency_keys_table",
    "known",
    "picture_intake",
]
