"""`card-gateway close-order` and `correct-death`: what an operator does for a citizen."""

import json
from pathlib import Path

import pytest

from sandbox.personas import PERSONAS
from tests.cli.conftest import BY, Command

ORDER = PERSONAS["in-production"].open_order
PERSON = PERSONAS["active"]


def test_closes_an_order_once(command: Command, keys: str) -> None:
    first, again = (
        command("close-order", ORDER or "", "--reason", "CANNOT_BE_MADE", "--operator", "柜员一")
        for _ in "12"
    )

    assert (first.code, first.out) == (0, "Closed.\n")
    assert (again.code, again.err) == (
        1,
        "Nothing to close: it is closed already, or its card is in use.\n",
    )


@pytest.mark.parametrize("operator", ["", "  ", "a\nb", "x" * 41])
def test_an_operator_has_a_name(command: Command, keys: str, operator: str) -> None:
    done = command("close-order", ORDER or "", "--reason", "CANNOT_BE_MADE", "--operator", operator)

    assert (done.code, done.err) == (
        1,
        "--operator needs a name of at most 40 printable characters.\n",
    )


def test_nothing_changes_without_a_name_or_with_another_reason(command: Command, keys: str) -> None:
    nameless = command("close-order", ORDER or "", "--reason", "CANNOT_BE_MADE")
    unknown = command("close-order", ORDER or "", "--reason", "RAIN", "--operator", "柜员一")

    assert (nameless.code, unknown.code) == (2, 2)
    assert (
        command(
            "close-order", ORDER or "", "--reason", "CANNOT_BE_MADE", "--operator", "柜员一"
        ).out
        == "Closed.\n"
    )


def test_corrects_a_death_that_was_wrong(command: Command, keys: str, environment: Path) -> None:
    number = PERSON.social_security_number
    event = {
        "id": "file-1",
        "type": "CANCEL",
        "at": "2026-01-20T09:01:00+08:00",
        "cardNumber": PERSON.card_number,
        "socialSecurityNumber": number,
        "reason": "DECEASED",
    }
    file = environment / "events.jsonl"
    file.write_text(json.dumps(event))
    command("issuer-events", "load", *BY, file)

    corrected, again = (
        command("correct-death", "--operator", "柜员一", "--social-security-number", number)
        for _ in "12"
    )

    assert (corrected.code, corrected.out) == (0, "Corrected.\n")
    assert (again.code, again.err) == (1, "Nobody with this number is recorded as dead.\n")
    assert number not in corrected.out + again.out


def test_says_which_number_is_wrong(command: Command, keys: str) -> None:
    unknown = command(
        "close-order", "SBK209901010000000001", "--reason", "CANNOT_BE_MADE", "--operator", "柜员一"
    )
    invalid = command("correct-death", "--operator", "柜员一", "--social-security-number", "1")

    assert (unknown.code, unknown.err) == (1, "No application has this number.\n")
    assert (invalid.code, invalid.err) == (
        1,
        "This is no social security number: 18 characters, with its check character.\n",
    )
