"""Signed links: paths below the gateway's address that need no session token.

The `<img>` of a page, the PDF viewer of a phone and an upload from a web worker send no
`Authorization` header, so the link itself carries the session that it was made in, its expiry
time, and a MAC over all of it. It ends with the session.
"""

import re
from collections.abc import Mapping
from dataclasses import astuple, fields
from enum import StrEnum

from core.citizens import sessions
from core.imaging import Geometry
from core.kernel.clock import MINUTE, Instant, is_within
from core.storage import ResumableUpload
from gateway.resolvers.context import Application, Context

LIFETIME = 10 * MINUTE
"""Of links to pictures and receipts. An upload's address is valid until the upload expires."""
_NUMBER = re.compile(r"[0-9]{1,19}")


class LinkKind(StrEnum):
    PICTURE = "picture"
    RECEIPT = "receipt"
    UPLOAD = "upload"


def picture_link(context: Context, picture_id: int) -> str:
    expires_at = context.now() + LIFETIME
    return _signed(context, f"/pictures/{picture_id}", LinkKind.PICTURE, picture_id, expires_at)


def receipt_link(context: Context, application_id: int) -> str:
    path, expires_at = f"/receipts/{application_id}.pdf", context.now() + LIFETIME
    return _signed(context, path, LinkKind.RECEIPT, application_id, expires_at)


def upload_link(context: Context, upload: ResumableUpload) -> str:
    path = f"/uploads/{upload.id}"
    return _signed(context, path, LinkKind.UPLOAD, upload.id, upload.expires_at)


def _signed(
    context: Context, path: str, kind: LinkKind, record_id: int, expires_at: Instant
) -> str:
    session_id = context.require_session().session_id
    mac = context.dependencies.seals.link(kind, record_id, session_id, expires_at)
    return f"{path}?session={session_id}&expires={expires_at}&mac={mac}"


async def session_of(
    application: Application, kind: LinkKind, record_id: int, query: Mapping[str, str]
) -> int | None:
    """The session that a link was made in. None if the link is not ours, or it or the session
    has expired, or the session was ended."""
    session, expires, mac = (query.get(name, "") for name in ("session", "expires", "mac"))
    if not (_NUMBER.fullmatch(session) and _NUMBER.fullmatch(expires) and mac.isascii()):
        return None
    session_id, expires_at, now = int(session), int(expires), application.clock()
    is_valid = now < expires_at if kind is LinkKind.UPLOAD else is_within(expires_at, LIFETIME, now)
    seals = application.dependencies.seals
    if not (is_valid and seals.matches_link(mac, kind, record_id, session_id, expires_at)):
        return None
    is_open = await sessions.is_open(application.database, session_id, now)
    return session_id if is_open else None


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
