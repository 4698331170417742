"""`import-outlets`: all or nothing, and every bad line is told."""

from pathlib import Path

import pytest

from tests.cli.conftest import BY, Command

HEADING = "code,name,address,district_code,bank_codes"
GOOD = "O-1,示例网点,锦江区示例路 1 号,510104,SAMPLE-ICBC;SAMPLE-ABC"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "outlets.csv"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_puts_the_outlets_where_the_gateway_reads_them(
    command: Command, keys: str, tmp_path: Path, target: Path
) -> None:
    file = write(tmp_path / "new.csv", HEADING, GOOD)

    done = command("import-outlets", *BY, file, outlets_csv=str(target))

    assert done.code == 0
    assert done.out == f"1 outlets are in {target}; the gateway reads them when it starts.\n"
    assert target.read_bytes() == file.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["outlets.csv"]


def test_tells_every_bad_line_and_replaces_nothing(
    command: Command, tmp_path: Path, target: Path
) -> None:
    target.parent.mkdir()
    target.write_text("as it was")
    file = write(
        tmp_path / "new.csv",
        HEADING,
        GOOD,
        GOOD.replace("O-1", "O 2"),
        GOOD.replace("O-1", "O-3").replace("510104", "999999"),
    )

    done = command("import-outlets", *BY, file, outlets_csv=str(target))

    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"{file}, line 3: code must be 1 to 32 ASCII letters, digits, - or _\n"
        f"{file}, line 4: unknown district_code '999999'\n"
    )
    assert target.read_text() == "as it was"


def test_takes_banks_along(command: Command, keys: str, tmp_path: Path, target: Path) -> None:
    banks = write(tmp_path / "own-banks.csv", "code,name", "B1,示例银行")
    file = write(tmp_path / "new.csv", HEADING, GOOD.replace("SAMPLE-ICBC;SAMPLE-ABC", "B1"))

    done = command("import-outlets", *BY, file, "--banks", banks, outlets_csv=str(target))
    again = command("import-outlets", *BY, file)

    assert (done.code, again.code) == (0, 0)
    assert target.with_name("banks.csv").read_bytes() == banks.read_bytes()


def test_says_which_setting_is_needed(command: Command, tmp_path: Path) -> None:
    done = command("import-outlets", *BY, write(tmp_path / "new.csv", HEADING, GOOD))

    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "CARD_GATEWAY_OUTLETS_CSV is not set: set it to the path from which the gateway is "
        "to read the outlets, and run this command again.\n"
    )


def test_says_that_a_file_is_missing_or_not_utf_8(
    command: Command, tmp_path: Path, target: Path
) -> None:
    gbk = tmp_path / "gbk.csv"
    gbk.write_bytes("成都".encode("gbk"))

    missing = command("import-outlets", *BY, tmp_path / "none.csv", outlets_csv=str(target))
    wrong = command("import-outlets", *BY, gbk)

    assert missing.err == f"{tmp_path}/none.csv cannot be read: No such file or directory.\n"
    assert wrong.err == f"{gbk} is not UTF-8.\n"
    assert (missing.code, wrong.code) == (1, 1)


def test_says_that_the_place_cannot_be_written(command: Command, keys: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = write(tmp_path / "new.csv", HEADING, GOOD)

    done = command("import-outlets", *BY, file, outlets_csv=str(tmp_path / "file" / "outlets.csv"))

    assert (done.code, done.out) == (1, "")
    assert done.err == f"{tmp_path}/file/outlets.csv cannot be written: File exists.\n"
