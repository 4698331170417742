"""What a citizen is to correct, so that production of the same order goes on."""

from collections.abc import Iterable
from enum import StrEnum


class Correction(StrEnum):
    """A picture or a field of the application, by its name in the form."""

    PORTRAIT = "portrait"
    ID_DOCUMENTS = "idDocuments"
    POSTAL_CODE = "postalCode"
    EDUCATION_CODE = "educationCode"
    OCCUPATION_CODE = "occupationCode"
    ID_ISSUER = "idIssuer"
    ID_VALID_UNTIL = "idValidUntil"
    ETHNICITY_CODE = "ethnicityCode"

    @property
    def is_picture(self) -> bool:
        return self in (Correction.PORTRAIT, Correction.ID_DOCUMENTS)


def in_order(corrections: Iterable[Correction]) -> tuple[Correction, ...]:
    named = set(corrections)
    return tuple(correction for correction in Correction if correction in named)


def to_column(corrections: Iterable[Correction]) -> str | None:
    return ",".join(corrections) or None


def from_column(value: str | None) -> tuple[Correction, ...]:
    return tuple(Correction(name) for name in value.split(",")) if value else ()
