"""Links to pictures: a browser's `<img>` sends no token, so the link carries its permission."""

from dataclasses import astuple, fields

from core.crypto import Seals
from core.imaging import Geometry
from core.kernel.clock import MINUTE, Instant, is_within
from gateway.resolvers.context import Context

LIFETIME = 10 * MINUTE


def picture_link(context: Context, picture_id: int) -> str:
    """A path below the gateway's address, valid ten minutes."""
    expires_at = context.now() + LIFETIME
    mac = context.dependencies.seals.link("picture", picture_id, expires_at)
    return f"/pictures/{picture_id}?expires={expires_at}&mac={mac}"


def with_overlay(link: str, geometry: Geometry) -> str:
    """The numbers are drawn and nothing else, so they need no permission of their own."""
    return f"{link}&overlay={'-'.join(map(str, astuple(geometry)))}"


def overlay_in(query: str) -> Geometry | None:
    numbers = query.split("-")
    if len(numbers) != len(fields(Geometry)) or not all(map(_is_short_number, numbers)):
        return None
    return Geometry(*map(int, numbers))


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5


def is_permitted(
    seals: Seals, picture_id: int, expires_at: Instant, mac: str, now: Instant
) -> bool:
    return is_within(expires_at, LIFETIME, now) and seals.matches_link(
        mac, "picture", picture_id, expires_at
    )
