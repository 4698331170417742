"""All tables, for the migrations."""

from core.applications import applications
from core.audit import audit_entries, audit_heads
from core.audit_anchors import audit_anchored_heads, audit_anchors
from core.audit_views import audit_views, audit_views_filed, audit_views_of
from core.bindings import bindings
from core.cards import cards
from core.channel_messages import channel_messages
from core.citizens import citizens
from core.consents import consents
from core.database import metadata
from core.drafts import application_drafts
from core.idempotency import idempotency_keys
from core.issuer_log import issuer_events
from core.nonces import nonces
from core.notification_settings import notification_settings
from core.outbox import outbox
from core.passwords import service_passwords
from core.pictures import pictures
from core.prefills import prefills
from core.production import production_changes, production_nodes, production_orders
from core.quotas import quotas
from core.resumable_uploads import resumable_uploads
from core.schedule import scheduled_jobs
from core.sessions import sessions
from core.sign_in_answers import sign_in_answers
from core.verification import verification_codes

TABLES = (
    citizens,
    cards,
    applications,
    production_orders,
    production_nodes,
    production_changes,
    bindings,
    sessions,
    nonces,
    sign_in_answers,
    verification_codes,
    quotas,
    service_passwords,
    pictures,
    resumable_uploads,
    application_drafts,
    prefills,
    consents,
    outbox,
    notification_settings,
    channel_messages,
    idempotency_keys,
    issuer_events,
    scheduled_jobs,
    audit_entries,
    audit_heads,
    audit_views,
    audit_views_of,
    audit_views_filed,
    audit_anchors,
    audit_anchored_heads,
)

__all__ = ["TABLES", "metadata"]
