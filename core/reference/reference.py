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
from core.reference.outlets import BadLine, Outlet, read_options, read_outlets
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
    "read_options",
    "read_outlets",
]

RESIDENT_ID_CARD = "01"
"""居民身份证 (AAC058)."""

_T = TypeVar("_T")


class Reference:
    """All tables; `get` of a table returns None for an unknown code."""

    def __init__(self, banks: Table, districts: Table, outlets: Iterable[Outlet]) -> None:
        self.educations = read_table("educations")
        self.occupations = read_table("occupations")
        self.ethnicities = read_table("ethnicities")
        self.genders = read_table("genders")
        self.id_document_types = read_table("id_document_types")
        self.nationalities = read_table("nationalities")
        self.pickup_methods = read_table("pickup_methods")
        self.districts = districts
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
        """Reads the operator's outlets, with `banks.csv` and `districts.csv` beside them; if None, the
        samples.

        Raises `SettingsError` if a file cannot be read or has an invalid line.
        """
        banks = read_bank_file(_beside(outlets_csv, "banks.csv") or DATA / "banks.sample.csv")
        districts = read_district_file(_beside(outlets_csv, "districts.csv"))
        path = outlets_csv or DATA / "outlets.sample.csv"
        outlets = _all_good(path, *read_outlets(_lines(path), districts, banks))
        return cls(banks, districts, outlets)

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
    return Table(_all_good(path, *read_options(_lines(path))))


def read_district_file(path: Path | None) -> Table:
    """The districts of GB/T 2260, then those of the file: 高新区, which has no code there."""
    if path is None:
        return read_table("districts")
    return with_districts(_all_good(path, *read_options(_lines(path))))


def with_districts(more: Iterable[Option]) -> Table:
    """Raises `SettingsError` for a code of GB/T 2260."""
    known = read_table("districts")
    more = tuple(more)
    for option in more:
        if known.get(option.code) is not None:
            raise SettingsError(f"{option.code} is a district of GB/T 2260 already.")
    return Table((*known.options, *more))


def _beside(outlets_csv: Path | None, name: str) -> Path | None:
    path = outlets_csv and outlets_csv.with_name(name)
    return path if path and path.is_file() else None


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
