"""更正申请 correct application: what the card issuer asked for, after which the same order goes on.

Pictures are uploaded and confirmed before, as for 申办; fields are in the form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from core import audit
from core.applications import application_forms, applications
from core.audit import Action
from core.issuer import ISSUER_CLOCK_SKEW, change_order
from core.kernel.clock import china_date
from core.kernel.ids import first_id_at
from core.kernel.refusals import (
    IdDocumentsNotConfirmed,
    NoSuchApplication,
    NotToBeCorrected,
    PortraitNotConfirmed,
)
from core.production import Correction, NodeState, OrderChange, ProductionOrder, Progress, orders
from core.reference import LABELS, Form
from core.storage import Picture, PictureKind, pictures
from core.unit_of_work import Preparation, UnitOfWork

_SIDES = (PictureKind.PORTRAIT_SIDE, PictureKind.EMBLEM_SIDE)
_ASKED_FOR = {PictureKind.PORTRAIT: Correction.PORTRAIT} | dict.fromkeys(
    _SIDES, Correction.ID_DOCUMENTS
)


@dataclass(frozen=True, slots=True)
class CorrectApplication:
    """`fields` are the typed values by the names of the form."""

    application_number: str
    fields: Mapping[str, str] = field(repr=False)


async def correct_application(unit: UnitOfWork, command: CorrectApplication) -> Progress:
    """Production goes on once the card issuer has accepted the correction."""
    db, vault = unit.db, unit.dependencies.vault
    citizen = await unit.citizen()
    order = await orders.find_order(db, vault, citizen.id, command.application_number.strip())
    if order is None:
        raise NoSuchApplication(field="applicationNumber")
    asked = order.require_changeable(OrderChange.CORRECTION)
    stored = await pictures.latest(db, citizen.id)
    form = Form()
    portrait_id = _portrait(form, order, asked, stored)
    side_ids = _sides(form, order, asked, stored)
    fields = _fields(unit, form, asked, command.fields, china_date(unit.now))
    form.finish()
    if fields:
        await _change_form(unit, order, fields)
    order = change_order.request(
        unit,
        order,
        OrderChange.CORRECTION,
        node=asked.node.value,
        portraitId=portrait_id,
        idDocumentIds=side_ids,
        fields=fields,
    )
    application = order.application.id
    await audit.record(unit, citizen.id, Action.CORRECT_APPLICATION, application=application)
    return Progress(citizen, order)


def _portrait(
    form: Form, order: ProductionOrder, asked: NodeState, stored: Mapping[PictureKind, Picture]
) -> int | None:
    if Correction.PORTRAIT not in asked.corrections:
        return None
    portrait = stored.get(PictureKind.PORTRAIT)
    if portrait is None or not _is_new(portrait, order, asked):
        form.refuse(PortraitNotConfirmed(field="portrait"))
        return None
    return portrait.id


def _sides(
    form: Form, order: ProductionOrder, asked: NodeState, stored: Mapping[PictureKind, Picture]
) -> list[int] | None:
    if Correction.ID_DOCUMENTS not in asked.corrections:
        return None
    sides = [stored[kind] for kind in _SIDES if kind in stored]
    if len(sides) < len(_SIDES) or not all(_is_new(side, order, asked) for side in sides):
        form.refuse(IdDocumentsNotConfirmed(field="idDocuments"))
        return None
    return [side.id for side in sides]


def _is_new(picture: Picture, order: ProductionOrder, asked: NodeState) -> bool:
    """Confirmed, and another one than what the card issuer has."""
    return picture.confirmed and picture.id > _known(order, asked)


def _known(order: ProductionOrder, asked: NodeState) -> int:
    """The card issuer has pictures up to this id: ids rise with time."""
    return max(order.application.id, first_id_at((asked.at or 0) - ISSUER_CLOCK_SKEW))


async def pictures_for_correction(
    preparation: Preparation, order: ProductionOrder
) -> dict[PictureKind, Picture]:
    """What was uploaded since the card issuer asked for it, confirmed or not."""
    asked = order.current
    if asked is None or not order.may_be_changed(OrderChange.CORRECTION):
        return {}
    wanted = [kind for kind, item in _ASKED_FOR.items() if item in asked.corrections]
    if not wanted:
        return {}
    stored = await pictures.latest(preparation.db, preparation.citizen_id)
    known = _known(order, asked)
    return {kind: stored[kind] for kind in wanted if kind in stored and stored[kind].id > known}


def _fields(
    unit: UnitOfWork, form: Form, asked: NodeState, typed: Mapping[str, str], today: date
) -> dict[str, str]:
    wanted = [item.value for item in asked.corrections if not item.is_picture]
    for name in typed.keys() - wanted:
        form.refuse(NotToBeCorrected(field=name, label=LABELS[name]))
    values = {
        name: application_forms.as_meant(
            application_forms.attribute_name(name), typed.get(name, "")
        )
        for name in wanted
    }
    for name, value in values.items():
        application_forms.check_correction(form, name, value, unit.dependencies.reference, today)
    return values


async def _change_form(unit: UnitOfWork, order: ProductionOrder, fields: dict[str, str]) -> None:
    vault = unit.dependencies.vault
    text = await applications.form_of(unit.db, vault, order.citizen_id, order.application.id)
    corrected = {application_forms.attribute_name(name): value for name, value in fields.items()}
    applications.change_form(
        unit.writes,
        vault,
        order.citizen_id,
        order.application.id,
        json.dumps(json.loads(text) | corrected, ensure_ascii=False),
    )
