"""The receipt (受理回执) of an application, with all numbers masked.

It is not stored, but built on each request from the accepted application.
"""

import hmac
from dataclasses import dataclass, field

from sqlalchemy import and_, bindparam, select

from core.applications import Application, ApplicationKind, applications_table
from core.citizens import Citizen, citizens_table
from core.crypto import Seals, Vault
from core.db import Query, Reader
from core.kernel.clock import CHINA, moment
from core.kernel.masking import mask_name, mask_number, mask_phone
from core.production.orders import production_orders_table
from core.reference import Reference

_NEWEST = Query(
    select(applications_table)
    .where(applications_table.c.subject_id == bindparam("subject_id"))
    .order_by(applications_table.c.id.desc())
    .limit(1)
)
_OF_APPLICATION = Query(
    select(
        *(column.label(f"application_{column.name}") for column in applications_table.c),
        *(column.label(f"citizen_{column.name}") for column in citizens_table.c),
        production_orders_table.c.bank_code,
        production_orders_table.c.outlet_code,
    )
    .select_from(
        applications_table.join(
            citizens_table, citizens_table.c.subject_id == applications_table.c.subject_id
        ).join(
            production_orders_table,
            and_(
                production_orders_table.c.subject_id == applications_table.c.subject_id,
                production_orders_table.c.application_id == applications_table.c.id,
            ),
        )
    )
    .where(
        applications_table.c.subject_id == bindparam("subject_id"),
        applications_table.c.id == bindparam("application_id"),
    )
)

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_TITLES = {
    ApplicationKind.APPLY: "社会保障卡申办受理回执",
    ApplicationKind.REISSUE: "社会保障卡补卡受理回执",
}
_ENGLISH_TITLES = {
    ApplicationKind.APPLY: "Receipt: application for a social security card",
    ApplicationKind.REISSUE: "Receipt: reissue of a social security card",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A label in both languages and its value."""

    label: str
    english: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApplicationReceipt:
    """The printed content. `check_url` is the target of the QR code."""

    number: str
    title: str
    english_title: str
    lines: tuple[Line, ...]
    check_url: str


async def newest_application(db: Reader, citizen_id: int) -> Application | None:
    row = await db.fetch_one(_NEWEST, subject_id=citizen_id)
    return None if row is None else Application.from_row(row)


async def receipt_of(
    db: Reader,
    vault: Vault,
    seals: Seals,
    reference: Reference,
    citizen_id: int,
    application_id: int,
    check_url: str,
) -> ApplicationReceipt | None:
    """`{number}` and `{code}` in `check_url` are replaced by the application number and the check
    code."""
    row = await db.fetch_one(_OF_APPLICATION, subject_id=citizen_id, application_id=application_id)
    if row is None:
        return None
    application = Application.from_row(row, "application_")
    code = check_code(seals, application.number)
    return ApplicationReceipt(
        number=application.number,
        title=_TITLES[application.kind],
        english_title=_ENGLISH_TITLES[application.kind],
        lines=(
            Line("申请编号", "Application number", application.number),
            Line("核验码", "Check code", code),
            Line(
                "受理时间",
                "Accepted at",
                f"{moment(application.created_at).astimezone(CHINA):%Y-%m-%d %H:%M:%S}（北京时间）",
            ),
            *_citizen(Citizen.from_row(row, vault, "citizen_")),
            *_pickup(reference, row["bank_code"], row["outlet_code"]),
        ),
        check_url=check_url.replace("{number}", application.number).replace("{code}", code),
    )


def check_code(seals: Seals, number: str) -> str:
    """`ABCDE-FGHJK`: fifty bits that only who has the audit keys can compute."""
    return _printed(seals.receipts(number)[0])


def is_check_code(seals: Seals, number: str, code: str) -> bool:
    """Under any of the audit keys; `code` with or without its hyphen."""
    given = code.replace("-", "").encode()
    codes = [_printed(mac).replace("-", "") for mac in seals.receipts(number)]
    return any([hmac.compare_digest(ours.encode(), given) for ours in codes])  # noqa: C419 - all, so that the time says nothing


def _printed(mac: bytes) -> str:
    """Base 32 without the letters and digits that are taken for each other."""
    number = int.from_bytes(mac[-8:]) >> 14
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(45, -5, -5))
    return f"{letters[:5]}-{letters[5:]}"


def _citizen(citizen: Citizen) -> tuple[Line, ...]:
    phone = "" if citizen.phone is None else mask_phone(citizen.phone.reveal())
    number = citizen.social_security_number.reveal()
    return (
        Line("姓名", "Name", mask_name(citizen.name.reveal())),
        Line("社会保障号码", "Social security number", mask_number(number)),
        Line("手机号码", "Phone", phone),
    )


def _pickup(reference: Reference, bank_code: str, outlet_code: str) -> tuple[Line, ...]:
    """Codes that are no longer in the reference data are shown as they are."""
    bank, outlet = reference.bank(bank_code), reference.outlet(outlet_code)
    bank_line = Line("开户银行", "Bank", bank_code if bank is None else bank.name)
    if outlet is None:
        return (bank_line, Line("领卡网点", "Pickup outlet", outlet_code))
    district = reference.districts.get(outlet.district_code)
    return (
        bank_line,
        Line("领卡方式", "Pickup method", "服务网点"),
        Line("领卡区县", "Pickup district", "" if district is None else district.name),
        Line("领卡网点", "Pickup outlet", outlet.name),
        Line("网点地址", "Address", outlet.address),
    )
