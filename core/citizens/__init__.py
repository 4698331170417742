"""Citizens with their sessions, channel bindings, passwords, consents, settings and quotas."""

from core.citizens import (
    bindings,
    citizens,
    claims,
    code_exchanges,
    consents,
    heads,
    nonces,
    notification_settings,
    passwords,
    quotas,
    sessions,
    sign_in_states,
)
from core.citizens.bindings import Binding, bindings_table
from core.citizens.citizens import (
    ADD_CITIZEN,
    CONTACT_COLUMNS,
    INSURANCE_NUMBER,
    PHONE,
    SSN,
    Citizen,
    CitizenIdentity,
    citizens_table,
    get,
)
from core.citizens.claims import ClaimKind, claims_table
from core.citizens.code_exchanges import CodeExchange, code_exchanges_table
from core.citizens.consents import consents_table
from core.citizens.heads import NO_HEAD, Head, audit_heads_table
from core.citizens.nonces import nonces_table
from core.citizens.notification_settings import (
    NOTICES,
    Choice,
    Concern,
    Notice,
    notification_settings_table,
)
from core.citizens.passwords import Hasher, service_passwords_table
from core.citizens.quotas import Limit, Quota, quotas_table
from core.citizens.sessions import (
    CALLER_COLUMNS,
    IS_OF_TOKEN,
    NewSession,
    OpenSession,
    StoredSession,
    sessions_table,
)

__all__ = [
    "ADD_CITIZEN",
    "CALLER_COLUMNS",
    "CONTACT_COLUMNS",
    "INSURANCE_NUMBER",
    "IS_OF_TOKEN",
    "NOTICES",
    "NO_HEAD",
    "PHONE",
    "SSN",
    "Binding",
    "Choice",
    "Citizen",
    "CitizenIdentity",
    "ClaimKind",
    "CodeExchange",
    "Concern",
    "Hasher",
    "Head",
    "Limit",
    "NewSession",
    "Notice",
    "OpenSession",
    "Quota",
    "StoredSession",
    "audit_heads_table",
    "bindings",
    "bindings_table",
    "citizens",
    "citizens_table",
    "claims",
    "claims_table",
    "code_exchanges",
    "code_exchanges_table",
    "consents",
    "consents_table",
    "get",
    "heads",
    "nonces",
    "nonces_table",
    "notification_settings",
    "notification_settings_table",
    "passwords",
    "quotas",
    "quotas_table",
    "service_passwords_table",
    "sessions",
    "sessions_table",
    "sign_in_states",
]
