"""All tables of the core, for the migrations."""

from core.applications import application_drafts_table, applications_table, prefills_table
from core.audit import (
    access_log_table,
    audit_anchored_heads_table,
    audit_anchors_table,
    audit_entries_table,
)
from core.cards import cards_elsewhere_table, cards_table
from core.citizens import (
    audit_heads_table,
    bindings_table,
    citizens_table,
    claims_table,
    code_exchanges_table,
    consents_table,
    nonces_table,
    notification_settings_table,
    quotas_table,
    service_passwords_table,
    sessions_table,
)
from core.db import metadata, write_probes_table
from core.issuer import issuer_events_table
from core.jobs import scheduled_jobs_table
from core.messaging import channel_messages_table, outbox_table, verification_codes_table
from core.production import (
    production_changes_table,
    production_nodes_table,
    production_orders_table,
)
from core.storage import pictures_table, resumable_uploads_table
from core.unit_of_work import idempotency_keys_table

TABLES = (
    claims_table,
    citizens_table,
    cards_table,
    cards_elsewhere_table,
    applications_table,
    production_orders_table,
    production_nodes_table,
    production_changes_table,
    bindings_table,
    sessions_table,
    nonces_table,
    code_exchanges_table,
    verification_codes_table,
    quotas_table,
    service_passwords_table,
    pictures_table,
    resumable_uploads_table,
    application_drafts_table,
    prefills_table,
    consents_table,
    outbox_table,
    notification_settings_table,
    channel_messages_table,
    idempotency_keys_table,
    issuer_events_table,
    scheduled_jobs_table,
    write_probes_table,
    audit_entries_table,
    audit_heads_table,
    access_log_table,
    audit_anchors_table,
    audit_anchored_heads_table,
)

__all__ = ["TABLES", "metadata"]
