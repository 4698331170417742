"""Links to pictures: a browser's `<img>` sends no token, so the link carries its permission."""

from core.clock import MINUTE, Instant, is_within
from core.seals import Seals
from gateway.resolvers.context import Context

LIFETIME = 10 * MINUTE


def picture_link(context: Context, picture_id: int) -> str:
    """A path below the gateway's address, valid ten minutes."""
    expires_at = context.now() + LIFETIME
    mark = context.tools.seals.link("picture", picture_id, expires_at)
    return f"/pictures/{picture_id}?expires={expires_at}&mark={mark}"


def is_permitted(
    seals: Seals, picture_id: int, expires_at: Instant, mark: str, now: Instant
) -> bool:
    return is_within(expires_at, LIFETIME, now) and seals.matches_link(
        mark, "picture", picture_id, expires_at
    )
