"""Form validation: label, format and normalisation of each field.

A `Form` collects the problems of all fields and refuses once. What people type is first brought to
one spelling (`core.reference.spelling`).
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date

from stdnum.iso7064 import mod_11_2

from core.kernel.refusals import (
    Fact,
    InvalidCharacters,
    InvalidDate,
    InvalidFields,
    InvalidFormat,
    InvalidIdNumber,
    NotServedOnline,
    OutletDoesNotServeBank,
    OutletNotInDistrict,
    Refusal,
    Required,
    TooLong,
    UnknownCode,
)
from core.kernel.texts import Text
from core.reference import spelling
from core.reference.reference import Reference, Table

LABELS = {
    "portrait": Text("本人二寸白底彩色照片", "Portrait"),
    "idDocuments": Text("身份证照片", "ID card pictures"),
    "postalCode": Text("邮政编码", "Postal code"),
    "socialInsuranceNumber": Text("社保编号", "Social insurance number"),
    "educationCode": Text("学历", "Education"),
    "occupationCode": Text("职业/工种", "Occupation"),
    "bankCode": Text("开户银行", "Bank"),
    "financialWithholding": Text("是否使用金融代扣", "Financial withholding"),
    "pickupMethod": Text("领卡方式", "Pickup method"),
    "districtCode": Text("领卡区县", "Pickup district"),
    "outletCode": Text("领卡网点", "Pickup outlet"),
    "phone": Text("手机号码", "Phone"),
    "newPhone": Text("手机号码", "Phone"),
    "code": Text("验证码", "Verification code"),
    "nationalityCode": Text("国籍/地区代码", "Nationality or region"),
    "idDocumentType": Text("证件类型", "Document type"),
    "idIssuer": Text("证件发证机关", "Issuing authority"),
    "idNumber": Text("证件号码", "Document number"),
    "idValidUntil": Text("证件截止有效期", "Document valid until"),
    "name": Text("姓名", "Name"),
    "genderCode": Text("性别", "Gender"),
    "ethnicityCode": Text("民族", "Ethnicity"),
    "birthDate": Text("出生日期", "Birth date"),
    "socialSecurityNumber": Text("社会保障号码", "Social security number"),
    "cardNumber": Text("卡号", "Card number"),
    "oldPassword": Text("原密码", "Old password"),
    "newPassword": Text("新密码", "New password"),
    "confirmPassword": Text("确认密码", "Password again"),
    "landline": Text("固定电话", "Landline"),
    "registeredAddress": Text("户口所在地地址", "Registered address"),
    "residentialAddress": Text("常住地地址", "Residential address"),
    "residentialPostalCode": Text("常住地邮政编码", "Residential postal code"),
    "insurances": Text("险种", "Insurances"),
    "credential": Text("登录凭证", "Credential"),
    "challenge": Text("浏览器校验", "Browser challenge"),
    "redirectUri": Text("回跳地址", "Redirect address"),
    "file": Text("图片", "Picture"),
    "first": Text("条数", "Number of entries"),
    "after": Text("游标", "Cursor"),
    "score": Text("评价等级", "Score"),
    "comment": Text("评价内容", "Comment"),
    "ids": Text("通知编号", "Ids of notices"),
}
REISSUE_LABELS = LABELS | {
    "districtCode": Text("发卡区县", "Pickup district"),
    "outletCode": Text("发卡网点", "Pickup outlet"),
}
"""补卡 has other words for the same fields."""

LONG_TERM = "LONG_TERM"
MAX_NAME = 50
MAX_ADDRESS = 100
MAX_TEXT = 60

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"(0[0-9]{2,3}-?)?[2-9][0-9]{6,7}(-[0-9]{1,6})?")
_POSTAL_CODE = re.compile(r"[0-9]{6}")
_VERIFICATION_CODE = re.compile(r"[0-9]{6}")
_PASSWORD = re.compile(r"[0-9]{8}")
_CARD_NUMBER = re.compile(r"[A-Z0-9]{8}[0-9X]")
_SOCIAL_INSURANCE_NUMBER = re.compile(r"[A-Za-z0-9]{1,20}")
_ID_NUMBER = re.compile(r"[0-9]{17}[0-9X]")
_DATE = re.compile(r"[0-9]{8}")
_HYPHENATED_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_RULES = {
    "mobile": Text("应为 11 位手机号码", "11 digits"),
    "landline": Text("如 028-12345678", "for example 028-12345678"),
    "postal_code": Text("应为 6 位数字", "6 digits"),
    "code": Text("应为 6 位数字", "6 digits"),
    "password": Text("应为八位纯数字", "exactly 8 digits"),
    "card_number": Text("应为 9 位字母或数字，最后一位为数字或 X", "9 letters or digits"),
    "social_insurance_number": Text("应为不超过 20 位的字母或数字", "at most 20 letters or digits"),
}

_CHOOSE_AGAIN = Text("请重新选择网点或银行", "please choose another outlet or bank")
_NO_OUTLET = Text(
    "不能更换银行，目前没有网点办理，请拨打 028-12333 咨询",
    "the bank cannot be changed, and no outlet serves it now: please call 028-12333",
)
_OUTLETS_NAMED = 5


class Form:
    """Validates the fields of one form; `finish` raises all problems found."""

    def __init__(self, labels: Mapping[str, Text] = LABELS) -> None:
        self._labels = labels
        self._problems: list[Refusal] = []

    def refuse(self, problem: Refusal) -> None:
        """Keeps only the first problem of a field; later ones are consequences of it."""
        if not self.has_refused(problem.field):
            self._problems.append(problem)

    def has_refused(self, field: str | None) -> bool:
        return any(problem.field == field for problem in self._problems)

    @property
    def problems(self) -> tuple[Refusal, ...]:
        return tuple(self._problems)

    def finish(self) -> None:
        if len(self._problems) == 1:
            raise self._problems[0]
        if self._problems:
            raise InvalidFields(self._problems)

    def phone(self, field: str, value: str) -> str:
        return self._shaped(field, spelling.mobile(value), _MOBILE, "mobile")

    def landline(self, field: str, value: str) -> str:
        return self._shaped(field, spelling.landline(value), _LANDLINE, "landline")

    def postal_code(self, field: str, value: str) -> str:
        return self._shaped(field, spelling.digits(value), _POSTAL_CODE, "postal_code")

    def verification_code(self, field: str, value: str) -> str:
        return self._shaped(field, spelling.digits(value), _VERIFICATION_CODE, "code")

    def password(self, field: str, value: str) -> str:
        return self._shaped(field, spelling.password(value), _PASSWORD, "password")

    def social_insurance_number(self, field: str, value: str | None) -> str:
        number = spelling.digits(value or "")
        if not number:
            return ""
        return self._shaped(field, number, _SOCIAL_INSURANCE_NUMBER, "social_insurance_number")

    def card_number(self, field: str, value: str, *, check_character: bool) -> str:
        number = self._shaped(field, spelling.upper(value), _CARD_NUMBER, "card_number")
        if number and check_character and not _passes_check_character(number):
            self._refuse(InvalidFormat, field, rule=_RULES["card_number"])
        return number

    def id_number(self, field: str, value: str, today: date) -> str:
        number = spelling.upper(value)
        if not number:
            self._refuse(Required, field)
        elif not is_id_number(number, today):
            self._refuse(InvalidIdNumber, field)
        return number

    def name(self, field: str, value: str) -> str:
        name = spelling.name(value)
        if not name:
            self._refuse(Required, field)
        elif len(name) > MAX_NAME:
            self._refuse(TooLong, field, most=MAX_NAME)
        elif not all(_is_name_character(character) for character in name):
            self._refuse(InvalidCharacters, field)
        return name

    def text(self, field: str, value: str, most: int = MAX_TEXT) -> str:
        text = unicodedata.normalize("NFC", value).strip()
        if not text:
            self._refuse(Required, field)
        elif len(text) > most:
            self._refuse(TooLong, field, most=most)
        elif not all(is_printable(character) for character in text):
            self._refuse(InvalidCharacters, field)
        return text

    def choice(self, field: str, value: str, table: Table) -> str:
        if not value:
            self._refuse(Required, field)
        elif table.get(value) is None:
            self._refuse(UnknownCode, field)
        return value

    def served_online(self, field: str, value: str, table: Table) -> str:
        """As `choice`, of a table that holds only what is served online."""
        if value and table.get(value) is None:
            names = [option.text for option in table.options]
            served = Text(
                "、".join(name.zh for name in names), ", ".join(name.en for name in names)
            )
            self._refuse(NotServedOnline, field, served=served)
            return value
        return self.choice(field, value, table)

    def outlet(
        self,
        outlet_code: str,
        district_code: str,
        bank_code: str,
        reference: Reference,
        *,
        bank_is_fixed: bool = False,
    ) -> None:
        """The outlet must be in the district and serve the bank, if these are known.

        `bank_is_fixed`: the citizen can choose another outlet only, so the refusal names some.
        """
        if not outlet_code:
            self._refuse(Required, "outletCode")
            return
        outlet = reference.outlet(outlet_code)
        if outlet is None:
            self._refuse(UnknownCode, "outletCode")
        elif reference.districts.get(district_code) and outlet.district_code != district_code:
            self.refuse(OutletNotInDistrict(field="outletCode"))
        elif (bank := reference.bank(bank_code)) and bank_code not in outlet.bank_codes:
            choice = _CHOOSE_AGAIN
            if bank_is_fixed:
                choice = _other_outlets(district_code, bank_code, reference)
            self.refuse(OutletDoesNotServeBank(field="outletCode", bank=bank.text, choice=choice))

    def birth_date(self, field: str, value: str) -> date | None:
        return self._date(field, value, "19900131")

    def valid_until(self, field: str, value: str) -> date | None:
        """None for 长期 (unlimited), which may also be typed as that word."""
        if value.strip() in (LONG_TERM, "长期", "长期有效"):
            return None
        return self._date(field, value, "20281021")

    def _date(self, field: str, value: str, example: str) -> date | None:
        text = spelling.date(value)
        if not text:
            self._refuse(Required, field)
            return None
        found = parse_date(text)
        if found is None:
            self._refuse(InvalidDate, field, example=example)
        return found

    def _shaped(self, field: str, text: str, shape: re.Pattern[str], rule: str) -> str:
        if not text:
            self._refuse(Required, field)
        elif not shape.fullmatch(text):
            self._refuse(InvalidFormat, field, rule=_RULES[rule])
        return text

    def _refuse(self, refusal: Callable[..., Refusal], field: str, **facts: Fact) -> None:
        self.refuse(refusal(field=field, label=self._labels[field], **facts))


def _other_outlets(district_code: str, bank_code: str, reference: Reference) -> Text:
    """Outlets that serve the bank, of the district if it has any, otherwise of others."""
    found = reference.outlets_in(district_code, bank_code) or [
        outlet for outlet in reference.outlets if bank_code in outlet.bank_codes
    ]
    if not found:
        return _NO_OUTLET
    names = [outlet.name for outlet in found[:_OUTLETS_NAMED]]
    more = len(found) > _OUTLETS_NAMED
    return Text(
        f"不能更换银行，请改选：{'、'.join(names)}{'等' if more else ''}",
        "the bank cannot be changed, so please choose another outlet, "
        f"{'for example ' if more else ''}{', '.join(names)}",
    )


def parse_date(text: str) -> date | None:
    """Parses `YYYYMMDD` or `YYYY-MM-DD` in ASCII digits; None if there is no such day."""
    if not (_DATE.fullmatch(text) or _HYPHENATED_DATE.fullmatch(text)):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def is_id_number(number: str, today: date) -> bool:
    """GB 11643: 17 digits and an ISO 7064 MOD 11-2 check character, with a birth date until today."""
    if not _ID_NUMBER.fullmatch(number) or not mod_11_2.is_valid(number):
        return False
    born = parse_date(number[6:14])
    return born is not None and date(1850, 1, 1) <= born <= today


def birth_date_of(id_number: str) -> date:
    return date.fromisoformat(id_number[6:14])


def gender_code_of(id_number: str) -> str:
    """GB/T 2261.1: 1 male, 2 female. The 17th digit is odd for men."""
    return "1" if int(id_number[16]) % 2 else "2"


def age_on(born: date, day: date) -> int:
    """Age in completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def is_printable(character: str) -> bool:
    """Excludes control, format (bidi, zero-width), surrogate, private-use and unassigned characters."""
    return unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029"


def _is_name_character(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM" or character in (
        spelling.DOT,
        " ",
        "-",
        "'",
        ".",
    )


def _passes_check_character(number: str) -> bool:
    """MOD 11-2 over base-36 values. Enabled by a setting, because no published rule was found."""
    digits = "".join(str(int(character, 36)) for character in number[:-1])
    return mod_11_2.calc_check_digit(digits) == number[-1]
