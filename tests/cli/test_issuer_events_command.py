"""`card-gateway issuer-events`: a day's file, and the events that are not taken."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.personas import PERSONAS
from tests.cli.conftest import Command

PERSON = PERSONAS["active"]
BY = ("--operator", "柜员一")
ORDER = PERSONAS["in-production"].open_order


def event(number: int, kind: str = "LOCK", **facts: Any) -> dict[str, Any]:
    own = {"cardNumber": PERSON.card_number, "socialSecurityNumber": PERSON.social_security_number}
    at = f"2026-01-20T09:{number % 60:02d}:00+08:00"
    return {"id": f"file-{number}", "type": kind, "at": at} | (facts or own)


def node(number: int, name: str) -> dict[str, Any]:
    return event(number, "NODE_RESULT", orderNumber=ORDER, node=name, result="DONE")


def write(folder: Path, *lines: Any) -> Path:
    file = folder / "events.jsonl"
    file.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    return file


def test_loads_a_days_file_once(command: Command, keys: str, environment: Path) -> None:
    file = write(environment, event(1), event(2, "UNLOCK"), "", node(3, "KEY_LOADING"))

    first = command("issuer-events", "load", *BY, file)
    again = command("issuer-events", "load", *BY, file)

    assert (first.code, first.out) == (0, "4 lines read: 2 TAKEN, 1 WAITING; 0 bad lines.\n")
    assert (again.code, again.out) == (0, "4 lines read: 3 REPEATED; 0 bad lines.\n")
    assert not (environment / "events.jsonl.progress").exists()


def test_goes_on_where_it_was(command: Command, keys: str, environment: Path) -> None:
    file = write(environment, event(1), event(2, "UNLOCK"))
    first_line = len(file.read_bytes().splitlines(keepends=True)[0])
    (environment / "events.jsonl.progress").write_text(f"{first_line} 1 0")

    done = command("issuer-events", "load", *BY, file)

    assert done.out == "2 lines read: 1 CONTRADICTION; 0 bad lines.\n"


def test_reports_bad_lines_and_takes_the_others(
    command: Command, keys: str, environment: Path
) -> None:
    number = PERSON.social_security_number
    file = write(environment, "{", event(1), json.dumps(event(2) | {"at": number}))

    done = command("issuer-events", "load", *BY, file)

    assert (done.code, done.out) == (1, "3 lines read: 1 TAKEN; 2 bad lines.\n")
    assert done.err.splitlines()[0] == "line 1: The events are not valid JSON."
    assert done.err.splitlines()[1].startswith("line 3: ")
    assert number not in done.err


def test_names_a_file_that_is_not_there(command: Command, keys: str) -> None:
    done = command("issuer-events", "load", *BY, "nowhere.jsonl")

    assert (done.code, done.err) == (
        1,
        "nowhere.jsonl cannot be read: No such file or directory.\n",
    )


def test_shows_looks_again_and_drops_what_is_not_taken(
    command: Command, keys: str, environment: Path
) -> None:
    command(
        "issuer-events", "load", *BY, write(environment, event(2, "UNLOCK"), node(3, "KEY_LOADING"))
    )

    listed = command("issuer-events", "list").out.splitlines()
    again = command("issuer-events", "retry", "file-3", *BY)
    dropped = command("issuer-events", "drop", "file-2", *BY)
    unknown = [
        command("issuer-events", "drop", "file-2", *BY),
        command("issuer-events", "retry", "none", *BY),
    ]

    assert [line.split()[:3] for line in listed[1:3]] == [
        ["file-2", "UNLOCK", "CONTRADICTION"],
        ["file-3", "NODE_RESULT", "WAITING"],
    ] or [line.split()[:3] for line in listed[2:0:-1]] == [
        ["file-2", "UNLOCK", "CONTRADICTION"],
        ["file-3", "NODE_RESULT", "WAITING"],
    ]
    assert PERSON.card_number is not None
    assert PERSON.card_number not in "".join(listed)
    assert PERSON.social_security_number not in "".join(listed)
    assert (again.code, again.out) == (0, "WAITING\n")
    assert dropped.out == "Dropped.\n"
    assert [done.code for done in unknown] == [1, 1]
    assert "1 shown." in command("issuer-events", "list").out
    assert command("verify-audit").code == 0


@pytest.mark.parametrize("what", ["retry", "drop"])
def test_what_is_of_nobody_known_is_repaired_too(
    command: Command, keys: str, environment: Path, what: str
) -> None:
    unknown = {
        "id": "file-9",
        "type": "ORDER_CLOSED",
        "at": "2026-01-20T09:01:00+08:00",
        "orderNumber": "SBK209901010000000001",
        "reason": "CANNOT_BE_MADE",
    }
    command("issuer-events", "load", *BY, write(environment, unknown))

    done = command("issuer-events", what, "file-9", *BY)

    assert done.code == 0
    assert command("verify-audit").code == 0


def test_an_event_that_is_taken_cannot_be_dropped(
    command: Command, keys: str, environment: Path
) -> None:
    command("issuer-events", "load", *BY, write(environment, event(1)))

    assert command("issuer-events", "drop", "file-1", *BY).code == 1
    assert command("issuer-events", "load", *BY, environment / "events.jsonl").out.startswith(
        "1 lines read: 1 REPEATED"
    )
