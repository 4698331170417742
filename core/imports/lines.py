"""One line of the file: a citizen and a card, validated by the rules of the forms."""

import functools
import re
from dataclasses import dataclass, field
from datetime import date

from core.cards import CHENGDU, CardState
from core.kernel import lengths
from core.kernel.texts import Language
from core.reference import Form, Reference, parse_date

COLUMNS = (
    "name",
    "social_security_number",
    "phone",
    "card_number",
    "state",
    "bank_code",
    "issue_date",
    "batch_number",
    "region_code",
)
OPTIONAL = ("region_code",)

_COLUMN_OF = {
    "name": "name",
    "socialSecurityNumber": "social_security_number",
    "phone": "phone",
    "cardNumber": "card_number",
}
_STATES = {state.value: state for state in CardState} | {state.name: state for state in CardState}
_ISSUE_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class BadLine:
    """Why a line is not imported. `column` is empty if the line as a whole is invalid."""

    line: int
    column: str
    reason: str


@dataclass(slots=True)
class CardLine:
    line: int
    name: str = field(repr=False)
    social_security_number: str = field(repr=False)
    phone: str | None = field(repr=False)
    card_number: str = field(repr=False)
    state: CardState
    bank_code: str
    issue_date: str
    batch_number: str | None
    region_code: str


class LineReader:
    """Validates lines; dates are compared with `today`."""

    def __init__(self, reference: Reference, today: date, *, card_check_character: bool) -> None:
        self._reference = reference
        self._today = today
        self._card_check_character = card_check_character
        # Most lines of a file share bank, date and batch with others.
        self._problems_of_card = functools.lru_cache(4096)(self._find_problems_of_card)

    def read(self, line: int, cells: list[str]) -> CardLine | list[BadLine]:
        """`cells` are in the order of `COLUMNS`. All invalid columns are reported."""
        name, number, phone, card_number, *others = map(str.strip, cells)
        state, bank_code, issue_date, batch_number, region_code = others
        form = Form()
        name = form.name("name", name)
        number = form.id_number("socialSecurityNumber", number, self._today)
        phone = form.phone("phone", phone) if phone else ""
        card_number = form.card_number(
            "cardNumber", card_number, check_character=self._card_check_character
        )
        problems = self._problems_of_card(state, bank_code, issue_date, batch_number, region_code)
        if form.problems or problems:
            return [*_of_form(line, form), *(BadLine(line, *problem) for problem in problems)]
        return CardLine(
            line,
            name,
            number,
            phone or None,
            card_number,
            _STATES[state.upper()],
            bank_code,
            issue_date,
            batch_number or None,
            region_code or CHENGDU,
        )

    def _find_problems_of_card(
        self, state: str, bank_code: str, issue_date: str, batch_number: str, region_code: str
    ) -> list[tuple[str, str]]:
        problems = []
        if state.upper() not in _STATES:
            problems.append(("state", f"must be one of {', '.join(_STATES)}"))
        if self._reference.bank(bank_code) is None:
            problems.append(("bank_code", "is not the code of a known bank"))
        if (reason := self._wrong_day(issue_date)) is not None:
            problems.append(("issue_date", reason))
        if len(batch_number) > lengths.BATCH_NUMBER or not batch_number.isprintable():
            reason = f"must be at most {lengths.BATCH_NUMBER} printable characters"
            problems.append(("batch_number", reason))
        if region_code and self._reference.regions.get(region_code) is None:
            problems.append(("region_code", "is not the code of a city of Sichuan"))
        return problems

    def _wrong_day(self, text: str) -> str | None:
        day = parse_date(text) if _ISSUE_DATE.fullmatch(text) else None
        if day is None:
            return "must be a day that exists, as YYYY-MM-DD"
        return "lies in the future" if day > self._today else None


def _of_form(line: int, form: Form) -> list[BadLine]:
    return [
        BadLine(line, _COLUMN_OF[problem.field or ""], problem.message(Language.EN).rstrip("."))
        for problem in form.problems
    ]
