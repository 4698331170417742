"""Two changes of one person at once: the later one decides anew, from what the earlier one has left.

Nothing is locked while a service decides. What guards it is the version of the person's data, which
it read first and moves on with its writes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core import audit
from core.audit import Action
from core.cards import Card, CardState, cards
from core.citizens import bindings, claims, sessions
from core.crypto import account_indexes, seal_account
from core.db import DatabaseUnavailable, LostRace, Query, Reader, Row
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from core.kernel.refusals import NoSuchSession, WrongCardState
from core.kernel.texts import Text
from core.services.sign_in import SignedIn, SignIn, sign_in
from core.services.sign_out import sign_out
from core.unit_of_work import UnitOfWork, perform
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id
from tests.units import change


async def lock_card(world: World, owner: int) -> None:
    """By the card issuer, meanwhile."""

    async def work(unit: UnitOfWork) -> None:
        holder = await unit.holder(owner)
        cards.save_state(unit.writes, holder.card.lock(unit.now))
        await audit.record(unit, owner, Action.ISSUER_EVENT)

    await change(world, work)


async def state(world: World, owner: int) -> CardState:
    return (await UnitOfWork(*given(world)).holder(owner)).card.state


def given(world: World):  # type: ignore[no-untyped-def]
    application = world.application
    return application.database, application.clock(), None, application.dependencies


async def test_whoever_was_overtaken_decides_again(world: World, active: FrontEnd) -> None:
    owner, seen = await person_id(world, active.person), list[CardState]()

    async def report(unit: UnitOfWork) -> None:
        holder = await unit.holder(owner)
        seen.append(holder.card.state)
        if len(seen) == 1:
            await change(world, report)
        cards.save_state(unit.writes, holder.card.report_loss(unit.now))
        await audit.record(unit, owner, Action.REPORT_LOSS)

    with pytest.raises(WrongCardState):
        await change(world, report)

    assert seen == [CardState.ACTIVE, CardState.ACTIVE, CardState.LOST]
    assert await state(world, owner) is CardState.LOST


async def test_without_the_guard_it_would_overwrite(world: World, active: FrontEnd) -> None:
    """The control: the same writes without the person's version."""
    owner = await person_id(world, active.person)

    async def report(unit: UnitOfWork) -> None:
        card: Card = (await unit.holder(owner)).card
        await lock_card(world, owner)
        cards.save_state(unit.writes, card.report_loss(unit.now))

    await change(world, report)

    assert await state(world, owner) is CardState.LOST


async def test_what_writes_no_entry_is_guarded_too(world: World, active: FrontEnd) -> None:
    owner = await person_id(world, active.person)
    unit = UnitOfWork(*given(world))
    await unit.citizen(owner)
    await unit.touch(owner)
    await lock_card(world, owner)

    with pytest.raises(LostRace):
        await world.application.database.apply(unit.writes)


async def test_both_of_two_touches_are_seen(world: World, active: FrontEnd) -> None:
    """Neither writes an entry, yet the second one must not rest on what was before the first."""
    owner = await person_id(world, active.person)
    first, second = UnitOfWork(*given(world)), UnitOfWork(*given(world))
    for unit in (first, second):
        await unit.touch(owner)
    await world.application.database.apply(first.writes)

    with pytest.raises(LostRace):
        await world.application.database.apply(second.writes)


async def test_a_lost_race_leaves_nothing_and_promises_nothing(
    world: World, active: FrontEnd
) -> None:
    owner = await person_id(world, active.person)
    before, tries = await world.rows(), 0
    database = world.application.database

    async def report(unit: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        holder = await unit.holder(owner)
        cards.save_state(unit.writes, holder.card.report_loss(unit.now))
        await audit.record(unit, owner, Action.REPORT_LOSS)
        stale = unit.heads[owner]._replace(version=unit.heads[owner].version + 1)
        unit.heads[owner] = stale
        await unit.touch(owner)

    from core.db import DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await perform(database, lambda reader: UnitOfWork(reader, *given(world)[1:]), report)

    assert tries > 1
    assert await world.rows() == before


# --- signing in, while the account is bound to somebody else -------------------------------

ACCOUNT = "an account"


async def bind(world: World, owner: int) -> None:
    """As `bindCard` does: the account's older binding ends, and whoever had it hears of it."""
    vault, channel = world.application.dependencies.vault, ChannelId.WECHAT

    async def work(unit: UnitOfWork) -> None:
        accounts = account_indexes(vault, channel, ACCOUNT)
        replaced = await bindings.replaced_by(unit.db, channel, accounts, owner)
        bindings.bind(
            unit.writes,
            vault,
            unit.now,
            channel=channel,
            accounts=accounts,
            account=seal_account(vault, ACCOUNT),
            citizen_id=owner,
            replaced=replaced,
        )
        for older in replaced:
            bindings.end_sessions(unit.writes, vault, older, unit.now)
            await audit.record(unit, older.citizen_id, Action.UNBOUND)
        await audit.record(unit, owner, Action.BIND_CARD)

    await change(world, work)


class Overtaken:
    """A reader that lets something happen right after it has read whose a claim is."""

    def __init__(self, reader: Reader, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._reader, self._meanwhile = reader, meanwhile

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        rows = await self._reader.fetch(query, **values)
        if query in (claims._FIND, claims._FIND_ANY):
            await self._meanwhile()
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None


def entering(level: RealNameLevel) -> SignIn:
    person = PERSONAS["active"]
    return SignIn(
        channel=ChannelId.WECHAT,
        app_name=Text("成都人社局", "Chengdu"),
        account=ACCOUNT,
        level=level,
        lifetime_seconds=600,
        state_nonce=None,
        credential="once",
        device_key=None,
        address="",
        name=person.name,
        social_security_number=person.social_security_number,
    )


async def enter_overtaken(
    world: World, meanwhile: Callable[[], Awaitable[None]], level: RealNameLevel
) -> SignedIn:
    database = world.application.database
    _, signed_in = await perform(
        database,
        lambda reader: UnitOfWork(reader, *given(world)[1:]),
        lambda unit: sign_in(unit, entering(level)),
        first_reader=Overtaken(database, meanwhile),
    )
    return signed_in


async def open_sessions(world: World, owner: int) -> int:
    rows = (await world.rows("sessions"))["sessions"]
    return sum(1 for row in rows if row.subject_id == owner and row.ended_at is None)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_who_signs_in_is_whose_the_account_is_at_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
) -> None:
    """Without the guard the older owner has a session of an account that is another's: the control."""
    if not is_guarded:
        monkeypatch.setattr(bindings, "keep", lambda *_: None)
    before = await person_id(world, PERSONAS["active"])
    after = await person_id(world, PERSONAS["lost"])
    await bind(world, before)

    signed_in = await enter_overtaken(world, lambda: bind(world, after), RealNameLevel.NONE)

    assert signed_in.caller.citizen_id == (after if is_guarded else before)
    assert await open_sessions(world, before) == (0 if is_guarded else 1)
    assert await open_sessions(world, after) == (1 if is_guarded else 0)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_where_the_platform_vouches_an_account_that_left_is_bound_again(
    world: World, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
) -> None:
    """Without the guard there is a session of an account without a binding: the control."""
    if not is_guarded:
        monkeypatch.setattr(bindings, "keep", lambda *_: None)
    owner = await person_id(world, PERSONAS["active"])
    accounts = account_indexes(world.application.dependencies.vault, ChannelId.WECHAT, ACCOUNT)
    await bind(world, owner)

    async def leave() -> None:
        async def work(unit: UnitOfWork) -> None:
            await audit.record(unit, owner, Action.UNBOUND)
            bindings.erase(unit.writes, ChannelId.WECHAT, accounts, owner)

        await change(world, work)

    signed_in = await enter_overtaken(world, leave, RealNameLevel.PLATFORM)

    assert signed_in.caller.citizen_id == owner
    found = await bindings.citizen_of(world.application.database, accounts)
    assert found == (owner if is_guarded else None)


# --- a session that ends meanwhile ---------------------------------------------------------


async def caller_of(world: World, citizen: FrontEnd) -> Caller:
    database, now, _, dependencies = given(world)
    token = citizen.headers["Authorization"].removeprefix("Bearer ")
    found = await sessions.find_caller(database, dependencies.vault, token, now, "")
    assert found is not None
    return found


async def end(world: World, caller: Caller) -> None:
    await change(
        world,
        lambda unit: sessions.end(unit.writes, caller.subject_id, caller.session_id, unit.now),
    )


@pytest.mark.parametrize("ends", [True, False])
async def test_a_session_that_has_ended_is_not_moved(world: World, ends: bool) -> None:
    """One that has not is: the control."""
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    owner = await person_id(world, PERSONAS["active"])
    database, now, _, dependencies = given(world)
    caller = await caller_of(world, citizen)
    unit = UnitOfWork(database, now, caller, dependencies)
    stored = await sessions.find(database, caller, now)
    sessions.move(unit.writes, dependencies.vault, now, stored, owner, RealNameLevel.BOUND)
    if ends:
        await end(world, caller)

    if ends:
        before = await world.rows("sessions")
        with pytest.raises(LostRace):
            await database.apply(unit.writes)
        assert await world.rows("sessions") == before
        with pytest.raises(NoSuchSession):
            await sessions.find(database, caller, now)
    else:
        await database.apply(unit.writes)
        assert await open_sessions(world, owner) == 1


async def test_what_has_ended_meanwhile_is_not_ended_again(world: World, active: FrontEnd) -> None:
    database, now, _, dependencies = given(world)
    caller = await caller_of(world, active)
    first = UnitOfWork(database, now, caller, dependencies)
    await sign_out(first, None)
    await end(world, caller)
    before = await world.rows()

    with pytest.raises(LostRace):
        await database.apply(first.writes)
    with pytest.raises(NoSuchSession):
        await sign_out(UnitOfWork(database, now, caller, dependencies), None)

    assert await world.rows() == before


async def test_who_leaves_while_it_is_refused_takes_nobodys_turn(world: World) -> None:
    """A client that goes away in the moment in which the change before it fails."""
    application = world.application
    holds = asyncio.Event()

    async def fail(_: UnitOfWork) -> None:
        await holds.wait()
        raise DatabaseUnavailable

    async def pass_by(_: UnitOfWork) -> str:
        return "done"

    async def run(service: Callable[[UnitOfWork], Awaitable[Any]]) -> Any:
        def new_unit(reader: Reader) -> UnitOfWork:
            return UnitOfWork(reader, application.clock(), None, application.dependencies)

        return (await perform(application.database, new_unit, service, subject_id=1))[1]

    async def fail_first() -> None:
        with pytest.raises(DatabaseUnavailable):
            await run(fail)
        leaving.cancel()

    first = asyncio.create_task(fail_first())
    await asyncio.sleep(0)
    leaving = asyncio.create_task(run(pass_by))
    await asyncio.sleep(0)
    holds.set()

    await first
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await run(pass_by) == "done"
