"""Who gives a command that changes something is named, and stands in the audit log."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sqlalchemy import select

from core.audit import audit_entries_table
from core.audit.operators import GATEWAY
from core.db import Query, connect
from gateway.cli.main import cli
from tests.cli.conftest import BY, Command

OF_NOBODY = {
    "settings",
    "schema",
    "operation-manifest",
    "verify-audit",
    "outbox list",
    "issuer-events list",
}
"""They change nothing."""
OF_MACHINES = {"serve", "work", "migrate", "anchor-audit"}
"""What a deployment or a timer starts: they make room for data, or vouch for it, and change none."""


def commands(found: object, above: str = "") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    if isinstance(found, typer.core.TyperGroup):
        for name, below in found.commands.items():
            yield from commands(below, f"{above} {name}".strip())
    elif isinstance(found, typer.core.TyperCommand):
        yield above, found


COMMANDS = dict(commands(typer.main.get_command(cli)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_changes_something_takes_a_name(name: str) -> None:
    required = {option.name for option in COMMANDS[name].params if option.required}

    assert ("operator" in required) is (name not in OF_NOBODY | OF_MACHINES)


async def acts(url: str) -> list[tuple[str, str, str]]:
    """Of the gateway's own chain: the actor, and what the details say."""
    database = await connect(url)
    entries = audit_entries_table.c
    try:
        rows = await database.fetch(
            Query(
                select(entries.channel, entries.details)
                .where(entries.subject_id == GATEWAY)
                .order_by(entries.number)
            )
        )
    finally:
        await database.close()
    return [(row["channel"], *json.loads(row["details"]).values()) for row in rows]


def given(folder: Path) -> dict[str, tuple[str | Path, ...]]:
    cards = folder / "cards.csv"
    cards.write_text(
        "name,social_security_number,phone,card_number,state,bank_code,issue_date,batch_number\n"
    )
    outlets = folder / "new.csv"
    outlets.write_text(
        "code,name,address,district_code,bank_codes\nO-1,网点,路 1 号,510104,SAMPLE-ICBC\n"
    )
    events = folder / "events.jsonl"
    events.write_text("")
    return {
        "import-cards": ("import-cards", cards),
        "import-outlets": ("import-outlets", outlets),
        "issuer-events load": ("issuer-events", "load", events),
        "rotate-keys": ("rotate-keys",),
    }


def settings_of(name: str, folder: Path) -> dict[str, str]:
    return {"outlets_csv": f"{folder}/kept/outlets.csv"} if name == "import-outlets" else {}


@pytest.mark.parametrize(
    "name", ["import-cards", "import-outlets", "issuer-events load", "rotate-keys"]
)
def test_its_name_stands_in_the_audit_log(
    command: Command, keys: str, tmp_path: Path, name: str
) -> None:
    done = command(*given(tmp_path)[name], *BY, **settings_of(name, tmp_path))

    assert done.code == 0, done
    assert asyncio.run(acts(keys)) == [("OPERATOR", name, "王芳")]
    assert command("verify-audit").code == 0


@pytest.mark.parametrize(
    "name", ["import-cards", "import-outlets", "issuer-events load", "rotate-keys"]
)
def test_without_a_name_nothing_happens(
    command: Command, keys: str, tmp_path: Path, name: str
) -> None:
    arguments = given(tmp_path)[name]

    nameless = command(*arguments, **settings_of(name, tmp_path))
    blank = command(*arguments, "--operator", " ")

    assert (nameless.code, blank.code) == (2, 1)
    assert blank.err == "--operator needs a name of at most 40 printable characters.\n"
    assert asyncio.run(acts(keys)) == []
    assert not (tmp_path / "kept").exists()
