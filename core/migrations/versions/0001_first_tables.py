"""The first tables"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def create_table(name: str, *items: sa.schema.SchemaItem, **options: Any) -> None:
    """With a CHECK constraint for each length: SQLite does not enforce the length of VARCHAR(n)."""
    checks = [
        sa.CheckConstraint(
            f"length({item.name}) <= {item.type.length}", name=f"ck_{name}_{item.name}_length"
        ).ddl_if(dialect="sqlite")
        for item in items
        if isinstance(item, sa.Column) and isinstance(item.type, sa.String) and item.type.length
    ]
    op.create_table(name, *items, *checks, **options)


def create_table_of_persons(name: str, *items: sa.schema.SchemaItem, **options: Any) -> None:
    """Whose rows have their subject first in the key: on PostgreSQL split by it, where that is set."""
    partitions = context.config.attributes.get("partitions", 0)
    if not partitions or op.get_bind().dialect.name != "postgresql":
        return create_table(name, *items, **options)
    create_table(name, *items, **options, postgresql_partition_by="HASH (subject_id)")
    for number in range(partitions):
        op.execute(
            f"CREATE TABLE {name}_p{number} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
        )


def upgrade() -> None:
    create_table_of_persons(
        "access_log",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("result", sa.String(40), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subject_id", "month", "at", "lane", "batch", "position", name="pk_access_log"
        ),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "audit_anchored_heads",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("anchor", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "anchor", name="pk_audit_anchored_heads"),
        sqlite_with_rowid=False,
    )
    create_table(
        "audit_anchors",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("heads", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_anchors"),
    )
    create_table_of_persons(
        "audit_entries",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("result", sa.String(40), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "number", name="pk_audit_entries"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "audit_heads",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("anchored_number", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name="pk_audit_heads"),
    )
    create_table_of_persons(
        "channel_messages",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("template", sa.String(32), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("delivery", sa.String(64), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_channel_messages"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "citizens",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("social_security_number", sa.LargeBinary(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("social_insurance_number", sa.LargeBinary(), nullable=True),
        sa.Column("landline", sa.LargeBinary(), nullable=True),
        sa.Column("registered_address", sa.LargeBinary(), nullable=True),
        sa.Column("residential_address", sa.LargeBinary(), nullable=True),
        sa.Column("residential_postal_code", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deceased_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", name="pk_citizens"),
    )
    create_table(
        "claims",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "kind", name="pk_claims"),
        sqlite_with_rowid=False,
    )
    create_table(
        "code_exchanges",
        sa.Column("pair_mac", sa.String(128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("lifetime_seconds", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair_mac", name="pk_code_exchanges"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_code_exchanges_account_index", "code_exchanges", ["account_index"])
    create_table_of_persons(
        "idempotency_keys",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "session_id", "key_hash", name="pk_idempotency_keys"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "issuer_events",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(24), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_issuer_events"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_issuer_events_open", "issuer_events", ["received_at"], **where("outcome <> 'TAKEN'")
    )
    create_table(
        "nonces",
        sa.Column("nonce", sa.String(128), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", "scope", name="pk_nonces"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "outbox",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("idempotency_key", sa.String(64), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(200), nullable=True),
        sa.Column("unknown_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_outbox"),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["kind", "due_at", "subject_id", "id"],
        **where("settled_at IS NULL AND dead_at IS NULL"),
    )
    create_table(
        "quotas",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("times", sa.Text(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_quotas"),
        sqlite_with_rowid=False,
    )
    create_table(
        "scheduled_jobs",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_scheduled_jobs"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "sessions",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("device_mac", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_sessions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sessions_account_index", "sessions", ["account_index"])
    op.create_index(
        "ix_sessions_not_ended", "sessions", ["expires_at"], **where("ended_at IS NULL")
    )
    create_table_of_persons(
        "verification_codes",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("consumed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_verification_codes"),
        sqlite_with_rowid=False,
    )
    create_table(
        "write_probes",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_write_probes"),
    )
    create_table_of_persons(
        "application_drafts",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("form", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_application_drafts_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="pk_application_drafts"),
    )
    create_table_of_persons(
        "bindings",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_bindings_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_bindings"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_bindings_channel",
        "bindings",
        ["subject_id", "channel"],
        unique=True,
        **where("ended_at IS NULL"),
    )
    create_table_of_persons(
        "cards",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.LargeBinary(), nullable=False),
        sa.Column("number_index", sa.LargeBinary(), nullable=False),
        sa.Column("region_code", sa.String(6), nullable=False),
        sa.Column("bank_code", sa.String(32), nullable=False),
        sa.Column("batch_number", sa.String(64), nullable=True),
        sa.Column("issue_date", sa.String(10), nullable=False),
        sa.Column("state", sa.String(1), nullable=False),
        sa.Column("state_since", sa.BigInteger(), nullable=False),
        sa.Column("state_before", sa.String(1), nullable=True),
        sa.Column("confirmation", sa.String(16), server_default="CONFIRMED", nullable=False),
        sa.Column("snapshot_state", sa.String(1), nullable=True),
        sa.Column("snapshot_state_since", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_state_before", sa.String(1), nullable=True),
        sa.Column("snapshot_since", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_cards_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_cards"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cards_temporarily_lost", "cards", ["state_since"], **where("state = '4'"))
    op.create_index(
        "uq_cards_one_active", "cards", ["subject_id"], unique=True, **where("state = '1'")
    )
    create_table_of_persons(
        "cards_elsewhere",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("region_code", sa.String(6), nullable=True),
        sa.Column("region_name", sa.String(60), nullable=True),
        sa.Column("state", sa.String(1), nullable=True),
        sa.Column("enrolled", sa.Boolean(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_cards_elsewhere_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="pk_cards_elsewhere"),
    )
    create_table_of_persons(
        "consents",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notice_version", sa.String(32), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_consents_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "notice_version", name="pk_consents"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "notification_settings",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notice", sa.String(32), nullable=False),
        sa.Column("sms", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_notification_settings_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "notice", name="pk_notification_settings"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "pictures",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("object_name", sa.String(64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_pictures_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_pictures"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pictures_id", "pictures", ["id"])
    create_table_of_persons(
        "prefills",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_prefills_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="pk_prefills"),
    )
    create_table_of_persons(
        "resumable_uploads",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_resumable_uploads_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_resumable_uploads"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "service_passwords",
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_service_passwords_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", name="pk_service_passwords"),
    )
    create_table_of_persons(
        "applications",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(24), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("old_card_id", sa.BigInteger(), nullable=True),
        sa.Column("new_card_id", sa.BigInteger(), nullable=True),
        sa.Column("form", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id", "new_card_id"],
            ["cards.subject_id", "cards.id"],
            name="fk_applications_new_card_id",
        ),
        sa.ForeignKeyConstraint(
            ["subject_id", "old_card_id"],
            ["cards.subject_id", "cards.id"],
            name="fk_applications_old_card_id",
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["citizens.subject_id"], name="fk_applications_subject_id"
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_applications"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_applications_one_open",
        "applications",
        ["subject_id"],
        unique=True,
        **where("closed_at IS NULL"),
    )
    create_table_of_persons(
        "production_orders",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("bank_code", sa.String(32), nullable=False),
        sa.Column("outlet_code", sa.String(32), nullable=False),
        sa.Column("batch_number", sa.String(64), nullable=True),
        sa.Column("card_number", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmation", sa.String(16), server_default="CONFIRMED", nullable=False),
        sa.Column("pending_change", sa.String(16), nullable=True),
        sa.Column("close_reason", sa.String(16), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id", "application_id"],
            ["applications.subject_id", "applications.id"],
            name="fk_production_orders_application_id",
        ),
        sa.PrimaryKeyConstraint("subject_id", "id", name="pk_production_orders"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_production_orders_application_id",
        "production_orders",
        ["subject_id", "application_id"],
        unique=True,
    )
    create_table_of_persons(
        "production_changes",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.SmallInteger(), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(200), nullable=True),
        sa.Column("corrections", sa.String(120), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id", "order_id"],
            ["production_orders.subject_id", "production_orders.id"],
            name="fk_production_changes_order_id",
        ),
        sa.PrimaryKeyConstraint("subject_id", "order_id", "revision", name="pk_production_changes"),
        sqlite_with_rowid=False,
    )
    create_table_of_persons(
        "production_nodes",
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(200), nullable=True),
        sa.Column("corrections", sa.String(120), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id", "order_id"],
            ["production_orders.subject_id", "production_orders.id"],
            name="fk_production_nodes_order_id",
        ),
        sa.PrimaryKeyConstraint("subject_id", "order_id", "node", name="pk_production_nodes"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_production_nodes_ready",
        "production_nodes",
        ["at"],
        **where("node = 6 AND result = 'DONE'"),
    )


def downgrade() -> None:
    for table in (
        "production_nodes",
        "production_changes",
        "production_orders",
        "applications",
        "service_passwords",
        "resumable_uploads",
        "prefills",
        "pictures",
        "notification_settings",
        "consents",
        "cards_elsewhere",
        "cards",
        "bindings",
        "application_drafts",
        "write_probes",
        "verification_codes",
        "sessions",
        "scheduled_jobs",
        "quotas",
        "outbox",
        "nonces",
        "issuer_events",
        "idempotency_keys",
        "code_exchanges",
        "claims",
        "citizens",
        "channel_messages",
        "audit_heads",
        "audit_entries",
        "audit_anchors",
        "audit_anchored_heads",
        "access_log",
    ):
        op.drop_table(table)
