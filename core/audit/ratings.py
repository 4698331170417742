"""好差评 ratings: how a citizen rated a service, once for each entry of the history."""

from sqlalchemy import BigInteger, Column, Integer, SmallInteger, Table

from core.audit.log import Action
from core.db import Writes, insert_into, metadata
from core.kernel.clock import Instant

service_ratings_table = Table(
    "service_ratings",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("score", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

RATED_ACTIONS = frozenset(
    {
        Action.BIND_CARD,
        Action.APPLY_CARD,
        Action.ACTIVATE_CARD,
        Action.REPORT_LOSS,
        Action.CANCEL_LOSS,
        Action.CHANGE_PASSWORD,
        Action.CHANGE_PHONE,
        Action.CHANGE_CONTACT,
        Action.TRANSFER_IN,
        Action.REISSUE_CARD,
    }
)
"""The services among the actions."""

_INSERT = insert_into(service_ratings_table)


def add(writes: Writes, subject_id: int, number: int, score: int, now: Instant) -> None:
    writes.add(_INSERT, subject_id=subject_id, number=number, score=score, at=now)
