"""What stands in the fields of 数据采集项, and where each value comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from core.applications.application_forms import SPECS, FilledForm
from core.citizens import Citizen
from core.imaging import ReadField
from core.reference import birth_date_of, gender_code_of, is_id_number


class ValueSource(StrEnum):
    PLATFORM = "PLATFORM"
    DOCUMENT = "DOCUMENT"
    DRAFT = "DRAFT"


@dataclass(frozen=True, slots=True)
class DraftValues:
    """`sources` are by attribute of `filled`; a field without a value has none."""

    filled: FilledForm = field(repr=False)
    sources: Mapping[str, ValueSource]


def draft_values(
    draft: Mapping[str, Any], citizen: Citizen, read: Mapping[str, ReadField], today: date
) -> DraftValues:
    """What the citizen typed, else what is known of the citizen, else what the ID card says."""
    offers = (
        (ValueSource.DRAFT, draft),
        (ValueSource.PLATFORM, _known_of(citizen, today)),
        (ValueSource.DOCUMENT, {entry.name: entry.value for entry in read.values()}),
    )
    values, sources = {}, {}
    for spec in SPECS:
        for source, offered in offers:
            value = offered.get(spec.name)
            if value not in (None, ""):
                values[spec.name], sources[spec.name] = value, source
                break
    return DraftValues(FilledForm.of(values), sources)


def _known_of(citizen: Citizen, today: date) -> dict[str, str]:
    """Of a citizen whom the platform named, or the population registry confirmed at binding."""
    number = citizen.social_security_number.reveal()
    known = {"name": citizen.name.reveal(), "id_number": number}
    if is_id_number(number, today):
        known["gender_code"] = gender_code_of(number)
        known["birth_date"] = f"{birth_date_of(number):%Y%m%d}"
    if citizen.phone is not None:
        known["phone"] = citizen.phone.reveal()
    return known
