"""Reference data (code tables, banks, outlets) and validation of form fields."""

from core.reference import spelling
from core.reference.characters import standard_form
from core.reference.forms import (
    LABELS,
    LONG_TERM,
    MAX_ADDRESS,
    REISSUE_LABELS,
    Form,
    age_on,
    birth_date_of,
    gender_code_of,
    is_id_number,
    parse_date,
)
from core.reference.outlets import Outlet
from core.reference.pages import page_size
from core.reference.reference import (
    INSURANCE_NAMES,
    RESIDENT_ID_CARD,
    BadLine,
    InsuranceType,
    Option,
    Reference,
    Table,
    read_options,
    read_outlets,
    with_districts,
)
from core.reference.spelling import is_likely_misread, is_same_name
from core.reference.tables import read_table

__all__ = [
    "INSURANCE_NAMES",
    "LABELS",
    "LONG_TERM",
    "MAX_ADDRESS",
    "REISSUE_LABELS",
    "RESIDENT_ID_CARD",
    "BadLine",
    "Form",
    "InsuranceType",
    "Option",
    "Outlet",
    "Reference",
    "Table",
    "age_on",
    "birth_date_of",
    "gender_code_of",
    "is_id_number",
    "is_likely_misread",
    "is_same_name",
    "page_size",
    "parse_date",
    "read_options",
    "read_outlets",
    "read_table",
    "spelling",
    "standard_form",
    "with_districts",
]
