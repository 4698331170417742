"""Signed links: paths below the gateway's address that need no session token.

The `<img>` of a page, the PDF viewer of a phone and an upload from a web worker send no
`Authorization` header, so the link itself carries its expiry time and a MAC over both.
"""

import re
from collections.abc import Mapping
from dataclasses import astuple, fields
from enum import StrEnum

from core.crypto import Seals
from core.imaging import Geometry
from core.kernel.clock import MINUTE, Instant, is_within
from core.storage import ResumableUpload
from gateway.resolvers.context import Context

LIFETIME = 10 * MINUTE
"""Of links to pictures and receipts. An upload's address is valid until the upload expires."""
_EXPIRY = re.compile(r"[0-9]{1,15}")


class LinkKind(StrEnum):
    PICTURE = "picture"
    RECEIPT = "receipt"
    UPLOAD = "upload"


def picture_link(context: Context, picture_id: int) -> str:
    expires_at = context.now() + LIFETIME
    signature = _signature(context.dependencies.seals, LinkKind.PICTURE, picture_id, expires_at)
    return f"/pictures/{picture_id}?{signature}"


def receipt_link(context: Context, application_id: int) -> str:
    expires_at = context.now() + LIFETIME
    signature = _signature(context.dependencies.seals, LinkKind.RECEIPT, application_id, expires_at)
    return f"/receipts/{application_id}.pdf?{signature}"


def upload_link(seals: Seals, upload: ResumableUpload) -> str:
    signature = _signature(seals, LinkKind.UPLOAD, upload.id, upload.expires_at)
    return f"/uploads/{upload.id}?{signature}"


def _signature(seals: Seals, kind: LinkKind, record_id: int, expires_at: Instant) -> str:
    return f"expires={expires_at}&mac={seals.link(kind, record_id, expires_at)}"


def is_permitted(
    seals: Seals, kind: LinkKind, record_id: int, query: Mapping[str, str], now: Instant
) -> bool:
    """Whether the query of a request is that of a link which we issued and which is still valid."""
    expires, mac = query.get("expires", ""), query.get("mac", "")
    if _EXPIRY.fullmatch(expires) is None or not mac.isascii():
        return False
    expires_at = int(expires)
    is_valid = now < expires_at if kind is LinkKind.UPLOAD else is_within(expires_at, LIFETIME, now)
    return is_valid and seals.matches_link(mac, kind, record_id, expires_at)


def with_overlay(link: str, geometry: Geometry) -> str:
    """Adds the lines to draw over a portrait. They are not signed: they show nothing secret."""
    return f"{link}&overlay={'-'.join(map(str, astuple(geometry)))}"


def overlay_in(query: Mapping[str, str]) -> Geometry | None:
    numbers = query.get("overlay", "").split("-")
    if len(numbers) != len(fields(Geometry)) or not all(map(_is_short_number, numbers)):
        return None
    return Geometry(*map(int, numbers))


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5
