"""上传身份证 upload ID document: one side at a time, checked and rectified immediately.

A picture that fails the checks is not stored and replaces no other. With the extra `ocr` installed,
the recognised fields prefill the form; the picture is stored whether or not they are recognised.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from core import audit
from core.applications import prefills
from core.audit import Action
from core.citizens import citizens
from core.imaging import (
    DocumentCheck,
    OtherSide,
    Point,
    ProcessedDocument,
    ReadDocument,
    ReadField,
    Side,
    process_document,
    read_document,
)
from core.isolation import PoolBusy, ProcessingFailed
from core.kernel.clock import china_date
from core.kernel.refusals import NotYours
from core.kernel.texts import Text
from core.reference import Reference, is_likely_misread, is_same_name
from core.storage import PictureKind, pictures
from core.unit_of_work import Preparation, StoredPicture, UnitOfWork, picture_intake

_ID_CARD = Text("身份证上的姓名和号码", "The ID card's name and number")


@dataclass(frozen=True, slots=True)
class UploadIdDocument:
    side: Side
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReviewedDocument:
    """`stored` is None if the picture failed the checks."""

    found: ProcessedDocument
    stored: StoredPicture | None = None
    read: tuple[ReadField, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentPreview:
    """`picture_id` is None if nothing was stored; `recognised` is the side that the picture shows."""

    side: Side
    picture_id: int | None
    checks: tuple[DocumentCheck, ...]
    recognised: Side | None
    corners: tuple[Point, ...]
    other_side: OtherSide | None
    read: tuple[ReadField, ...]


async def review_id_document(
    preparation: Preparation, command: UploadIdDocument
) -> ReviewedDocument:
    found = await picture_intake.process(preparation, command.data, process_document, command.side)
    text = await _read(preparation, found.data or found.unrecognised, command.side)
    found = found.judged(text, command.side)
    if not found.accepted:
        return ReviewedDocument(found)
    read = _in_codes(preparation, text.fields)
    if any(entry.name == "name" for entry in read):
        citizen = await citizens.get(
            preparation.db, preparation.dependencies.vault, preparation.citizen_id
        )
        name, number = citizen.name.reveal(), citizen.social_security_number.reveal()
        must_be_own(name, number, read)
        read = without_misread_name(name, number, read)
    return ReviewedDocument(found, await picture_intake.store(preparation, found.data), read)


async def upload_id_document(
    unit: UnitOfWork, command: UploadIdDocument, reviewed: ReviewedDocument
) -> DocumentPreview:
    found, stored, read = reviewed.found, reviewed.stored, reviewed.read
    picture_id = None
    if stored is not None:
        await unit.head(unit.citizen_id)
        picture_id = pictures.add(
            unit.writes,
            unit.now,
            citizen_id=unit.citizen_id,
            kind=PictureKind(command.side.value),
            object_name=stored.object_name,
            size=stored.size,
        )
        vault = unit.dependencies.vault
        await prefills.save(
            unit.db, unit.writes, vault, unit.citizen_id, command.side, read, unit.now
        )
        await audit.record(unit, unit.citizen_id, Action.UPLOAD_ID_DOCUMENT, picture=picture_id)
    return DocumentPreview(
        command.side, picture_id, found.checks, found.side, found.corners, found.other_side, read
    )


async def _read(preparation: Preparation, card: bytes, side: Side) -> ReadDocument:
    """What stands on the card; nothing without the extra, or if its worker is busy or fails."""
    reader = preparation.dependencies.reading_pool
    if reader is None or not card:
        return ReadDocument()
    with contextlib.suppress(ProcessingFailed, PoolBusy):
        return await reader.run(read_document, card, side, china_date(preparation.now))
    return ReadDocument()


def _in_codes(preparation: Preparation, read: Iterable[ReadField]) -> tuple[ReadField, ...]:
    reference = preparation.dependencies.reference
    coded = (_in_code(entry, reference) for entry in read)
    return tuple(entry for entry in coded if entry is not None)


def _in_code(entry: ReadField, reference: Reference) -> ReadField | None:
    """Translates the printed ethnicity (汉) into its GB/T 3304 code (01 汉族)."""
    if entry.name != "ethnicity_code":
        return entry
    word = entry.value.removesuffix("族")
    code = next(
        (
            option.code
            for option in reference.ethnicities.options
            if option.name.removesuffix("族") == word
        ),
        None,
    )
    return None if code is None else ReadField(entry.name, code, entry.confidence)


def must_be_own(name: str, number: str, read: tuple[ReadField, ...]) -> None:
    """Refuses only if both the name and a valid ID number differ from the citizen's.

    A misread name refuses nobody: the number has a check character, and a misread one is not told.
    """
    found = {entry.name: entry.value for entry in read}
    if "id_number" not in found:
        return
    if found["id_number"] != number and not is_same_name(found["name"], name):
        raise NotYours(field="file", label=_ID_CARD)


def without_misread_name(
    name: str, number: str, read: tuple[ReadField, ...]
) -> tuple[ReadField, ...]:
    """Drops a name that is the citizen's but for a misreading: the known one stays.

    Beside the citizen's own number every other name is misread.
    """
    found = {entry.name: entry.value for entry in read}
    if is_same_name(found["name"], name):
        return read
    if found.get("id_number") == number or is_likely_misread(found["name"], name):
        return tuple(entry for entry in read if entry.name != "name")
    return read
