"""The data collection form of 申办 (数据采集项): fields, defaults and validation.

Draft and application share one check; a draft may have missing fields. Field names are those of
the schema.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any

from core.citizens import Citizen
from core.kernel.clock import Instant
from core.kernel.refusals import (
    BirthDateMismatch,
    ConsentNotGiven,
    DocumentExpired,
    GenderMismatch,
    GuardianNeeded,
    IdDocumentsNotConfirmed,
    NotYours,
    PortraitNotConfirmed,
    Required,
)
from core.kernel.texts import Text
from core.reference import (
    LABELS,
    RESIDENT_ID_CARD,
    Form,
    Option,
    Reference,
    Table,
    age_on,
    birth_date_of,
    gender_code_of,
    is_id_number,
    is_same_name,
    spelling,
)
from core.storage import Picture, PictureKind


@dataclass(frozen=True, slots=True)
class FilledForm:
    """The values as they were meant; an empty string or None is a field not yet filled in."""

    postal_code: str = field(default="", repr=False)
    social_insurance_number: str = field(default="", repr=False)
    education_code: str = ""
    occupation_code: str = ""
    bank_code: str = ""
    financial_withholding: bool | None = None
    pickup_method: str = ""
    district_code: str = ""
    outlet_code: str = ""
    phone: str = field(default="", repr=False)
    nationality_code: str = ""
    id_document_type: str = ""
    id_issuer: str = field(default="", repr=False)
    id_number: str = field(default="", repr=False)
    id_valid_until: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    gender_code: str = ""
    ethnicity_code: str = ""
    birth_date: str = field(default="", repr=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "FilledForm":
        """Of the values as they were typed."""
        known = {entry.name for entry in fields(cls)}
        meant: dict[str, Any] = {
            name: as_meant(name, value) if isinstance(value, str) else value
            for name, value in values.items()
            if name in known
        }
        return cls(**meant)


_SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "postal_code": spelling.digits,
    "social_insurance_number": spelling.digits,
    "phone": spelling.mobile,
    "id_number": spelling.upper,
    "id_valid_until": spelling.date,
    "name": spelling.name,
    "birth_date": spelling.date,
}


def as_meant(name: str, typed: str) -> str:
    """The value of a field, by its attribute: `+86 199 0000 1001` is a phone, too."""
    return _SPELLINGS.get(name, _stripped)(typed)


def _stripped(typed: str) -> str:
    return typed.strip(" ")


class FieldType(StrEnum):
    TEXT = "TEXT"
    DIGITS = "DIGITS"
    PASSWORD = "PASSWORD"  # noqa: S105 - a type of field
    DATE = "DATE"
    DATE_TIME = "DATE_TIME"
    SELECT = "SELECT"
    MULTI_SELECT = "MULTI_SELECT"
    BOOLEAN = "BOOLEAN"
    PICTURE = "PICTURE"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """`name` is the attribute of `FilledForm`; `options` returns the choices of a code table.

    The options of 领卡网点 follow from other fields: `core/service_forms/apply_card.py`.
    """

    name: str
    type: FieldType
    help: Text
    options: Callable[[Reference], Sequence[Option]] | None = None
    default: str | None = None
    required: bool = True


SPECS = (
    FieldSpec(
        "postal_code",
        FieldType.DIGITS,
        Text("6 位数字", "6 digits"),
        default="610000",
    ),
    FieldSpec(
        "social_insurance_number",
        FieldType.TEXT,
        Text("没有可不填", "May be left empty"),
        required=False,
    ),
    FieldSpec(
        "education_code",
        FieldType.SELECT,
        Text("请选择最高学历", "Highest education"),
        lambda reference: reference.educations.options,
    ),
    FieldSpec(
        "occupation_code",
        FieldType.SELECT,
        Text("请选择职业/工种", "Occupation"),
        lambda reference: reference.occupations.options,
    ),
    FieldSpec(
        "bank_code",
        FieldType.SELECT,
        Text("社保卡金融账户的开户银行", "Bank of the card's financial account"),
        lambda reference: reference.banks.options,
    ),
    FieldSpec(
        "financial_withholding",
        FieldType.BOOLEAN,
        Text("是否由金融账户代扣代缴", "Pay contributions from the financial account"),
    ),
    FieldSpec(
        "pickup_method",
        FieldType.SELECT,
        Text("到服务网点领取", "Collect at an outlet"),
        lambda reference: reference.pickup_methods.options,
        default="OUTLET",
    ),
    FieldSpec(
        "district_code",
        FieldType.SELECT,
        Text("请选择领卡网点所在区县", "District of the pickup outlet"),
        lambda reference: reference.districts.options,
    ),
    FieldSpec(
        "outlet_code",
        FieldType.SELECT,
        Text("请先选择开户银行和领卡区县", "Choose bank and district first"),
    ),
    FieldSpec(
        "phone",
        FieldType.DIGITS,
        Text("11 位手机号码，激活时需用此号码", "11 digits; activation needs this phone"),
    ),
    FieldSpec(
        "nationality_code",
        FieldType.SELECT,
        Text(
            "线上只受理中国国籍，其他国籍或地区请到服务网点办理",
            "Online for Chinese citizens only; others please visit an outlet",
        ),
        lambda reference: reference.nationalities.options,
        default="CHN",
    ),
    FieldSpec(
        "id_document_type",
        FieldType.SELECT,
        Text(
            "线上只受理居民身份证，其他证件请到服务网点办理",
            "Online with a resident ID card only; with another document please visit an outlet",
        ),
        lambda reference: reference.id_document_types.options,
        default=RESIDENT_ID_CARD,
    ),
    FieldSpec(
        "id_issuer",
        FieldType.TEXT,
        Text("见身份证国徽面「签发机关」", "On the emblem side of the ID card"),
    ),
    FieldSpec(
        "id_number",
        FieldType.TEXT,
        Text("18 位公民身份号码", "18 characters"),
    ),
    FieldSpec(
        "id_valid_until",
        FieldType.DATE,
        Text("如20281021（或长期）", "Like 20281021, or LONG_TERM"),
    ),
    FieldSpec("name", FieldType.TEXT, Text("与身份证一致", "As on the ID card")),
    FieldSpec(
        "gender_code",
        FieldType.SELECT,
        Text("与身份证一致", "As on the ID card"),
        lambda reference: reference.genders.options,
    ),
    FieldSpec(
        "ethnicity_code",
        FieldType.SELECT,
        Text("与身份证一致", "As on the ID card"),
        lambda reference: reference.ethnicities.options,
    ),
    FieldSpec(
        "birth_date",
        FieldType.DATE,
        Text("如19900131，与身份证一致", "Like 19900131, as on the ID card"),
    ),
)


def schema_name(name: str) -> str:
    """`postal_code` → `postalCode`."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def attribute_name(name: str) -> str:
    """`postalCode` → `postal_code`."""
    return next(spec.name for spec in SPECS if schema_name(spec.name) == name)


def check(
    form: Form,
    filled: FilledForm,
    citizen: Citizen,
    reference: Reference,
    today: date,
    adult_age: int,
) -> None:
    """Validates each field, then the fields against each other and against the citizen."""
    form.postal_code("postalCode", filled.postal_code)
    form.social_insurance_number("socialInsuranceNumber", filled.social_insurance_number)
    form.choice("educationCode", filled.education_code, reference.educations)
    form.choice("occupationCode", filled.occupation_code, reference.occupations)
    form.choice("bankCode", filled.bank_code, reference.banks)
    if filled.financial_withholding is None:
        form.refuse(Required(field="financialWithholding", label=LABELS["financialWithholding"]))
    form.choice("pickupMethod", filled.pickup_method, reference.pickup_methods)
    form.choice("districtCode", filled.district_code, reference.districts)
    form.outlet(filled.outlet_code, filled.district_code, filled.bank_code, reference)
    form.phone("phone", filled.phone)
    form.served_online("nationalityCode", filled.nationality_code, reference.nationalities)
    form.served_online("idDocumentType", filled.id_document_type, reference.id_document_types)
    form.text("idIssuer", filled.id_issuer)
    form.choice("genderCode", filled.gender_code, reference.genders)
    form.choice("ethnicityCode", filled.ethnicity_code, reference.ethnicities)
    name = form.name("name", filled.name)
    number = form.id_number("idNumber", filled.id_number, today)
    born = form.birth_date("birthDate", filled.birth_date)
    _check_validity(form, filled, today)
    if filled.id_document_type in ("", RESIDENT_ID_CARD) and is_id_number(number, today):
        _check_against_number(form, filled, number, born)
    _check_identity(form, citizen, name, number)
    if filled.financial_withholding and born is not None and age_on(born, today) < adult_age:
        form.refuse(GuardianNeeded(field="financialWithholding", age=adult_age))


def check_correction(form: Form, name: str, value: str, reference: Reference, today: date) -> None:
    """One field, by its name in the schema, that the card issuer wants corrected."""
    if name == "postalCode":
        form.postal_code(name, value)
    elif name == "idIssuer":
        form.text(name, value)
    elif name == "idValidUntil":
        _check_validity(form, FilledForm(id_valid_until=value), today)
    else:
        form.choice(name, value, _TABLES[name](reference))


_TABLES: dict[str, Callable[[Reference], Table]] = {
    "educationCode": lambda reference: reference.educations,
    "occupationCode": lambda reference: reference.occupations,
    "ethnicityCode": lambda reference: reference.ethnicities,
}


def check_consent(form: Form, given_at: Instant | None) -> None:
    if given_at is None:
        form.refuse(ConsentNotGiven(field="consent"))


def check_pictures(form: Form, pictures: Mapping[PictureKind, Picture]) -> None:
    portrait = pictures.get(PictureKind.PORTRAIT)
    if portrait is None or not portrait.confirmed:
        form.refuse(PortraitNotConfirmed(field="portrait"))
    sides = (pictures.get(PictureKind.PORTRAIT_SIDE), pictures.get(PictureKind.EMBLEM_SIDE))
    if not all(side is not None and side.confirmed for side in sides):
        form.refuse(IdDocumentsNotConfirmed(field="idDocuments"))


def _check_validity(form: Form, filled: FilledForm, today: date) -> None:
    valid_until = form.valid_until("idValidUntil", filled.id_valid_until)
    if valid_until is not None and valid_until < today:
        form.refuse(DocumentExpired(field="idValidUntil"))


def _check_against_number(form: Form, filled: FilledForm, number: str, born: date | None) -> None:
    if born is not None and born != birth_date_of(number):
        form.refuse(BirthDateMismatch(field="birthDate"))
    if filled.gender_code in ("1", "2") and filled.gender_code != gender_code_of(number):
        form.refuse(GenderMismatch(field="genderCode"))


def _check_identity(form: Form, citizen: Citizen, name: str, number: str) -> None:
    if name and not is_same_name(name, citizen.name.reveal()):
        form.refuse(NotYours(field="name", label=LABELS["name"]))
    if number and number != citizen.social_security_number.reveal():
        form.refuse(NotYours(field="idNumber", label=LABELS["idNumber"]))
