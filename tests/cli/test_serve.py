"""What `serve` refuses, each in one sentence, and the commands that only print."""

import math
import re
import socket
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from core.kernel.settings import Settings, SettingsError, variable
from gateway.schema import build_schema
from tests.cli.conftest import Command, Done
from tests.live import serving


def assert_one_sentence(done: Done, sentence: str) -> None:
    assert (done.code, done.out, done.err) == (1, "", sentence + "\n")


def test_names_a_port_that_is_in_use(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = command("serve", "--sandbox", "--port", str(port))

    assert_one_sentence(done, f"Cannot listen on 127.0.0.1:{port}: Address already in use.")


@pytest.mark.parametrize("objects", ["file/objects", "file/var/objects"])
def test_names_a_folder_that_cannot_be_made(command: Command, tmp_path: Path, objects: str) -> None:
    (tmp_path / "file").touch()

    done = command("serve", "--sandbox", "--port", "0", objects_dir=str(tmp_path / objects))

    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        rf"{tmp_path}/file\S* cannot be used: (File exists|Not a directory).\n", done.err
    )


def test_names_the_database_folder_that_cannot_be_made(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = command(
        "serve", "--sandbox", "--port", "0", database_url=f"sqlite:///{tmp_path}/file/db.sqlite3"
    )

    assert_one_sentence(done, f"The folder {tmp_path}/file cannot be created: File exists.")


def test_names_every_setting_that_is_missing(command: Command) -> None:
    done = command("serve")

    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    for name in Settings().missing():
        assert name in done.err


def test_needs_a_migrated_database_outside_the_sandbox(command: Command, tmp_path: Path) -> None:
    complete = {name.removeprefix("CARD_GATEWAY_").lower(): "x" for name in Settings().missing()}

    done = command("serve", "--port", "0", **complete)

    assert_one_sentence(
        done, "The database is not at the latest revision: run `card-gateway migrate`."
    )


def test_names_a_setting_that_is_not_valid(command: Command) -> None:
    done = command("serve", port="eighty")

    assert done.code == 1
    assert done.err.startswith("CARD_GATEWAY_PORT is not valid: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("version", ["v" * 33, "告" * 33])
def test_names_a_version_of_the_notice_that_no_consent_could_bear(
    command: Command, version: str
) -> None:
    done = command("serve", privacy_notice_version=version)

    assert_one_sentence(done, "CARD_GATEWAY_PRIVACY_NOTICE_VERSION must have 1 to 32 characters.")


def test_names_a_database_that_is_none(command: Command) -> None:
    done = command("migrate", database_url="mysql://somewhere/else")

    assert_one_sentence(
        done,
        "CARD_GATEWAY_DATABASE_URL must be sqlite:///path or postgresql://user@host/name.",
    )


def test_says_that_the_database_does_not_answer(command: Command) -> None:
    done = command("migrate", database_url="postgresql://127.0.0.1:1/nowhere")

    assert_one_sentence(
        done,
        "The database cannot be used: [Errno 111] Connect call failed ('127.0.0.1', 1). "
        "Check CARD_GATEWAY_DATABASE_URL.",
    )


def settings_with(name: str, value: float) -> Settings:
    given: Any = {name: value}
    return Settings(**given)


NUMBERS = [entry for entry in fields(Settings) if type(entry.default) in (int, float)]


@pytest.mark.parametrize("entry", NUMBERS, ids=lambda entry: entry.name)
def test_a_number_out_of_its_bounds_is_refused(entry: Field[float]) -> None:
    least, most = entry.metadata["within"]

    for wrong in (-1, least - 1, most + 1, math.inf, math.nan):
        with pytest.raises(SettingsError) as refused:
            settings_with(entry.name, wrong)
        for part in (variable(entry.name), str(least), str(most), str(entry.default)):
            assert part in str(refused.value)
    for right in (least, most):
        settings_with(entry.name, right)


def test_a_pool_of_a_thousand_million_is_refused(command: Command) -> None:
    done = command("serve", database_pool_size="1000000000")

    assert_one_sentence(
        done, "CARD_GATEWAY_DATABASE_POOL_SIZE must be from 1 to 1000, for example 16."
    )


def test_lists_every_setting_with_its_meaning(command: Command) -> None:
    done = command("settings")

    assert done.code == 0
    for entry in fields(Settings):
        assert f"{variable(entry.name)}\n    {entry.metadata['meaning']}\n" in done.out


def test_prints_the_schema(command: Command) -> None:
    done = command("schema")

    assert (done.code, done.out) == (0, build_schema().as_str() + "\n")


def test_migrates_twice_to_the_same_end(command: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/gateway.sqlite3"

    first, second = command("migrate", database_url=url), command("migrate")

    assert first == second == Done(0, "The database is at the latest revision.\n", "")


def test_names_a_port_for_operations_that_is_in_use(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = command("serve", "--sandbox", "--port", "0", operations_port=str(port))

    assert_one_sentence(done, f"Cannot listen on 127.0.0.1:{port}: Address already in use.")


@pytest.mark.server
@pytest.mark.parametrize(
    ("given", "is_warned"),
    [
        ({"public_url": "https://card.example"}, True),
        ({"public_url": "https://card.example", "trusted_proxies": "10.0.0.7"}, False),
        ({}, False),
    ],
)
def test_says_what_a_public_address_without_a_proxy_means(
    tmp_path: Path, given: dict[str, str], is_warned: bool
) -> None:
    with serving(tmp_path, sandbox_confirmed="true", **given) as server:
        warned = "CARD_GATEWAY_TRUSTED_PROXIES does not name it" in server.log

    assert warned == is_warned
