"""Changing keys: everything is made anew, in any number of runs, and nobody notices."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import LargeBinary, bindparam, select, update
from starlette.applications import Starlette

from bench.rotate_keys import RINGS, stale
from core.audit import verify
from core.citizens import ClaimKind, citizens
from core.db import Database, Query, Transaction, connect
from core.kernel.settings import Secret, Settings
from core.keys import claim_keys, rotation
from core.keys.plans import COLUMN_PLANS, SHORT_LIVED
from core.migrations.tables import TABLES
from core.storage import Objects
from gateway.app import keys_from
from tests.conftest import ADDRESS, running
from tests.front_end import World
from tests.services.parts import NEW_PHONE, keep_pictures, person_id

NEW_KEY = base64.b64encode(b"n" * 32).decode()
NOT_MADE_WITH_A_KEY = {
    ("sessions", "token_hash"),
    ("sessions", "device_mac"),
    ("idempotency_keys", "key_hash"),
    ("idempotency_keys", "request_hash"),
    ("audit_anchors", "digest"),
}
KEPT_UNDER_ITS_KEY = {
    ("audit_entries", "mac"),
    ("audit_heads", "mac"),
    ("audit_anchors", "mac"),
    ("audit_anchored_heads", "mac"),
}


def with_new_keys(
    settings: Settings, *, alone: bool = False, rings: Sequence[str] = RINGS
) -> Settings:
    """The new key first, and the old ones after it. The audit's old keys are always kept."""
    given = {}
    for ring in rings:
        old = getattr(settings, ring).reveal()
        only = alone and ring != "audit_keys"
        given[ring] = Secret(f"new:{NEW_KEY}" + ("" if only else f",{old}"))
    return replace(settings, **given)  # type: ignore[arg-type]


async def rotate(settings: Settings, *, steps: int | None = None) -> rotation.RotationProgress:
    """A whole run, or one that ends in the middle, as if it were killed."""
    database, keys = await connect(settings.database_url), keys_from(settings)
    progress = rotation.RotationProgress()
    try:
        run = rotation.rotate(database, keys, Objects(settings, keys.vault), 1_800_000_000_000)
        taken = 0
        while taken != steps and (step := await anext(run, None)) is not None:
            progress, taken = step, taken + 1
    finally:
        await database.close()
    return progress


@pytest.fixture
async def lived_in(world: World) -> World:
    """Something in every table that is made anew."""
    active = await world.enter("active")
    await active.enter()
    await active.do(
        "changeContact", residentialAddress="成都市示例路 1 号", landline="028-86677665"
    )
    await world.enter("lost", "WECHAT")
    applicant = await world.enter("no-card")
    await keep_pictures(world, applicant)
    await applicant.ask(
        "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename } }",
        i={"postalCode": "610000"},
    )
    await active.post(
        "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename } }",
        {"i": {"residentialPostalCode": "610000"}},
        **{"Idempotency-Key": "k"},
    )
    await world.application.worker.drained()
    return world


def test_no_column_with_a_key_in_it_is_forgotten() -> None:
    planned = {(plan.table.name, name) for plan in COLUMN_PLANS for name in plan.columns}
    short = {(table, column) for table, columns in SHORT_LIVED.items() for column in columns}
    binary = {
        (table.name, column.name)
        for table in TABLES
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }

    planned |= {("claims", "key")}
    known = planned | short | NOT_MADE_WITH_A_KEY | KEPT_UNDER_ITS_KEY
    assert binary - known == set()
    assert planned & (short | NOT_MADE_WITH_A_KEY | KEPT_UNDER_ITS_KEY) == set()


async def test_everything_works_under_the_new_keys_alone(
    lived_in: World, settings: Settings
) -> None:
    """The control stands in it: before the run, the new keys alone open nothing."""
    both, alone = with_new_keys(settings), with_new_keys(settings, alone=True)
    assert await stale(both) > 20

    progress = await rotate(both)

    assert progress.failed == set()
    assert await stale(both) == 0
    async with running(alone) as app, client(app) as http:
        await use_everything(World(http, app.state.application))


@pytest.mark.parametrize("ring", ["column_keys", "index_keys", "peppers"])
async def test_keys_of_one_kind_are_changed_without_the_others(
    lived_in: World, settings: Settings, ring: str
) -> None:
    both = with_new_keys(settings, rings=(ring,))
    alone = with_new_keys(settings, alone=True, rings=(ring,))
    assert await stale(both) > 0

    progress = await rotate(both)

    assert progress.failed == set()
    assert await stale(both) == 0
    async with running(alone) as app, client(app) as http:
        await use_everything(World(http, app.state.application))


async def test_without_a_run_the_new_keys_alone_find_nobody(
    lived_in: World, settings: Settings
) -> None:
    vault = keys_from(with_new_keys(settings, alone=True)).vault

    person = lived_in.front_end("active").person
    found = await citizens.find_by_number(
        lived_in.application.database, vault, person.social_security_number
    )

    assert found is None


@pytest.mark.parametrize("steps", [1, 3, 6])
async def test_in_the_middle_of_a_run_both_kinds_of_servers_work(
    lived_in: World, settings: Settings, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", 3)
    both = with_new_keys(settings)
    turned: dict[str, Any] = {
        ring: Secret(",".join(reversed(getattr(both, ring).reveal().split(",")))) for ring in RINGS
    }
    old_first = replace(both, **turned)

    await rotate(both, steps=steps)

    assert await stale(both) > 0
    async with running(old_first) as app, client(app) as http:
        await use_everything(World(http, app.state.application))
    await rotate(both)
    assert await stale(both) == 0


async def test_a_run_that_was_interrupted_goes_on(
    lived_in: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", 2)
    both = with_new_keys(settings)
    total = await stale(both)

    done = sum([(await rotate(both, steps=2)).reencrypted for _ in range(4)])

    assert done >= 8
    assert await stale(both) == total - done
    await rotate(both)
    assert await stale(both) == 0


async def test_readers_never_fail_while_keys_change(
    lived_in: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", 1)
    both = with_new_keys(settings)
    # What it still delivered, it would write under the older keys.
    await lived_in.application.worker.stop()
    async with running(both) as app, client(app) as http:
        world = World(http, app.state.application)
        active = await world.enter("active")
        run = asyncio.create_task(rotate(both))
        seen = 0
        while not run.done():
            assert (await active.status())["__typename"] == "CardStatus"
            changed = await active.do(
                "changeContact", residentialPostalCode=f"61{seen % 10000:04d}"
            )
            assert changed["__typename"] == "ContactChanged"
            seen += 1
        await run

    assert seen > 3
    assert await stale(both) == 0


@pytest.mark.parametrize("meanwhile", ["changed", "rowless"])
async def test_a_claim_that_was_given_up_meanwhile_is_no_failure(
    lived_in: World, settings: Settings, meanwhile: str
) -> None:
    """One whose value is gone without it is: the control."""
    both = with_new_keys(settings)
    keys, database = keys_from(both), lived_in.application.database
    active = await lived_in.enter("active")
    owner = await person_id(lived_in, active.person)
    found = await claim_keys.stale(database, keys.vault, claim_keys.FIRST, 1_000)
    phone = next(one for one in found if (one.subject_id, one.kind) == (owner, ClaimKind.PHONE))
    if meanwhile == "changed":
        code = await active.code("CHANGE_PHONE", NEW_PHONE)
        answer = await active.do("changePhone", newPhone=NEW_PHONE, code=code)
        assert answer["__typename"] == "PhoneChanged"
        assert not await claim_keys.renew(database, keys.vault, phone)
        assert (await rotate(both)).failed == set()
    else:
        without = update(citizens.citizens_table).values(phone=None, phone_index=None)
        await change(database, Query(without.where(citizens.citizens_table.c.subject_id == owner)))
        with pytest.raises(claim_keys.CannotRenew):
            await claim_keys.renew(database, keys.vault, phone)
        assert (await rotate(both)).failed == {f"claims PHONE of {owner}"}


async def test_says_which_rows_cannot_be_re_encrypted(lived_in: World, settings: Settings) -> None:
    row = await lived_in.application.database.fetch_one(
        Query(
            select(citizens.citizens_table.c.subject_id)
            .order_by(citizens.citizens_table.c.subject_id)
            .limit(1)
        )
    )
    assert row is not None
    await change(
        lived_in.application.database,
        Query(
            update(citizens.citizens_table)
            .where(citizens.citizens_table.c.subject_id == bindparam("of"))
            .values(name=b"\x04gone" + b"\0" * 40)
        ),
        of=row["subject_id"],
    )

    progress = await rotate(with_new_keys(settings))

    assert progress.failed == {f"citizens {row['subject_id']}"}
    assert await stale(with_new_keys(settings)) == 1


async def test_the_audit_log_stays_whole_and_is_vouched_for_by_the_new_key(
    lived_in: World, settings: Settings
) -> None:
    both = with_new_keys(settings)

    await rotate(both)
    await rotate(both)

    seals = keys_from(both).seals
    database = lived_in.application.database
    broken = [step async for step in verify.verify(database, seals) if not isinstance(step, int)]
    anchors = (await lived_in.rows("audit_anchors"))["audit_anchors"]
    assert broken == []
    assert len(anchors) == 1
    assert seals.is_current_mac(anchors[0].mac)


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS)


async def use_everything(world: World) -> None:
    active = await world.enter("active")
    person = active.person
    assert (await active.status())["cardNumber"] == person.card_number
    assert await active.code("REPORT_LOSS")  # to the phone on file
    applicant = await world.enter("no-card")
    form = await applicant.ask(
        "{ applicationForm { ... on ApplicationForm { portrait { url } } } }"
    )
    assert (await world.http.get(form["portrait"]["url"])).content == b"a picture"
    password = await active.do(
        "changePassword",
        oldPassword=person.service_password,
        newPassword="61528307",
        confirmPassword="61528307",
    )
    assert password["__typename"] == "PasswordChanged", password
    await active.do(
        "changePassword",
        oldPassword="61528307",
        newPassword=person.service_password,
        confirmPassword=person.service_password,
    )
    visitor = world.front_end("lost", "WECHAT")
    await visitor.sign_in()
    assert (await visitor.ask("{ viewer { bound } }"))["bound"] is True
    assert (await (await world.enter("in-production")).progress())["cardNumber"] == (
        world.front_end("in-production").person.card_number
    )


async def change(database: Database, query: Query, **values: object) -> None:
    async def job(db: Transaction) -> None:
        await db.fetch(query, **values)

    await database.write(job)
