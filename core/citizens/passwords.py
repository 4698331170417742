"""The service password: eight digits, stored as an Argon2id hash encrypted with the pepper.

Eight digits could be brute-forced from a stolen database, so the pepper is stored outside it.
Encryption, unlike hashing, allows the pepper to be rotated without the password. Hashing takes
about 20 ms and 19 MiB (OWASP's Argon2id parameters): it runs in a few threads and never inside a
transaction. The fifth wrong attempt locks password changes for 24 hours.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    SmallInteger,
    Table,
    Text,
    bindparam,
    select,
    update,
)

from core.crypto import Seals
from core.db import Id, Query, Reader, Writes, metadata
from core.kernel.clock import HOUR, Instant, is_within
from core.kernel.refusals import TryAgainLater

MAX_TRIES = 5
LOCKED_FOR = 24 * HOUR
_HASHERS_AT_ONCE = 2
MAX_WAITING = 64

T = TypeVar("T")

service_passwords_table = Table(
    "service_passwords",
    metadata,
    Column(
        "subject_id", Id, ForeignKey("citizens.subject_id"), primary_key=True, autoincrement=False
    ),
    Column("hash", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)

_OF_SUBJECT = Query(
    select(service_passwords_table).where(
        service_passwords_table.c.subject_id == bindparam("subject_id")
    )
)
_SET = Query(
    lambda insert: (
        insert(service_passwords_table)
        .values(
            subject_id=bindparam("subject_id"),
            hash=bindparam("hash"),
            tries=0,
            locked_until=0,
            version=1,
        )
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={
                "hash": bindparam("hash"),
                "tries": 0,
                "locked_until": 0,
                "version": service_passwords_table.c.version + 1,
            },
        )
    )
)
_COUNT = Query(
    update(service_passwords_table)
    .where(service_passwords_table.c.subject_id == bindparam("of_subject"))
    .values(tries=bindparam("new_tries"), locked_until=bindparam("until"))
)


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """`hash` is the decrypted Argon2id hash."""

    citizen_id: int
    hash: str = field(repr=False)
    tries: int
    locked_until: Instant
    version: int


async def find(db: Reader, seals: Seals, citizen_id: int) -> StoredPassword | None:
    row = await db.fetch_one(_OF_SUBJECT, subject_id=citizen_id)
    if row is None:
        return None
    return StoredPassword(
        citizen_id=citizen_id,
        hash=seals.open_hash(citizen_id, row["hash"]),
        tries=row["tries"],
        locked_until=row["locked_until"],
        version=row["version"],
    )


def store(writes: Writes, seals: Seals, citizen_id: int, password_hash: str) -> None:
    writes.add(_SET, subject_id=citizen_id, hash=seals.hash(citizen_id, password_hash))


def count_wrong_try(writes: Writes, password: StoredPassword, now: Instant) -> int:
    """Returns the number of attempts left; at 0 password changes are locked."""
    tries = password.tries + 1
    locked = tries >= MAX_TRIES
    writes.add(
        _COUNT,
        of_subject=password.citizen_id,
        new_tries=0 if locked else tries,
        until=now + LOCKED_FOR if locked else 0,
    )
    return MAX_TRIES - tries


def locked_for(locked_until: Instant, now: Instant) -> int:
    """Milliseconds. A lock of the future does not count: it would outlast the clock that was ahead."""
    return locked_until - now if is_within(locked_until, LOCKED_FOR, now) else 0


class Hasher:
    """Argon2id in a bounded thread pool (the library releases the GIL)."""

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(_HASHERS_AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._in_pool(self.hash_now, password)

    async def matches(self, password_hash: str, password: str) -> bool:
        return await self._in_pool(self._matches, password_hash, password)

    def hash_now(self, password: str) -> str:
        """As `hash`, in the calling thread."""
        return self._argon2.hash(password)

    async def _in_pool(self, work: Callable[..., T], *arguments: str) -> T:
        """Raises `TryAgainLater` if the queue is full (about a second of hashing)."""
        if self._waiting >= MAX_WAITING:
            raise TryAgainLater(retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._waiting -= 1

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def generate() -> str:
    """A random password. The caller must check it with `is_too_simple`."""
    return f"{secrets.randbelow(10**8):08d}"


def is_too_simple(password: str, social_security_number: str, birth: date) -> bool:
    """A pattern of at most four digits that repeats, an ascending or descending run, mirrored halves,
    the birth date, or part of the ID number."""
    return (
        _repeats_within(password, 4)
        or _is_run(password)
        or password == password[::-1]
        or password in (f"{birth:%Y%m%d}", f"{birth:%d%m%Y}", f"{birth:%m%d%Y}")
        or password in social_security_number
    )


def _repeats_within(password: str, longest: int) -> bool:
    """`12121212` and `12312312`: each digit is the one that stands as many places before it."""
    return any(password[length:] == password[:-length] for length in range(1, longest + 1))


def _is_run(password: str) -> bool:
    steps = {(int(right) - int(left)) % 10 for left, right in pairwise(password)}
    return steps in ({1}, {9})
