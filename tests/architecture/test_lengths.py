"""Every text that may come in, and every word that we write, fits its column on both databases.

PostgreSQL refuses a text that is longer than its column; on SQLite a CHECK does. What a column
must hold is listed here, and what is let in is read where it is let in: off the enums, the
partners' documents, the patterns of the forms and the constants.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

import pytest
import yaml
from sqlalchemy import Connection, String, inspect

from core import audit, migrations
from core.applications import ApplicationKind
from core.applications.applications import _new_number
from core.audit import Action, log
from core.audit.access_log import BATCH
from core.cards import CardState
from core.citizens import ClaimKind, Notice
from core.issuer import IssuerEventType, Outcome
from core.jobs import JOBS
from core.kernel import callers, lengths
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.confirmation import Confirmation
from core.kernel.refusals import RefusalCode
from core.messaging import MessageKind, VerificationPurpose
from core.migrations.tables import metadata
from core.production import CloseReason, Correction, NodeResult, OrderChange
from core.reference import forms, outlets
from core.reference.tables import read_table
from core.storage import PictureKind

DOCUMENTS = Path(__file__).parents[2] / "docs" / "partners"
Held: TypeAlias = type[StrEnum] | int | str

HASH = len(hashlib.sha256(b"").hexdigest())
DAY = len(date.max.isoformat())
HELD: set[str] = set()
"""Fields of partners that a column below is held against."""


def width(pattern: str) -> int:
    """The most characters that a pattern lets through."""
    return int(_parser.parse(pattern).getwidth()[1])


def field(document: str, schema: str, name: str) -> int:
    """The longest text that a partner's document promises for a field."""
    HELD.add(f"{document} {schema}.{name}")
    whole = yaml.safe_load((DOCUMENTS / f"{document}.yaml").read_text("utf-8"))
    return length_of_field(whole["components"]["schemas"][schema]["properties"][name])


def length_of_field(described: dict[str, Any]) -> int:
    if "maxLength" in described:
        return int(described["maxLength"])
    if described.get("format") == "date":
        return DAY
    return width(described["pattern"])


REJECTIONS = [
    field(document.stem, "Refusal", "code") for document in sorted(DOCUMENTS.glob("*.yaml"))
]
CHANNEL_ID = width(callers._ID.pattern)
REFERENCE_CODE = width(outlets._CODE.pattern)
REGISTRY_CARD = {
    name: field("card-registry", "Card", name)
    for name in ("regionCode", "regionName", "bankCode", "issueDate")
}
BATCH_NUMBERS = (lengths.BATCH_NUMBER, field("issuer", "NodeEvent", "batchNumber"))
REGIONS = [option.code for option in read_table("regions").options]

COLUMNS: Mapping[str, Iterable[Held]] = {
    "applications.kind": [ApplicationKind],
    "applications.number": [_new_number(0)],
    "access_log.action": [action for action in Action if action.is_access],
    "access_log.channel": [ChannelId, CHANNEL_ID, log.LINK],
    "access_log.result": [audit.DONE, RefusalCode],
    "audit_entries.action": [Action, BATCH],
    "audit_entries.channel": [
        ChannelId,
        CHANNEL_ID,
        audit.ISSUER,
        audit.OPERATOR,
        audit.WORKER,
    ],
    "audit_entries.result": [
        audit.DONE,
        RefusalCode,
        *REJECTIONS,
        *(f"NOT {word}" for kind in (NodeResult, IssuerEventType) for word in kind),
    ],
    "bindings.channel": [ChannelId, CHANNEL_ID],
    "cards.bank_code": [REFERENCE_CODE, REGISTRY_CARD["bankCode"]],
    "cards.snapshot_state": [CardState],
    "cards.snapshot_state_before": [CardState],
    "cards.batch_number": BATCH_NUMBERS,
    "cards.confirmation": [Confirmation],
    "cards.issue_date": [DAY, REGISTRY_CARD["issueDate"]],
    "cards.region_code": [*REGIONS, REGISTRY_CARD["regionCode"]],
    "cards.state": [CardState],
    "cards.state_before": [CardState],
    "cards_elsewhere.region_code": [REGISTRY_CARD["regionCode"]],
    "cards_elsewhere.region_name": [REGISTRY_CARD["regionName"]],
    "cards_elsewhere.state": [CardState],
    "channel_messages.channel": [ChannelId, CHANNEL_ID],
    "channel_messages.delivery": [lengths.PLATFORM_TEXT],
    "channel_messages.number": [lengths.PLATFORM_TEXT, HASH],
    "channel_messages.template": [Notice],
    "consents.notice_version": [lengths.NOTICE_VERSION],
    "issuer_events.id": [
        field("issuer", name, "id") for name in ("NodeEvent", "OrderClosedEvent", "CardEvent")
    ],
    "issuer_events.outcome": [Outcome],
    "issuer_events.type": [IssuerEventType],
    "nonces.nonce": [HASH],
    "claims.kind": [ClaimKind],
    "nonces.scope": ["state", "credential", "state-credential", "callback", "callback-nonce"],
    "notification_settings.notice": [Notice],
    "outbox.failure": [lengths.FAILURE, *(len("refused: ") + code for code in REJECTIONS)],
    "outbox.idempotency_key": [2 * 16],
    "outbox.kind": [MessageKind],
    "pictures.kind": [PictureKind],
    "pictures.object_name": [len("20260101/") + 32],
    "production_changes.corrections": [",".join(Correction)],
    "production_changes.reason": [lengths.NODE_REASON],
    "production_changes.result": [NodeResult],
    "production_nodes.corrections": [",".join(Correction)],
    "production_nodes.reason": [lengths.NODE_REASON],
    "production_nodes.result": [NodeResult],
    "production_orders.bank_code": [REFERENCE_CODE, REGISTRY_CARD["bankCode"]],
    "production_orders.batch_number": BATCH_NUMBERS,
    "production_orders.close_reason": [CloseReason],
    "production_orders.confirmation": [Confirmation],
    "production_orders.outlet_code": [REFERENCE_CODE],
    "production_orders.pending_change": [OrderChange],
    "scheduled_jobs.name": [job.name for job in JOBS],
    "sessions.channel": [ChannelId, CHANNEL_ID],
    "sessions.level": [RealNameLevel],
    "code_exchanges.pair_mac": [HASH],
    "verification_codes.purpose": [VerificationPurpose],
}

SEALED = {
    "MAX_ADDRESS": ["citizens.registered_address", "citizens.residential_address"],
    "MAX_NAME": ["citizens.name", "applications.form"],
    "MAX_TEXT": ["applications.form", "application_drafts.form", "prefills.fields"],
    "_CARD_NUMBER": ["cards.number", "production_orders.card_number"],
    "_DATE": ["applications.form"],
    "_HYPHENATED_DATE": ["applications.form", "cards.issue_date"],
    "_ID_NUMBER": ["citizens.social_security_number"],
    "_LANDLINE": ["citizens.landline"],
    "_MOBILE": ["citizens.phone"],
    "_PASSWORD": ["service_passwords.hash"],
    "_POSTAL_CODE": ["citizens.residential_postal_code"],
    "_SOCIAL_INSURANCE_NUMBER": ["citizens.social_insurance_number"],
    "_VERIFICATION_CODE": ["verification_codes.mac"],
}
"""Where the forms' limits lead: sealed or hashed in columns without a length, but for a day."""

ELSEWHERE = {
    "card-registry Card.bankName": "shown, never kept",
    "card-registry Card.cardNumber": "kept sealed",
    "card-registry Card.regionName": "shown, never kept",
    "issuer CardEvent.cardNumber": "kept sealed",
    "issuer CardEvent.socialSecurityNumber": "kept sealed",
    "issuer NodeEvent.cardNumber": "kept sealed",
    "issuer NodeEvent.orderNumber": "kept sealed; an order is looked up by it",
    "issuer OrderClosedEvent.orderNumber": "kept sealed; an order is looked up by it",
    "issuer NodeEvent.reason": "cut to what its column holds, and kept sealed",
}
SENT = {
    "Cancellation",
    "OutletChange",
    "Corrected",
    "Key",
    "Person",
    "NamedPerson",
    "Order",
    "Message",
    "Move",
    "Outcomes",
}
"""Schemas of what we send."""


def longest(held: Iterable[Held]) -> int:
    return max(
        one if isinstance(one, int) else len(one) if isinstance(one, str) else longest(list(one))
        for one in held
    )


def too_narrow(columns: Mapping[str, int]) -> list[str]:
    return [name for name, held in COLUMNS.items() if columns[name] < longest(held)]


async def test_every_column_is_as_wide_as_what_it_holds(database_url: str) -> None:
    assert too_narrow(await lengths_in(database_url)) == []


@pytest.mark.parametrize(
    ("column", "length"),
    [
        ("audit_entries.result", 39),
        ("audit_entries.action", 20),
        ("access_log.action", 20),
        ("sessions.channel", 15),
        ("issuer_events.id", 63),
        ("cards.issue_date", 9),
        ("scheduled_jobs.name", 18),
    ],
)
async def test_a_column_that_is_too_narrow_is_found(
    database_url: str, column: str, length: int
) -> None:
    """The control: one character less than the longest."""
    columns = await lengths_in(database_url)

    assert too_narrow(columns | {column: length}) == [column]
    assert too_narrow(columns | {column: length + 1}) == []


async def test_both_databases_hold_every_text_to_its_length(database_url: str) -> None:
    declared = {
        f"{table.name}.{column.name}": column.type.length
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, String) and column.type.length is not None
    }

    assert await lengths_in(database_url) == declared
    assert set(COLUMNS) == set(declared)


def test_every_limit_of_a_form_has_a_column_that_holds_it() -> None:
    limits = {
        name: value
        for name, value in vars(forms).items()
        if name.startswith("MAX_") or (isinstance(value, re.Pattern) and value.pattern)
    }

    assert set(SEALED) == set(limits)
    for name, columns in SEALED.items():
        limit = limits[name]
        most = width(limit.pattern) if isinstance(limit, re.Pattern) else limit
        for column in columns:
            table, _, own = column.partition(".")
            length = getattr(metadata.tables[table].columns[own].type, "length", None)
            assert length is None or length >= most, column


def test_every_text_of_a_partner_has_a_column_or_a_reason_to_have_none() -> None:
    named = {
        f"{document.stem} {schema}.{name}"
        for document in DOCUMENTS.glob("*.yaml")
        for schema, described in yaml.safe_load(document.read_text("utf-8"))["components"][
            "schemas"
        ].items()
        if schema not in SENT
        for name, property_ in described.get("properties", {}).items()
        if "string" in property_.get("type", "") and property_.get("format") != "date-time"
    }

    assert named == HELD | set(ELSEWHERE)


def test_a_key_of_ours_is_one_that_every_partner_takes() -> None:
    for document in ("card-registry", "issuer", "sms"):
        whole = yaml.safe_load((DOCUMENTS / f"{document}.yaml").read_text("utf-8"))
        key = whole["components"]["parameters"]["IdempotencyKey"]["schema"]

        assert longest(COLUMNS["outbox.idempotency_key"]) <= key["maxLength"]
        assert key["maxLength"] == lengths.EFFECT_KEY


async def lengths_in(database_url: str) -> dict[str, int]:
    """The most characters that the database itself takes, by column."""
    engine = migrations.engine(database_url)
    async with engine.connect() as connection:
        found = await connection.run_sync(_lengths)
    await engine.dispose()
    return found


def _lengths(connection: Connection) -> dict[str, int]:
    inspector = inspect(connection)
    found: dict[str, int] = {}
    for table in metadata.tables:
        if connection.dialect.name == "sqlite":
            for check in inspector.get_check_constraints(table):
                match = re.fullmatch(r"length\((\w+)\) <= (\d+)", check["sqltext"])
                assert match is not None, check
                found[f"{table}.{match[1]}"] = int(match[2])
        else:
            for column in inspector.get_columns(table):
                if (length := getattr(column["type"], "length", None)) is not None:
                    found[f"{table}.{column['name']}"] = length
    return found
