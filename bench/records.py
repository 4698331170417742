"""What a person needs to be measured, written past the gateway: a session, and an order for a card."""

from core.applications import Application, ApplicationKind, applications
from core.citizens import NewSession, sessions
from core.crypto import Vault
from core.db import Writes
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import Instant
from core.production import orders


def sign_in(writes: Writes, vault: Vault, now: Instant, person: int, lifetime: int) -> NewSession:
    return sessions.start(
        writes,
        vault,
        now,
        channel=ChannelId.UNIONPAY,
        account_index=vault.index(f"bench-{person}", "account"),
        account=vault.seal(f"bench-{person}", "sessions.account", person),
        citizen_id=person,
        level=RealNameLevel.PLATFORM,
        lifetime=lifetime,
    )


def apply(
    writes: Writes, vault: Vault, now: Instant, person: int, bank_code: str, outlet_code: str
) -> Application:
    """An open application, whose card is ordered."""
    application = applications.accept(
        writes, vault, now, citizen_id=person, kind=ApplicationKind.APPLY, form="{}"
    )
    orders.place(
        writes,
        now,
        citizen_id=person,
        application=application,
        bank_code=bank_code,
        outlet_code=outlet_code,
    )
    return application
