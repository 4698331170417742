"""Unit of work: what a service reads and changes, its commit, and idempotency keys."""

from core.unit_of_work import idempotency, picture_intake
from core.unit_of_work.idempotency import IdempotencyKey, idempotency_keys_table
from core.unit_of_work.perform import perform
from core.unit_of_work.picture_intake import StoredPicture
from core.unit_of_work.unit import (
    Dependencies,
    Preparation,
    UnitOfWork,
    require_citizen_id,
)

__all__ = [
    "Dependencies",
    "IdempotencyKey",
    "Preparation",
    "StoredPicture",
    "UnitOfWork",
    "idempotency",
    "idempotency_keys_table",
    "perform",
    "picture_intake",
    "require_citizen_id",
]
