"""Signed links: paths below the gateway's address that need no session token.

The `<img>` of a page, the PDF viewer of a phone and an upload from a web worker send no
`Authorization` header, so the link itself carries the session that it was made in, its expiry
time, and a MAC over all of it. It ends with the session.
"""

import re
from collections.abc import Mapping
from dataclasses import astuple, fields
from enum import StrEnum
from typing import NamedTuple

from core.citizens import sessions
from core.imaging import Geometry
from core.kernel.clock import MINUTE, Instant, is_within
from core.storage import ResumableUpload
from gateway.resolvers.context import Application, Context

LIFETIME = 10 * MINUTE
"""Of links to pictures and receipts. An upload's address is valid until the upload expires."""
_NUMBER = re.compile(r"[0-9]{1,19}")


class SignedLink(NamedTuple):
    """Whose record it leads to, and the session that it was made in."""

    citizen_id: int
    session_id: int


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
    caller = context.require_session()
    made_in = SignedLink(caller.subject_id, caller.session_id)
    mac = context.dependencies.seals.link(kind, record_id, *made_in, expires_at)
    return (
        f"{path}?citizen={made_in.citizen_id}&session={made_in.session_id}"
        f"&expires={expires_at}&mac={mac}"
    )


async def opened(
    application: Application, kind: LinkKind, record_id: int, query: Mapping[str, str]
) -> SignedLink | None:
    """None if the link is not ours, or it or its session has expired, or the session was ended."""
    citizen, session, expires = (query.get(name, "") for name in ("citizen", "session", "expires"))
    mac = query.get("mac", "")
    if not (all(map(_NUMBER.fullmatch, (citizen, session, expires))) and mac.isascii()):
        return None
    made_in = SignedLink(int(citizen), int(session))
    expires_at, now = int(expires), application.clock()
    is_valid = now < expires_at if kind is LinkKind.UPLOAD else is_within(expires_at, LIFETIME, now)
    seals = application.dependencies.seals
    if not (is_valid and seals.matches_link(mac, kind, record_id, *made_in, expires_at)):
        return None
    is_open = await sessions.is_open(application.database, *made_in, now)
    return made_in if is_open else None


def with_overlay(link: str, geometry: Geometry) -> str:
    """Adds the lines to draw over a portrait. They are not signed: they show nothing secret."""
    numbers = (str(number) for number in astuple(geometry) if number is not None)
    return f"{link}&overlay={'-'.join(numbers)}"


def overlay_in(query: Mapping[str, str]) -> Geometry | None:
    numbers = query.get("overlay", "").split("-")
    most = len(fields(Geometry))
    if not most - 1 <= len(numbers) <= most or not all(map(_is_short_number, numbers)):
        return None
    return Geometry(*map(int, numbers))


def _is_short_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5
