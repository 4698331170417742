"""`import-cards`: good lines are written, bad ones told, and neither a kill nor a repeat does harm."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from bench.people import HEADING, person, write_people
from core.audit import Action, audit_entries_table
from core.audit.operators import GATEWAY
from core.cards import cards_table
from core.citizens import citizens_table
from core.crypto import Suite, Vault
from core.db import Query, connect
from core.imports import CsvFile, Importer, ImportPosition, Journal, LineReader, import_cards
from core.kernel.clock import CHINA
from core.kernel.settings import Settings, key_ring
from core.reference import Reference
from gateway.app import keys_from
from gateway.cli.import_cards import _ErrorStream
from tests.cli.conftest import BY, Command, start
from tests.conftest import settings_for
from tests.front_end import as_read


@pytest.fixture(autouse=True)
def _keys(keys: str) -> None:
    """All tests here have the seeded database and its keys."""


def line(number: int = 0, **changes: str) -> str:
    row = dict(zip(HEADING, person(number), strict=True))
    return ",".join((row | changes)[name] for name in HEADING)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([",".join(HEADING), *lines, ""]), "utf-8")
    return path


def rows(url: str, table: Table, *where: Any) -> list[Any]:
    async def read() -> list[Any]:
        database = await connect(url)
        try:
            return list(await database.fetch(Query(select(table).where(*where))))
        finally:
            await database.close()

    return asyncio.run(read())


def count(url: str, table: Table) -> int:
    async def read() -> int:
        database = await connect(url)
        try:
            row = await database.fetch_one(
                Query(select(func.count().label("n")).select_from(table))
            )
            assert row is not None
            return int(row["n"])
        finally:
            await database.close()

    return asyncio.run(read())


def vault_of(url: str, folder: Path) -> Vault:
    settings = settings_for(url, folder)
    return Vault(
        Suite.INTERNATIONAL,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )


def test_adds_a_person_with_their_card_and_an_audit_entry(
    command: Command, keys: str, tmp_path: Path
) -> None:
    before = {table: count(keys, table) for table in (citizens_table, cards_table)}
    file = write(tmp_path / "cards.csv", line(7))

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (0, "1 cards added, 0 already there, 0 bad lines.\n")
    assert {table: count(keys, table) for table in before} == {
        table: number + 1 for table, number in before.items()
    }
    name, number, phone, card_number, state, bank, issued, batch = person(7)
    vault = vault_of(keys, tmp_path)
    (card,) = rows(
        keys, cards_table, cards_table.c.number_index == vault.index(card_number, "card_number")
    )
    (citizen,) = rows(keys, citizens_table, citizens_table.c.subject_id == card["subject_id"])
    assert vault.open(card["number"], "cards.number", card["id"]) == card_number
    assert vault.open(citizen["name"], "citizens.name", citizen["subject_id"]) == name
    assert vault.open(citizen["phone"], "citizens.phone", citizen["subject_id"]) == phone
    assert (card["state"], card["bank_code"], card["issue_date"]) == (state, bank, issued)
    assert (card["batch_number"], card["region_code"]) == (batch, "510100")
    (entry,) = rows(
        keys, audit_entries_table, audit_entries_table.c.subject_id == citizen["subject_id"]
    )
    assert (entry["action"], entry["number"]) == (Action.IMPORTED.value, 1)
    assert number not in done.out + done.err


def entries(url: str) -> list[Any]:
    """Without those of the command itself."""
    return [row for row in rows(url, audit_entries_table) if row["subject_id"] != GATEWAY]


def test_a_second_run_changes_nothing(command: Command, keys: str, tmp_path: Path) -> None:
    file = write_people(tmp_path / "cards.csv", 25)
    command("import-cards", *BY, file, "--batch", "10")
    before = [*(rows(keys, table) for table in (citizens_table, cards_table)), entries(keys)]

    done = command("import-cards", *BY, file, "--batch", "10")

    assert (done.code, done.out) == (0, "0 cards added, 25 already there, 0 bad lines.\n")
    after = [*(rows(keys, table) for table in (citizens_table, cards_table)), entries(keys)]
    assert after == before
    assert not (tmp_path / "cards.csv.journal").exists()


def test_several_cards_of_one_person_get_one_citizen(
    command: Command, keys: str, tmp_path: Path
) -> None:
    people = count(keys, citizens_table)
    file = write(
        tmp_path / "cards.csv",
        line(1),
        line(1, card_number="OLDCARD10", state="CANCELLED"),
        line(1, card_number="NEWCARD10", state="sealed", phone=""),
    )

    done = command("import-cards", *BY, file, "--batch", "2")

    assert (done.code, done.out) == (0, "3 cards added, 0 already there, 0 bad lines.\n")
    assert count(keys, citizens_table) == people + 1
    assert command("verify-audit").code == 0


def test_a_phone_that_comes_later_is_kept(command: Command, keys: str, tmp_path: Path) -> None:
    first = line(2, phone="", state="9")
    file = write(tmp_path / "cards.csv", first, line(2, card_number="NEWCARD10"))

    done = command("import-cards", *BY, file, "--batch", "1")

    vault = vault_of(keys, tmp_path)
    (citizen,) = rows(
        keys, citizens_table, citizens_table.c.phone_index == vault.index(person(2)[2], "phone")
    )
    assert done.code == 0
    assert vault.open(citizen["phone"], "citizens.phone", citizen["subject_id"]) == person(2)[2]


BAD = {
    "name": ({"name": ""}, "Please fill in Name"),
    "name ": (
        {"name": "李<b>"},
        "Name contains invalid characters; please enter it again",
    ),
    "social_security_number": (
        {"social_security_number": "510104199001010001"},
        "Social security number is not valid; please check the 18 characters (the last may be X)",
    ),
    "phone": ({"phone": "1380000"}, "Phone is not in a valid format: 11 digits"),
    "card_number": (
        {"card_number": "SHORT"},
        "Card number is not in a valid format: 9 letters or digits",
    ),
    "state": (
        {"state": "LIVELY"},
        "must be one of 0, 1, 2, 3, 4, 9, SEALED, ACTIVE, LOST, LOCKED, TEMPORARILY_LOST, CANCELLED",
    ),
    "bank_code": ({"bank_code": "NO-BANK"}, "is not the code of a known bank"),
    "issue_date": ({"issue_date": "2024-02-30"}, "must be a day that exists, as YYYY-MM-DD"),
    "issue_date ": ({"issue_date": "20240229"}, "must be a day that exists, as YYYY-MM-DD"),
    "issue_date  ": ({"issue_date": "2999-01-01"}, "lies in the future"),
    "batch_number": ({"batch_number": "B" * 65}, "must be at most 64 printable characters"),
}


@pytest.mark.parametrize(("column", "changes", "reason"), [(c, *bad) for c, bad in BAD.items()])
def test_tells_a_bad_column_and_goes_on(
    command: Command, tmp_path: Path, column: str, changes: dict[str, str], reason: str
) -> None:
    file = write(tmp_path / "cards.csv", line(1, **changes), line(2))

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (1, "1 cards added, 0 already there, 1 bad lines.\n")
    assert f"line 2: {column.strip()}: {reason}\n" in as_read(done.err)


def test_names_every_bad_column_of_a_line_at_once(command: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "cards.csv", line(1, phone="1", bank_code="", state=""))

    done = command("import-cards", *BY, file, "--errors", tmp_path / "bad.csv")

    assert done.out == "0 cards added, 0 already there, 1 bad lines.\n"
    told = (tmp_path / "bad.csv").read_text().splitlines()
    assert told[0] == "line,column,reason"
    assert [entry.split(",")[:2] for entry in told[1:]] == [
        ["2", "phone"],
        ["2", "state"],
        ["2", "bank_code"],
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("a,b,c", "has 3 columns instead of 8"),
        ('"open,quote', "not CSV: unexpected end of data"),
        ("x" * 9000, "the line is too long"),
    ],
)
def test_a_line_that_is_no_line_spoils_no_other(
    command: Command, tmp_path: Path, bad: str, reason: str
) -> None:
    file = write(tmp_path / "cards.csv", line(1), bad, line(2))

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (1, "2 cards added, 0 already there, 1 bad lines.\n")
    assert f"line 3: {reason}\n" in done.err


def conflicts() -> Iterator[tuple[str, str, str]]:
    phone, number = person(1)[2], person(1)[1]
    yield (
        "name",
        line(2, social_security_number=number),
        ("another name is on file for this social_security_number"),
    )
    yield "phone", line(2, phone=phone), "is the phone of somebody else"
    yield (
        "phone",
        line(1, card_number="OTHER0000", state="9", phone="13900000000"),
        ("another phone is on file for this citizen"),
    )
    yield (
        "state",
        line(1, card_number="OTHER0000"),
        ("the citizen has another card that is active or can be again"),
    )


@pytest.mark.parametrize(("column", "second", "reason"), list(conflicts()))
@pytest.mark.parametrize("batch", ["1", "100"])
def test_tells_a_conflict_and_writes_none_of_it(
    command: Command, keys: str, tmp_path: Path, column: str, second: str, reason: str, batch: str
) -> None:
    before = count(keys, cards_table), count(keys, citizens_table)
    file = write(tmp_path / "cards.csv", line(1), second)

    done = command("import-cards", *BY, file, "--batch", batch)

    assert (done.code, done.out) == (1, "1 cards added, 0 already there, 1 bad lines.\n")
    assert f"line 3: {column}: {reason}\n" in done.err
    assert (count(keys, cards_table), count(keys, citizens_table)) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("batch", ["1", "100"])
@pytest.mark.parametrize("state", ["LOST", "LOCKED", "TEMPORARILY_LOST"])
def test_a_card_that_can_be_active_again_leaves_room_for_no_other(
    command: Command, keys: str, tmp_path: Path, state: str, batch: str
) -> None:
    before = count(keys, cards_table)
    file = write(tmp_path / "cards.csv", line(1, state=state), line(1, card_number="OTHER0000"))

    done = command("import-cards", *BY, file, "--batch", batch)

    assert (done.code, done.out) == (1, "1 cards added, 0 already there, 1 bad lines.\n")
    assert "line 3: state: the citizen has another card that is active or can be again" in done.err
    assert count(keys, cards_table) == before + 1


def test_a_card_may_have_been_issued_today_but_not_tomorrow(
    command: Command, tmp_path: Path
) -> None:
    today = datetime.now(CHINA).date()
    tomorrow = today + timedelta(days=1)
    file = write(
        tmp_path / "cards.csv",
        line(1, issue_date=today.isoformat()),
        line(2, issue_date=tomorrow.isoformat()),
    )

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (1, "1 cards added, 0 already there, 1 bad lines.\n")
    assert "line 3: issue_date: lies in the future\n" in done.err


def test_tells_a_card_of_somebody_else(command: Command, tmp_path: Path) -> None:
    command("import-cards", *BY, write(tmp_path / "first.csv", line(1)))
    file = write(tmp_path / "cards.csv", line(2, card_number=person(1)[3]))

    done = command("import-cards", *BY, file)

    assert done.code == 1
    assert "line 2: card_number: is the card of somebody else\n" in done.err


@pytest.mark.parametrize("batch", ["1", "100"])
def test_tells_a_card_that_stands_twice_in_the_file(
    command: Command, tmp_path: Path, batch: str
) -> None:
    file = write(tmp_path / "cards.csv", line(1), line(2), line(1))

    done = command("import-cards", *BY, file, "--batch", batch)

    assert (done.code, done.out) == (1, "2 cards added, 0 already there, 1 bad lines.\n")
    assert "line 4: card_number: the card is already on line 2\n" in done.err


def test_takes_columns_in_any_order_with_the_region_and_a_byte_order_mark(
    command: Command, keys: str, tmp_path: Path
) -> None:
    file = tmp_path / "cards.csv"
    row = dict(zip(HEADING, person(3), strict=True)) | {"region_code": "510700"}
    names = sorted(row)
    file.write_text(",".join(names) + "\r\n" + ",".join(row[n] for n in names), "utf-8-sig")

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (0, "1 cards added, 0 already there, 0 bad lines.\n")
    index = vault_of(keys, tmp_path).index(row["card_number"], "card_number")
    (card,) = rows(keys, cards_table, cards_table.c.number_index == index)
    assert card["region_code"] == "510700"


def test_never_shows_a_personal_value(command: Command, tmp_path: Path) -> None:
    wrong = ("张三一二三四五", "510104199001011299", "13812345", "SECRET123456")
    file = write(
        tmp_path / "cards.csv",
        line(
            1,
            name=wrong[0] + "9",
            social_security_number=wrong[1],
            phone=wrong[2],
            card_number=wrong[3],
        ),
    )

    done = command("import-cards", *BY, file)

    assert done.err.count("line 2: ") == 4
    assert not [value for value in wrong if value in done.out + done.err]


@pytest.mark.server
def test_goes_on_after_a_kill_in_the_middle(command: Command, keys: str, tmp_path: Path) -> None:
    total = 6000
    people, held = count(keys, citizens_table), count(keys, cards_table)
    file = write_people(tmp_path / "cards.csv", total)
    with file.open("a") as more:
        more.write(line(1) + "\n")
    process = start("import-cards", *BY, file, "--batch", "200", "--errors", tmp_path / "bad.csv")
    while process.poll() is None and count(keys, cards_table) < held + 1000:
        time.sleep(0.01)
    process.kill()
    process.wait()
    added_before = count(keys, cards_table) - held

    done = command("import-cards", *BY, file, "--batch", "200", "--errors", tmp_path / "bad.csv")

    assert 0 < added_before < total
    found = re.fullmatch(r"([\d,]+) cards added, ([\d,]+) already there, 1 bad lines.\n", done.out)
    assert found is not None, done
    added, already = (int(text.replace(",", "")) for text in found.groups())
    assert (added + already, already in (0, 200)) == (total, True)
    assert (count(keys, citizens_table), count(keys, cards_table)) == (people + total, held + total)
    assert (tmp_path / "bad.csv").read_text() == (
        "line,column,reason\n6002,card_number,the card is already on line 3\n"
    )
    assert command("verify-audit").code == 0


def test_starts_over_where_the_journal_is_of_another_file(command: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "cards.csv", line(1))
    journal = sqlite3.connect(tmp_path / "cards.csv.journal")
    journal.executescript(
        "CREATE TABLE position (id INTEGER PRIMARY KEY, import, offset, line, added, already,"
        " bad, errors_end, last_citizen, last_card);"
        "INSERT INTO position VALUES (1, 'x', 9, 9, 9, 9, 9, 9, 9, 9);"
    )
    journal.close()

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (0, "1 cards added, 0 already there, 0 bad lines.\n")


def test_starts_over_where_the_database_has_not_what_the_journal_tells_of(
    command: Command, keys: str, tmp_path: Path
) -> None:
    """As after the database came back from a backup."""
    before = count(keys, cards_table)
    file = write(tmp_path / "cards.csv", line(1))
    write_journal(file, keys, ImportPosition(file.stat().st_size, 3, added=9, last_card=4711))

    done = command("import-cards", *BY, file)

    assert (done.code, done.out) == (0, "1 cards added, 0 already there, 0 bad lines.\n")
    assert count(keys, cards_table) == before + 1


async def test_goes_on_after_a_batch_that_added_nothing(settings: Settings, tmp_path: Path) -> None:
    file = CsvFile.open(write(tmp_path / "cards.csv", line(1), line(1), line(2)))
    keys = keys_from(settings)
    reader = LineReader(
        Reference.load(settings.outlets_csv),
        datetime.now(CHINA).date(),
        card_check_character=settings.card_check_character,
    )
    database = await connect(settings.database_url)

    async def read(batches: int) -> ImportPosition:
        """Until so many batches were committed since the command began."""
        importer = Importer(database, keys.vault, keys.seals, lambda: 1_800_000_000_000, reader)
        with contextlib.closing(Journal.open(tmp_path / "journal")) as journal:
            run = import_cards(importer, file, journal, _ErrorStream(), into="here", batch=1)
            return [await anext(run) for _ in range(batches + 1)][-1]

    stopped = await read(2)
    added_before = stopped.added
    gone_on = await read(1)
    await database.close()

    assert (added_before, stopped.bad) == (1, 1)
    assert (gone_on.added, gone_on.already, gone_on.bad) == (2, 0, 1)


def write_journal(file: Path, database_url: str, position: ImportPosition) -> None:
    with contextlib.closing(Journal.open(Path(f"{file}.journal"))) as journal:
        journal.begin()
        journal.save(CsvFile.open(file).digest + database_url.encode(), position)


def test_refuses_a_second_import_of_the_same_file(command: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "cards.csv", line(1))
    other = sqlite3.connect(tmp_path / "cards.csv.journal")
    other.execute("BEGIN EXCLUSIVE")

    done = command("import-cards", *BY, file)

    other.close()
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"The journal {file}.journal cannot be opened: another import of this file is running.\n"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "{file} cannot be read: No such file or directory."),
        (
            b"",
            "{file}: the heading lacks name, social_security_number, phone, card_number, state, "
            "bank_code, issue_date, batch_number.",
        ),
        (",".join(HEADING).encode() + b"\n\xc0\xee", "{file} is not UTF-8 (line 2)."),
        (
            ",".join((*HEADING, "age")).encode(),
            "{file}: the heading may name only name, social_security_number, phone, card_number, "
            "state, bank_code, issue_date, batch_number, region_code, each once.",
        ),
    ],
)
def test_says_in_one_sentence_what_is_wrong_with_the_file(
    command: Command, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "cards.csv"
    if content is not None:
        file.write_bytes(content)

    done = command("import-cards", *BY, file)

    assert (done.code, done.out, done.err) == (1, "", sentence.format(file=file) + "\n")


def test_names_the_keys_that_are_missing(command: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "cards.csv", line(1))

    done = command("import-cards", *BY, file, column_keys="")

    assert (done.code, done.out) == (1, "")
    assert done.err == "CARD_GATEWAY_COLUMN_KEYS is missing.\n"


def test_needs_a_migrated_database(command: Command, tmp_path: Path) -> None:
    file = write(tmp_path / "cards.csv", line(1))

    done = command("import-cards", *BY, file, database_url=f"sqlite:///{tmp_path}/new.sqlite3")

    assert (done.code, done.out) == (1, "")
    assert done.err == ("The database is not at the latest revision: run `card-gateway migrate`.\n")


def test_the_help_names_every_column(command: Command) -> None:
    done = command("import-cards", "--help")

    assert done.code == 0
    assert [name for name in (*HEADING, "region_code") if name not in done.out] == []
