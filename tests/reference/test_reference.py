from pathlib import Path

import pytest

from core.kernel.settings import SettingsError
from core.reference import (
    INSURANCE_NAMES,
    RESIDENT_ID_CARD,
    InsuranceType,
    Option,
    Reference,
    read_options,
    read_outlets,
    with_districts,
)
from core.reference.reference import Outlet

HEADING = "code,name,address,district_code,bank_codes"
MORE = " and may go on with any of phone, opening_hours, longitude, latitude, instant_issue"
GOOD = "A-1,示例网点,示例地址,510104,SAMPLE-ICBC;SAMPLE-CCB"


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.load()


def bad_lines(reference: Reference, *lines: str) -> list[tuple[int, str]]:
    outlets, bad = read_outlets([HEADING, *lines], reference.districts, reference.banks)
    assert outlets == []
    return [(line.line, line.reason) for line in bad]


def test_every_table_has_distinct_codes_and_names(reference: Reference) -> None:
    tables = (
        reference.educations,
        reference.occupations,
        reference.ethnicities,
        reference.genders,
        reference.id_document_types,
        reference.nationalities,
        reference.pickup_methods,
        reference.districts,
        reference.regions,
        reference.insurances,
        reference.banks,
    )

    assert [len(table.options) for table in tables] == [40, 8, 56, 2, 1, 1, 1, 20, 21, 5, 7]
    for table in tables:
        assert len({option.code for option in table.options}) == len(table.options)
        assert all(option.name for option in table.options)


def test_finds_an_option_by_its_code(reference: Reference) -> None:
    assert reference.educations.get("21") == Option("21", "大学本科毕业")
    assert reference.nationalities.get("CHN") == Option("CHN", "中国")
    assert reference.id_document_types.get(RESIDENT_ID_CARD) == Option("01", "居民身份证")
    assert reference.pickup_methods.get("OUTLET") == Option("OUTLET", "服务网点")
    assert reference.regions.get("510700") == Option("510700", "绵阳市")
    assert reference.bank("SAMPLE-BOCD") == Option("SAMPLE-BOCD", "成都银行")


def test_knows_no_unknown_code(reference: Reference) -> None:
    assert reference.educations.get("") is None
    assert reference.districts.get("510100") is None
    assert reference.bank("ICBC") is None
    assert reference.outlet("ICBC") is None
    assert reference.outlets_in("510000") == []


def test_insurances_have_the_names_of_the_guide() -> None:
    names = {insurance.name: INSURANCE_NAMES[insurance].zh for insurance in InsuranceType}

    assert names == {
        "PENSION": "养老保险",
        "UNEMPLOYMENT": "失业保险",
        "MEDICAL": "医疗保险",
        "WORK_INJURY": "工伤保险",
        "MATERNITY": "生育保险",
    }


def test_functional_zones_without_a_national_code_are_no_districts(reference: Reference) -> None:
    assert all("新区" not in option.name for option in reference.districts.options)
    assert all("高新" not in option.name for option in reference.districts.options)


def test_every_sample_is_marked_as_one(reference: Reference) -> None:
    assert all(bank.code.startswith("SAMPLE-") for bank in reference.banks.options)
    assert all(outlet.code.startswith("SAMPLE-") for outlet in reference.outlets)
    assert all(outlet.name.startswith("示例") for outlet in reference.outlets)
    assert all(outlet.address.startswith("示例") for outlet in reference.outlets)
    assert all(outlet.opening_hours.startswith("示例") for outlet in reference.outlets)
    assert all(outlet.longitude is None for outlet in reference.outlets)


def test_every_bank_is_served_in_every_district(reference: Reference) -> None:
    for district in reference.districts.options:
        assert len(reference.outlets_in(district.code)) == 3
        for bank in reference.banks.options:
            found = reference.outlets_in(district.code, bank.code)
            assert [bank.code in outlet.bank_codes for outlet in found] == [True]


def test_the_operators_outlets_replace_the_samples(tmp_path: Path) -> None:
    (tmp_path / "banks.csv").write_text("code,name\nB1,甲银行\n", "utf-8")
    outlets_csv = tmp_path / "outlets.csv"
    outlets_csv.write_text(f"\ufeff{HEADING}\r\nO1,一号,某路 1 号,510105,B1\r\n", "utf-8")

    reference = Reference.load(outlets_csv)

    assert reference.banks.options == (Option("B1", "甲银行"),)
    assert reference.outlets_in("510105", "B1") == [
        Outlet("O1", "一号", "某路 1 号", "510105", ("B1",))
    ]
    assert reference.outlets_in("510104") == []


def test_reads_the_good_lines_and_reports_every_bad_one(reference: Reference) -> None:
    lines = [HEADING, GOOD, "", "A-2,无,地,510100,SAMPLE-ICBC", "A-3,名,地,510104"]

    outlets, bad = read_outlets(lines, reference.districts, reference.banks)

    assert outlets == [
        Outlet("A-1", "示例网点", "示例地址", "510104", ("SAMPLE-ICBC", "SAMPLE-CCB"))
    ]
    assert [(line.line, line.reason) for line in bad] == [
        (4, "unknown district_code '510100'"),
        (5, "has 4 columns instead of 5"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",n,a,510104,SAMPLE-ICBC", "code must be 1 to 32 ASCII letters, digits, - or _"),
        ("网点,n,a,510104,SAMPLE-ICBC", "code must be 1 to 32 ASCII letters, digits, - or _"),
        ("A,,a,510104,SAMPLE-ICBC", "name is empty"),
        (f"A,{'n' * 101},a,510104,SAMPLE-ICBC", "name is longer than 100 characters"),
        ("A,n\u202e,a,510104,SAMPLE-ICBC", "name contains characters that cannot be shown"),
        ("A,n,,510104,SAMPLE-ICBC", "address is empty"),
        ("A,n,a,510104,", "bank_codes is empty"),
        ("A,n,a,510104,SAMPLE-ICBC;X", "unknown bank code 'X'"),
        ("A,n,a,510104,SAMPLE-ICBC;", "unknown bank code ''"),
        ('A,"n"x,a,510104,SAMPLE-ICBC', "not CSV: ',' expected after '\"'"),
    ],
)
def test_names_what_is_wrong_with_a_line(reference: Reference, line: str, reason: str) -> None:
    assert bad_lines(reference, line) == [(2, reason)]


def test_reports_a_code_that_occurs_twice(reference: Reference) -> None:
    outlets, bad = read_outlets([HEADING, GOOD, GOOD], reference.districts, reference.banks)

    assert len(outlets) == 1
    assert [(line.line, line.reason) for line in bad] == [(3, "the code A-1 occurs twice")]


def test_refuses_a_file_without_the_heading(reference: Reference) -> None:
    outlets, bad = read_outlets([GOOD], reference.districts, reference.banks)

    assert outlets == []
    assert [(line.line, line.reason) for line in bad] == [
        (1, f"the heading must be {HEADING}{MORE}")
    ]


@pytest.mark.parametrize("more", ["phone,phone", "hours", "phone,", "instant_issue,code"])
def test_refuses_columns_that_it_does_not_know(reference: Reference, more: str) -> None:
    outlets, bad = read_outlets([f"{HEADING},{more}"], reference.districts, reference.banks)

    assert outlets == []
    assert [(line.line, line.reason) for line in bad] == [
        (1, f"the heading must be {HEADING}{MORE}")
    ]


def test_reads_what_is_known_of_an_outlet_besides(reference: Reference) -> None:
    heading = f"{HEADING},opening_hours,phone,longitude,latitude,instant_issue"
    line = f"{GOOD},工作日 9:00–17:00,028-85555555,104.0817,30.6609,yes"

    outlets, bad = read_outlets([heading, line], reference.districts, reference.banks)

    assert bad == []
    outlet = outlets[0]
    assert (outlet.phone, outlet.opening_hours) == ("028-85555555", "工作日 9:00–17:00")
    assert (outlet.longitude, outlet.latitude, outlet.instant_issue) == (104.0817, 30.6609, True)
    assert outlet.in_words == "示例网点，示例地址，工作日 9:00–17:00，电话 028-85555555"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("phone", "85555", None),
        ("phone", "8555 5555", "phone must be like 028-85555555"),
        ("phone", "028-", "phone must be like 028-85555555"),
        ("opening_hours", "h" * 101, "opening_hours is longer than 100 characters"),
        ("longitude", "181", "longitude must be degrees, 0 to 180"),
        ("latitude", "-30", "latitude must be degrees, 0 to 90"),
        ("latitude", "1e1", "latitude must be degrees, 0 to 90"),
        ("instant_issue", "true", "instant_issue must be yes, no or empty"),
    ],
)
def test_names_what_is_wrong_with_more_columns(
    reference: Reference, column: str, value: str, reason: str | None
) -> None:
    lines = [f"{HEADING},{column}", f"{GOOD},{value}"]

    outlets, bad = read_outlets(lines, reference.districts, reference.banks)

    assert [line.reason for line in bad] == ([] if reason is None else [reason])
    assert len(outlets) == (reason is None)


def test_lists_zones_that_have_no_national_code(tmp_path: Path) -> None:
    (tmp_path / "districts.csv").write_text("code,name\nGX,高新区\n", "utf-8")
    outlets_csv = tmp_path / "outlets.csv"
    outlets_csv.write_text(f"{HEADING}\nO1,一号,某路 1 号,GX,SAMPLE-ICBC\n", "utf-8")

    reference = Reference.load(outlets_csv)

    assert [option.name for option in reference.districts.options[-2:]] == ["简阳市", "高新区"]
    assert [outlet.code for outlet in reference.outlets_in("GX")] == ["O1"]


def test_a_zone_cannot_take_the_code_of_a_district() -> None:
    with pytest.raises(SettingsError, match=r"510104 is a district of GB/T 2260 already\."):
        with_districts([Option("510104", "高新区")])


def test_reads_banks() -> None:
    banks, bad = read_options(["code,name", "B1,甲银行", "B2,"])

    assert banks == [Option("B1", "甲银行")]
    assert [(line.line, line.reason) for line in bad] == [(3, "name is empty")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"{HEADING}\n".encode(), "has no lines."),
        (f"{HEADING}\nA,n,a,1,B\nA,n,a,2,B\n".encode(), "unknown district_code '1' (1 more bad"),
        (b"\xff\xfe", "is not UTF-8."),
    ],
)
def test_an_unusable_file_is_one_sentence(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "outlets.csv"
    path.write_bytes(content)

    with pytest.raises(SettingsError) as raised:
        Reference.load(path)

    assert complaint in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read: No such file or directory\.$"):
        Reference.load(tmp_path / "none.csv")
