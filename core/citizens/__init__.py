"""Citizens with their sessions, channel bindings, passwords, consents, settings and quotas."""

from core.citizens import (
    bindings,
    citizens,
    code_exchanges,
    consents,
    nonces,
    notification_settings,
    passwords,
    quotas,
    sessions,
    sign_in_states,
)
from core.citizens.bindings import EndedBinding, bindings_table
from core.citizens.citizens import (
    CONTACT_COLUMNS,
    PHONE,
    SSN,
    Citizen,
    CitizenIdentity,
    citizens_table,
    get,
    lock,
)
from core.citizens.code_exchanges import CodeExchange, code_exchanges_table
from core.citizens.consents import consents_table
from core.citizens.nonces import nonces_table
from core.citizens.notification_settings import (
    NOTICE_NAMES,
    Choice,
    Notice,
    choice_of,
    notification_settings_table,
)
from core.citizens.passwords import Hasher, service_passwords_table
from core.citizens.quotas import Limit, quotas_table
from core.citizens.sessions import (
    CALLER_COLUMNS,
    IS_OF_TOKEN,
    NewSession,
    OpenSession,
    sessions_table,
)

__all__ = [
    "CALLER_COLUMNS",
    "CONTACT_COLUMNS",
    "IS_OF_TOKEN",
    "NOTICE_NAMES",
    "PHONE",
    "SSN",
    "Choice",
    "Citizen",
    "CitizenIdentity",
    "CodeExchange",
    "EndedBinding",
    "Hasher",
    "Limit",
    "NewSession",
    "Notice",
    "OpenSession",
    "bindings",
    "bindings_table",
    "choice_of",
    "citizens",
    "citizens_table",
    "code_exchanges",
    "code_exchanges_table",
    "consents",
    "consents_table",
    "get",
    "lock",
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
