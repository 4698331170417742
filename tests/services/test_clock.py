"""The clock set by a day, either way: nothing that was over is valid again, and nobody is locked out."""

import time
from datetime import timedelta

import httpx
import time_machine
from sqlalchemy import update

from core.citizens import Limit, nonces, passwords, quotas, sessions_table, sign_in_states
from core.db import Query, Transaction
from core.kernel.callers import ChannelId
from core.kernel.clock import DAY, HOUR, MINUTE, SECOND
from core.kernel.settings import Settings
from core.messaging import outbox, outbox_table, verification_codes_table
from core.unit_of_work import UnitOfWork
from gateway.resolvers.context import system_clock
from tests.conftest import ADDRESS, running
from tests.front_end import FrontEnd, World
from tests.services.parts import keep_pictures, later
from tests.units import change as perform_unit


def earlier(**duration: int) -> time_machine.travel:
    return time_machine.travel(time.time() - timedelta(**duration).total_seconds(), tick=True)


async def change(world: World, query: Query) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(query)

    await world.application.database.write(job)


async def keep_sessions(world: World) -> None:
    """By hand: the tests are about codes, and a session of tomorrow is refused by itself."""
    await change(world, Query(update(sessions_table).values(created_at=0, expires_at=2**53)))


async def report(citizen: FrontEnd, code: str) -> str:
    answer = await citizen.do("reportLoss", phone=citizen.person.phone, code=code)
    return str(answer.get("code") or answer["__typename"])


async def test_a_code_that_expired_does_not_revive_when_the_clock_goes_back(
    world: World, active: FrontEnd
) -> None:
    code = await active.code("REPORT_LOSS")
    await keep_sessions(world)

    with later(minutes=6):
        expired = await report(active, code)
    with earlier(days=1):
        back = await report(active, code)

    assert (expired, back) == ("CODE_EXPIRED", "CODE_EXPIRED")
    assert (await active.status())["state"] == "ACTIVE"


async def test_only_its_beginning_keeps_it_from_reviving(world: World, active: FrontEnd) -> None:
    """The control: the same code, as if it had been made before that day, works."""
    code = await active.code("REPORT_LOSS")
    await keep_sessions(world)
    await change(world, Query(update(verification_codes_table).values(id=1)))
    row = (await world.rows("verification_codes"))["verification_codes"][0]
    await change(
        world,
        Query(
            update(verification_codes_table).values(
                mac=world.application.dependencies.seals.code(1, active.person.phone, code)
            )
        ),
    )
    assert row.id == 1

    with earlier(days=1):
        assert await report(active, code) == "LossReported"


async def test_a_clock_that_was_ahead_leaves_a_code_as_it_was(
    world: World, active: FrontEnd
) -> None:
    code = await active.code("REPORT_LOSS")
    await keep_sessions(world)

    with later(days=1):
        ahead = await report(active, code)

    assert ahead == "CODE_EXPIRED"
    assert await report(active, code) == "LossReported"


async def test_a_code_made_while_the_clock_was_ahead_is_not_valid_after(
    world: World, active: FrontEnd
) -> None:
    with later(days=1):
        await active.sign_in()
        code = await active.code("REPORT_LOSS")
    await keep_sessions(world)

    assert await report(active, code) == "CODE_EXPIRED"
    with later(seconds=61):
        again = await active.send_code("REPORT_LOSS")
    assert again["__typename"] == "VerificationCodeSent"


async def test_an_ended_session_does_not_revive(world: World, active: FrontEnd) -> None:
    with later(hours=3):
        ended = await active.post("{ viewer { bound } }")
    with earlier(days=1):
        back = await active.post("{ viewer { bound } }")

    assert ended.json()["data"] == back.json()["data"] == {"viewer": None}
    assert (await active.post("{ viewer { bound } }")).json()["data"] == {"viewer": {"bound": True}}


async def test_a_link_does_not_revive(world: World) -> None:
    applicant = await world.enter("no-card")
    await keep_pictures(world, applicant)
    form = await applicant.ask(
        "{ applicationForm { ... on ApplicationForm { portrait { url } } } }"
    )
    url = form["portrait"]["url"]

    with later(minutes=11):
        expired = await world.http.get(url)
    with earlier(days=1):
        back = await world.http.get(url)

    assert (expired.status_code, back.status_code) == (403, 403)
    assert (await world.http.get(url)).status_code == 200


async def test_nobody_is_locked_out_for_a_day_by_a_clock_that_was_ahead(world: World) -> None:
    limits, now = [Limit(2, HOUR)], 1_800_000_000_000

    async def take(at: int) -> int:
        async def consume(unit: UnitOfWork) -> int:
            return await quotas.consume(unit.db, unit.writes, [([b"key"], limits)], at)

        return int(await perform_unit(world, consume))

    assert [await take(now + DAY), await take(now + DAY)] == [0, 0]
    assert await take(now + DAY) == now + DAY + HOUR
    assert [await take(now), await take(now)] == [0, 0]
    assert await take(now) == now + HOUR


async def test_uses_under_an_older_key_count_too(world: World) -> None:
    now = 1_800_000_000_000

    async def take(*keys: bytes) -> int:
        async def consume(unit: UnitOfWork) -> int:
            counted = [(keys, [Limit(2, HOUR)])]
            return await quotas.consume(unit.db, unit.writes, counted, now)

        return int(await perform_unit(world, consume))

    assert [await take(b"old"), await take(b"new", b"old")] == [0, 0]
    assert await take(b"new", b"old") == now + HOUR
    assert await take(b"old", b"new") == now + HOUR


async def test_what_was_used_under_an_older_key_was_used(world: World) -> None:
    until = world.application.clock() + HOUR

    async def use(*nonces_: str) -> bool:
        async def work(unit: UnitOfWork) -> bool:
            return await nonces.use(unit.db, unit.writes, "test", nonces_, until)

        return bool(await perform_unit(world, work))

    assert [await use("old"), await use("new", "old"), await use("other", "new")] == [
        True,
        False,
        True,
    ]


async def uses_around_a_day_ahead(world: World, retention: int) -> tuple[bool, bool]:
    """Whether a nonce may be used, and again after the clock was a day ahead, swept, and set right."""
    now = world.application.clock()

    async def use(unit: UnitOfWork) -> bool:
        return await nonces.use(unit.db, unit.writes, "test", ["nonce"], now + 10 * MINUTE)

    def sweep(unit: UnitOfWork) -> None:
        unit.writes.add(nonces.FORGET_OLD, before=now + DAY - retention)

    first = await perform_unit(world, use)
    await perform_unit(world, sweep)
    return first, await perform_unit(world, use)


async def test_what_was_used_is_remembered_beyond_a_day_ahead(world: World) -> None:
    assert await uses_around_a_day_ahead(world, nonces.RETENTION) == (True, False)


async def test_without_keeping_it_a_replay_would_pass(world: World) -> None:
    """The control."""
    assert await uses_around_a_day_ahead(world, 0) == (True, True)


# --- nobody is refused for long ------------------------------------------------------------


async def test_a_clock_set_back_by_minutes_leaves_the_rate_limits_as_they_were(
    world: World, active: FrontEnd
) -> None:
    await active.post("{ viewer { bound } }")

    with earlier(minutes=10):
        assert (await active.post("{ viewer { bound } }")).status_code == 200


async def test_limits_by_the_wall_clock_would_shut_everybody_out(settings: Settings) -> None:
    """The control."""
    async with running(settings, monotonic=system_clock) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            citizen = World(http, app.state.application).front_end("active")
            await citizen.post("{ viewer { bound } }")

            with earlier(minutes=10):
                assert (await citizen.post("{ viewer { bound } }")).status_code == 429


async def test_a_new_code_works_after_the_clock_was_ahead(world: World, active: FrontEnd) -> None:
    """The code of the day ahead has the higher id, and is not taken for the newest."""
    with later(days=1):
        await active.sign_in()
        await active.code("REPORT_LOSS")
    await keep_sessions(world)

    with later(seconds=61):
        assert await report(active, await active.code("REPORT_LOSS")) == "LossReported"


async def test_messages_and_codes_leave_after_the_clock_was_ahead(
    world: World, active: FrontEnd
) -> None:
    """What was put off or claimed by the clock of tomorrow is due now, and blocks nothing."""
    application = world.application
    await application.worker.stop()
    await active.send_code("REPORT_LOSS")
    ahead = application.clock() + DAY
    await change(world, Query(update(outbox_table).values(due_at=ahead, claimed_until=ahead)))

    assert await application.worker.deliver_due() == 1

    waiting = [row for row in (await world.rows("outbox"))["outbox"] if row.settled_at is None]
    assert waiting == []


async def test_what_is_put_off_for_as_long_as_it_may_be_waits(
    world: World, active: FrontEnd
) -> None:
    """The control: five minutes between two attempts are no sign of a wrong clock."""
    application = world.application
    await application.worker.stop()
    await active.send_code("REPORT_LOSS")
    due_at = application.clock() + outbox.LONGEST_WAIT
    await change(world, Query(update(outbox_table).values(due_at=due_at)))

    assert await application.worker.deliver_due() == 0


async def test_a_job_planned_by_a_clock_ahead_runs(world: World) -> None:
    application = world.application
    scheduler = application.scheduler
    await scheduler.stop()
    with later(days=400):
        planned = await scheduler.run_due()
    assert planned

    assert set(await scheduler.run_due()) == set(planned)
    assert await scheduler.run_due() == {}


async def test_a_password_locked_by_a_clock_ahead_is_not_locked_for_days() -> None:
    now = 1_800_000_000_000
    locked_until = now + passwords.LOCKED_FOR

    assert passwords.locked_for(locked_until, now) == passwords.LOCKED_FOR
    assert passwords.locked_for(locked_until, now + HOUR) == passwords.LOCKED_FOR - HOUR
    assert passwords.locked_for(locked_until, now + DAY) == 0
    assert passwords.locked_for(locked_until, now - 10 * MINUTE) == 0


async def test_a_sign_in_begun_before_the_clock_was_set_back_a_little_goes_on(
    world: World,
) -> None:
    seals, now = world.application.dependencies.seals, 1_800_000_000_000
    state = sign_in_states.issue(seals, ChannelId.WECHAT, now)

    def is_valid(at: int) -> bool:
        return sign_in_states.nonce_of(seals, ChannelId.WECHAT, state, at) is not None

    assert [is_valid(now - 30 * SECOND), is_valid(now + 9 * MINUTE)] == [True, True]
    assert [is_valid(now - DAY), is_valid(now + 10 * MINUTE)] == [False, False]


# --- what the maintenance jobs have seen expire --------------------------------------------


async def test_an_expired_session_stays_ended_when_the_clock_returns_to_its_day(
    world: World, active: FrontEnd
) -> None:
    """Without the job it would be open again, as the end of `test_an_ended_session_does_not_revive` shows."""
    await world.application.scheduler.stop()
    with later(hours=3):
        await world.application.scheduler.run_due()

    assert (await active.post("{ viewer { bound } }")).json()["data"] == {"viewer": None}


async def test_an_expired_code_is_gone_when_the_clock_returns_to_its_day(
    world: World, active: FrontEnd
) -> None:
    await world.application.scheduler.stop()
    code = await active.code("REPORT_LOSS")
    with later(minutes=17):
        await world.application.scheduler.run_due()

    assert await report(active, code) == "CODE_NOT_SENT"
    assert (await active.status())["state"] == "ACTIVE"
