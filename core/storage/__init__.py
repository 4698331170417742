"""Object storage for pictures, and uploads that can be resumed."""

from core.storage import pictures, resumable_uploads
from core.storage.objects import Objects, ObjectsUnavailable
from core.storage.pictures import Picture, PictureKind, pictures_table
from core.storage.resumable_uploads import (
    PART_BYTES,
    RETENTION,
    ResumableUpload,
    resumable_uploads_table,
)

__all__ = [
    "PART_BYTES",
    "RETENTION",
    "Objects",
    "ObjectsUnavailable",
    "Picture",
    "PictureKind",
    "ResumableUpload",
    "pictures",
    "pictures_table",
    "resumable_uploads",
    "resumable_uploads_table",
]
