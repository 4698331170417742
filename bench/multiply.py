"""Multiplies the imported cards of a PostgreSQL database: a city in minutes instead of an hour.

Copies have ids of their own between those of the import, so that their rows and keys lie where
imported ones would; their encrypted values cannot be decrypted, and their audit chains not verified.
Some copies, spread over all, are persons of their own, with values sealed for them: only these are
chosen by `bench.fill`. The tables that an import fills are copied: citizens, cards, claims, audit
entries, and heads with what is anchored of them.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import asyncpg

from bench.people import BATCHES, people
from core.cards import CHENGDU, NUMBER
from core.citizens import PHONE, SSN, ClaimKind, claims, claims_table
from core.crypto import Vault
from core.kernel.clock import Instant


class _Person(NamedTuple):
    """What the rows of a person have instead of a copy's."""

    subject_id: int
    name: bytes
    social_security_number: bytes
    number_index_of_person: bytes
    phone: bytes
    phone_index: bytes
    number: bytes
    number_index: bytes
    batch_number: str


_TYPES = {int: "bigint", bytes: "bytea", str: "text"}
_COLUMNS = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in _Person.__annotations__.items())
_SETTINGS = """
    SET synchronous_commit = off;
    SET session_replication_role = replica;
    SET work_mem = '256MB';
    SET maintenance_work_mem = '512MB'
"""
_ORIGINALS = """
    CREATE TEMPORARY TABLE originals AS
    SELECT subject_id, id AS card_id FROM cards WHERE batch_number LIKE $1
"""
_OTHER_KEY = """
    CREATE FUNCTION pg_temp.other(key bytea, k bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
        SELECT overlay(key PLACING sha256(key || int8send(k)) FROM get_byte(key, 0) + 2)
    $$
"""
"""The key of a copy: its MAC is another one, under the same key id."""
_COPIES = (
    """
    INSERT INTO citizens (subject_id, name, social_security_number, phone, phone_index, created_at)
    SELECT c.subject_id + (k << 22), coalesce(p.name, c.name),
        coalesce(p.social_security_number, c.social_security_number), coalesce(p.phone, c.phone),
        coalesce(p.phone_index, pg_temp.other(c.phone_index, k)), c.created_at
    FROM originals JOIN citizens c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
        LEFT JOIN persons p ON p.subject_id = c.subject_id + (k << 22)
    ORDER BY 1""",
    """
    INSERT INTO cards (subject_id, id, number, number_index, region_code, bank_code, batch_number,
        issue_date, state, state_since, confirmation)
    SELECT c.subject_id + (k << 22), c.id + (k << 22), coalesce(p.number, c.number),
        coalesce(p.number_index, pg_temp.other(c.number_index, k)), c.region_code,
        c.bank_code, coalesce(p.batch_number, 'COPY'), c.issue_date, c.state, c.state_since,
        c.confirmation
    FROM originals JOIN cards c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
        LEFT JOIN persons p ON p.subject_id = c.subject_id + (k << 22)
    ORDER BY 1, 2""",
    """
    INSERT INTO audit_entries (subject_id, number, at, action, result, channel, session_id, details, mac)
    SELECT c.subject_id + (k << 22), c.number, c.at, c.action, c.result, c.channel, c.session_id,
        '{"card": ' || (c.details::json ->> 'card')::bigint + (k << 22) || '}', c.mac
    FROM originals JOIN audit_entries c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
    ORDER BY 1, 2""",
    """
    INSERT INTO audit_heads (subject_id, number, mac, version, anchored_number)
    SELECT c.subject_id + (k << 22), c.number, c.mac, c.version, c.anchored_number
    FROM originals JOIN audit_heads c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
    ORDER BY 1""",
    """
    INSERT INTO audit_anchored_heads (subject_id, anchor, number, mac)
    SELECT c.subject_id + (k << 22), c.anchor, c.number, c.mac
    FROM originals JOIN audit_anchored_heads c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
    ORDER BY 1, 2""",
    """
    INSERT INTO claims (key, kind, subject_id, at)
    SELECT pg_temp.other(c.key, k), c.kind, c.subject_id + (k << 22), c.at
    FROM originals JOIN claims c USING (subject_id) CROSS JOIN generate_series(1, $1::bigint) k
        LEFT JOIN persons p ON p.subject_id = c.subject_id + (k << 22)
    WHERE p.subject_id IS NULL
    ORDER BY 1""",
)
"""Of each table, for a number of copies. An id's sequence has 22 bits, after those of the time."""
_MARK = "UPDATE cards SET batch_number = 'COPIED' FROM originals o WHERE o.subject_id = cards.subject_id"


async def multiply(
    url: str, vault: Vault, *, imported: int, cards: int, persons: int, now: Instant
) -> None:
    """Up to `cards`, a multiple of the imported ones. Of the copies so many become persons."""
    copies = cards // imported - 1
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SETTINGS)
        await connection.execute(_OTHER_KEY)
        await connection.execute(_ORIGINALS, BATCHES + "%")
        originals = await connection.fetch("SELECT subject_id, card_id FROM originals")
        chosen = random.sample(range(len(originals) * copies), persons)
        made = [
            _person(vault, row, originals[one // copies], one % copies + 1)
            for row, one in zip(people(persons, imported), chosen, strict=True)
        ]
        await connection.execute(f"CREATE TEMPORARY TABLE persons ({_COLUMNS})")
        await connection.copy_records_to_table("persons", records=made)
        await connection.execute("ANALYZE originals; ANALYZE persons")
        for copy in _COPIES:
            await connection.execute(copy, copies)
        await connection.execute(_MARK)
        taken = [list(row.values()) for one in made for row in _claims(one, now)]
        await connection.copy_records_to_table(
            "claims", records=taken, columns=claims_table.columns.keys()
        )
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


def _person(vault: Vault, row: tuple[str, ...], original: Any, copy: int) -> _Person:
    name, number, phone, card_number, *_, batch_number = row
    later = copy << 22
    person, card = original["subject_id"] + later, original["card_id"] + later
    return _Person(
        person,
        vault.seal(name, "citizens.name", person),
        vault.seal(number, f"citizens.{SSN}", person),
        vault.index(number, SSN),
        vault.seal(phone, f"citizens.{PHONE}", person),
        vault.index(phone, PHONE),
        vault.seal(card_number, "cards.number", card),
        vault.index(card_number, NUMBER),
        batch_number,
    )


def _claims(person: _Person, now: Instant) -> Iterator[Mapping[str, Any]]:
    (card,) = claims.card_keys(CHENGDU, [person.number_index])
    for kind, key in (
        (ClaimKind.SOCIAL_SECURITY_NUMBER, person.number_index_of_person),
        (ClaimKind.PHONE, person.phone_index),
        (ClaimKind.CARD, card),
    ):
        yield claims.row(kind, key, person.subject_id, now)
