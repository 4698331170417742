"""Addresses of resumable uploads: a `PUT` from a page's worker has no session, so they carry their permission."""

from core.crypto import Seals
from core.kernel.clock import Instant
from core.storage import ResumableUpload


def upload_link(seals: Seals, upload: ResumableUpload) -> str:
    """A path below the gateway's address, valid as long as the upload is open."""
    mac = seals.link("upload", upload.id, upload.expires_at)
    return f"/uploads/{upload.id}?expires={upload.expires_at}&mac={mac}"


def is_permitted(seals: Seals, upload_id: int, expires_at: Instant, mac: str) -> bool:
    return mac.isascii() and seals.matches_link(mac, "upload", upload_id, expires_at)
