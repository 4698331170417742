"""Links to receipts: what opens a PDF on a phone sends no token, so the link carries its permission."""

from core.crypto import Seals
from core.kernel.clock import MINUTE, Instant, is_within
from gateway.resolvers.context import Context

LIFETIME = 10 * MINUTE


def receipt_link(context: Context, application_id: int) -> str:
    """A path below the gateway's address, valid ten minutes."""
    expires_at = context.now() + LIFETIME
    mac = context.dependencies.seals.link("receipt", application_id, expires_at)
    return f"/receipts/{application_id}.pdf?expires={expires_at}&mac={mac}"


def is_permitted(
    seals: Seals, application_id: int, expires_at: Instant, mac: str, now: Instant
) -> bool:
    return is_within(expires_at, LIFETIME, now) and seals.matches_link(
        mac, "receipt", application_id, expires_at
    )
