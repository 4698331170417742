"""The sandbox is not switched on by mistake, and leaves other people alone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.citizens import citizens
from core.db import Database, Query, Writes, connect
from core.kernel.settings import Secret, Settings, SettingsError
from core.migrations import migrate
from core.migrations.tables import TABLES
from gateway.app import keys_from
from sandbox.precautions import OtherPeople, require_intended
from tests.cli.conftest import Command
from tests.conftest import running, settings_for
from tests.front_end import World
from tests.services.parts import register

OTHER: dict[str, Any] = {"name": "某人", "number": "510106198001010014", "phone": "13800000001"}

REAL: dict[str, dict[str, Any]] = {
    "host": {"host": "0.0.0.0"},  # noqa: S104
    "any host": {"host": ""},
    "host of IPv6": {"host": "::"},
    "public address": {"public_url": "https://card.example"},
    "database server": {"database_url": "postgresql://127.0.0.1/gateway"},
    "partner": {"sms_url": "https://sms.example"},
    "platform": {"unionpay_url": "https://open.95516.com.example"},
    "token": {"issuer_token": Secret("the-issuers")},
    "keys": {"column_keys": Secret("one:AAAA")},
    "account": {"wechat_app_id": "wx-own"},
    "origins": {"wechat_origins": "http://localhost:5173, https://page.example"},
    "proxy": {"trusted_proxies": "10.0.0.7"},
    "bucket": {"objects_s3_bucket": "pictures"},
}
DEVELOPING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "IPv6": {"host": "::1", "public_url": "http://[::1]:8000"},
    "name": {"host": "localhost", "public_url": "http://localhost:8000"},
    "pages": {"allowed_origins": "http://localhost:5173, http://127.0.0.1:3000"},
    "Redis": {"redis_url": Secret("redis://127.0.0.1:6379/0")},
    "partner": {"sms_url": "http://127.0.0.1:9000"},
}


@pytest.mark.parametrize("given", REAL.values(), ids=REAL)
def test_beside_what_looks_real_it_needs_a_second_word(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="--confirm-sandbox") as refused:
        require_intended(Settings(**given))

    assert f"CARD_GATEWAY_{next(iter(given)).upper()}" in str(refused.value)
    assert all(
        value.reveal() not in str(refused.value)
        for value in given.values()
        if isinstance(value, Secret)
    )
    require_intended(Settings(**given, sandbox_confirmed=True))


@pytest.mark.parametrize("given", DEVELOPING.values(), ids=DEVELOPING)
def test_on_a_developers_machine_it_needs_none(given: dict[str, Any]) -> None:
    require_intended(Settings(**given))


def test_the_command_refuses_before_it_leaves_anything_behind(
    command: Command, tmp_path: Path
) -> None:
    for arguments in (("serve", "--sandbox", "--host", "0.0.0.0"), ("verify-audit", "--sandbox")):  # noqa: S104
        done = command(*arguments, public_url="https://card.example")

        assert (done.code, done.out) == (1, "")
        assert "CARD_GATEWAY_PUBLIC_URL is not on this machine" in done.err
        assert not list(tmp_path.rglob("*"))


# --- people --------------------------------------------------------------------------------


async def every_row(database: Database) -> list[Any]:
    return [
        sorted(
            repr(tuple(row[name] for name in table.columns.keys()))  # noqa: SIM118
            for row in await database.fetch(Query(table.select()))
        )
        for table in TABLES
    ]


async def with_other_people(settings: Settings, world: World) -> list[Any]:
    await register(world, **OTHER)
    return await every_row(world.application.database)


@pytest.mark.parametrize("is_confirmed", [False, True])
async def test_a_database_of_other_people_is_not_seeded(tmp_path: Path, is_confirmed: bool) -> None:
    """As a real one is: other people, other keys, no persona. Not even with the second word."""
    url = f"sqlite:///{tmp_path}/real.sqlite3"
    await asyncio.to_thread(migrate, url)
    settings = settings_for(url, tmp_path, sandbox_confirmed=is_confirmed)
    await _register_someone(settings)
    database = await connect(url)
    before = await every_row(database)

    with pytest.raises(OtherPeople, match="CARD_GATEWAY_DATABASE_URL"):
        async with running(settings):
            pass

    after = await every_row(database)
    await database.close()
    assert after == before


async def test_its_own_database_may_hold_others_if_that_is_confirmed(
    settings: Settings, world: World
) -> None:
    """The control, and what the benches need: nothing is seeded there."""
    before = await with_other_people(settings, world)

    with pytest.raises(OtherPeople):
        async with running(settings):
            pass
    async with running(replace(settings, sandbox_confirmed=True)):
        pass

    assert await every_row(world.application.database) == before


async def test_a_reset_leaves_other_people_alone(settings: Settings, world: World) -> None:
    before = await with_other_people(settings, world)

    refused = await world.http.post("/sandbox/reset")

    assert refused.status_code == 409
    assert "people" in refused.json()["error"]
    assert await every_row(world.application.database) == before


async def test_a_reset_among_personas_alone_goes_through(world: World) -> None:
    await world.enter("no-card")

    assert (await world.http.post("/sandbox/reset")).status_code == 200


async def _register_someone(settings: Settings) -> None:
    database = await connect(settings.database_url)

    writes = Writes()
    citizens.register(writes, keys_from(settings).vault, 1, **OTHER)
    await database.apply(writes)
    await database.close()
