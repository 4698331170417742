"""Addresses of resumable uploads: a `PUT` from a page's worker has no session, so they carry their permission."""

from core.crypto import Seals
from core.kernel.clock import Instant
from core.storage import ResumableUpload


def upload_link(seals: Seals, upload: ResumableUpload) -> str:
    """A path below the gateway's address, valid as long as the upload is open."""
    mark = seals.link("upload", upload.id, upload.expires_at)
    return f"/uploads/{upload.id}?expires={upload.expires_at}&mark={mark}"


def is_permitted(seals: Seals, upload_id: int, expires_at: Instant, mark: str) -> bool:
    return mark.isascii() and seals.matches_link(mark, "upload", upload_id, expires_at)
