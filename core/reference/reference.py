"""Reference data: the code tables of the forms, the banks and the pickup outlets.

Loaded once, when the application is composed. Each table's file names its source and how reliable
it is in `meta`; bank codes and outlets are samples until the operator provides real ones.
"""

import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Self, TypeVar

from core.kernel.settings import SettingsError
from core.reference.insurances import INSURANCE_NAMES, InsuranceType
from core.reference.outlets import BadLine, Outlet, read_banks, read_outlets
from core.reference.tables import DATA, Option, Table, read_table

__all__ = [
    "INSURANCE_NAMES",
    "RESIDENT_ID_CARD",
    "BadLine",
    "InsuranceType",
    "Option",
    "Outlet",
    "Reference",
    "Table",
    "read_banks",
    "read_outlets",
]

RESIDENT_ID_CARD = "01"
"""居民身份证 (AAC058)."""

_T = TypeVar("_T")


class Reference:
    """All tables; `get` of a table returns None for an unknown code."""

    def __init__(self, banks: Table, outlets: Iterable[Outlet]) -> None:
        self.educations = read_table("educations")
        self.occupations = read_table("occupations")
        self.ethnicities = read_table("ethnicities")
        self.genders = read_table("genders")
        self.id_document_types = read_table("id_document_types")
        self.nationalities = read_table("nationalities")
        self.pickup_methods = read_table("pickup_methods")
        self.districts = read_table("districts")
        self.regions = read_table("regions")
        self.insurances = Table(
            Option(insurance.value, name.zh) for insurance, name in INSURANCE_NAMES.items()
        )
        self.banks = banks
        self.outlets = tuple(outlets)
        self._outlets = {outlet.code: outlet for outlet in self.outlets}
        self._outlets_in = defaultdict[str, list[Outlet]](list)
        for outlet in self.outlets:
            self._outlets_in[outlet.district_code].append(outlet)

    @classmethod
    def load(cls, outlets_csv: Path | None = None) -> Self:
        """Reads the operator's outlets, with `banks.csv` beside them; if None, the samples.

        Raises `SettingsError` if a file cannot be read or has an invalid line.
        """
        banks = read_bank_file(_banks_beside(outlets_csv))
        return cls(banks, read_outlet_file(outlets_csv or DATA / "outlets.sample.csv", banks))

    def bank(self, code: str) -> Option | None:
        return self.banks.get(code)

    def outlet(self, code: str) -> Outlet | None:
        return self._outlets.get(code)

    def outlets_in(self, district_code: str, bank_code: str | None = None) -> list[Outlet]:
        """The outlets of a district; with a bank, only those that serve it."""
        return [
            outlet
            for outlet in self._outlets_in.get(district_code, ())
            if bank_code is None or bank_code in outlet.bank_codes
        ]


def read_bank_file(path: Path) -> Table:
    return Table(_all_good(path, *read_banks(_lines(path))))


def read_outlet_file(path: Path, banks: Table) -> list[Outlet]:
    return _all_good(path, *read_outlets(_lines(path), read_table("districts"), banks))


def _banks_beside(outlets_csv: Path | None) -> Path:
    own = outlets_csv and outlets_csv.with_name("banks.csv")
    return own if own and own.is_file() else DATA / "banks.sample.csv"


def _lines(path: Path) -> Iterable[str]:
    try:
        return io.StringIO(path.read_text("utf-8-sig"), newline="")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8.") from error


def _all_good(path: Path, good: list[_T], bad: list[BadLine]) -> list[_T]:
    if bad:
        first = f"{path}, line {bad[0].line}: {bad[0].reason}"
        more = f" ({len(bad) - 1} more bad lines)" if len(bad) > 1 else ""
        raise SettingsError(f"{first}{more}.")
    if not good:
        raise SettingsError(f"{path} has no lines.")
    return good
