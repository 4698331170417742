"""The card's life, lived at random: after each step the database keeps every promise.

Citizens act over HTTP with codes from the sandbox's inbox, the card issuer reports events,
and time moves. `LIFE_CYCLE_EXAMPLES` lives more lives than the usual few.
"""

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.audit import verify
from core.cards.cards import TEMPORARY_LOSS_LASTS
from core.citizens import quotas
from core.db import Transaction
from tests.claims import expected, taken
from tests.conftest import ADDRESS, POSTGRES_URL, _postgres, running, settings_for
from tests.front_end import FrontEnd, World

pytestmark = pytest.mark.slow

T = TypeVar("T")

START = datetime(2035, 1, 15, 4, 0, tzinfo=UTC)
"""After the template was made: ids rise with time, and the newest is told by its id."""
SESSION_LASTS = timedelta(minutes=50)
"""UnionPay's tokens last an hour, and no session lasts longer than its token."""

PERSONAS = ("active", "sealed", "lost", "temporarily-lost", "in-production")
EVENTS = ("TEMPORARY_LOSS", "LOCK", "UNLOCK", "TEMPORARY_LOSS", "LOCK", "UNLOCK", "CANCEL")
SEALED, ACTIVE, LOST, LOCKED, TEMPORARY, CANCELLED = "0", "1", "2", "3", "4", "9"

ACTIONS = {
    (None, SEALED): {"CARD_ISSUED"},
    (SEALED, ACTIVE): {"ACTIVATE_CARD"},
    (ACTIVE, TEMPORARY): {"ISSUER_EVENT"},
    (SEALED, LOST): {"REPORT_LOSS"},
    (ACTIVE, LOST): {"REPORT_LOSS"},
    (LOCKED, LOST): {"REPORT_LOSS"},
    (TEMPORARY, LOST): {"REPORT_LOSS"},
    (LOST, SEALED): {"CANCEL_LOSS"},
    (LOST, ACTIVE): {"CANCEL_LOSS"},
    (LOST, LOCKED): {"CANCEL_LOSS"},
    (TEMPORARY, LOCKED): {"CANCEL_LOSS", "LOSS_LAPSED"},
    (TEMPORARY, ACTIVE): {"CANCEL_LOSS", "LOSS_LAPSED"},
    (ACTIVE, LOCKED): {"ISSUER_EVENT"},
    (LOCKED, ACTIVE): {"ISSUER_EVENT"},
    (SEALED, CANCELLED): {"ISSUER_EVENT"},
    (ACTIVE, CANCELLED): {"ISSUER_EVENT"},
    (LOST, CANCELLED): {"ISSUER_EVENT", "CARD_CANCELLED"},
    (LOCKED, CANCELLED): {"ISSUER_EVENT"},
    (TEMPORARY, CANCELLED): {"ISSUER_EVENT"},
}
"""The table of the states, each with the audit entry that tells of it."""

LAPSED = {(TEMPORARY, after): {"ISSUER_EVENT"} for after in (LOCKED, TEMPORARY)} | {
    (TEMPORARY, ACTIVE): ACTIONS[TEMPORARY, ACTIVE] | {"ISSUER_EVENT"}
}
"""What else a temporary loss may become once its seven days are over."""


@dataclass(frozen=True, slots=True)
class CardRow:
    citizen: int
    state: str
    since: int


async def forget_quotas(transaction: Transaction) -> None:
    await transaction.fetch(quotas.CLEAR)


Database = Callable[[], contextlib.AbstractContextManager[str]]
"""Makes one for a life, and tells its URL."""


class LifeCycle(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._clock = self._stack.enter_context(time_machine.travel(START, tick=False))
        self._now = START
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        url = self._stack.enter_context(database())
        self._inside = contextlib.AsyncExitStack()
        self.world = self._run(self._open(url, folder))
        self.persona = ""
        self.reissued = False
        self.citizen: FrontEnd | None = None
        self.session_ends = START
        self.cards: dict[int, CardRow] = {}
        self.audited: set[tuple[Any, ...]] = set()

    async def _open(self, url: str, folder: Path) -> World:
        app = await self._inside.enter_async_context(running(settings_for(url, folder)))
        http = await self._inside.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS)
        )
        return World(http, app.state.application)

    def teardown(self) -> None:
        self._run(self._inside.aclose())
        self._stack.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _pass(self, time: timedelta) -> None:
        self._now += time
        self._clock.move_to(self._now)

    # --- what may happen -------------------------------------------------------------------

    @initialize(persona=st.sampled_from(PERSONAS))
    def begin(self, persona: str) -> None:
        self.persona = persona
        self.cards = self._run(self._cards())
        self._run(self._new_entries())

    @rule(days=st.integers(1, 8))
    def wait(self, days: int) -> None:
        self._pass(timedelta(days=days))
        self._keeps_every_promise()

    @rule()
    def report_loss(self) -> None:
        self._act("reportLoss", "REPORT_LOSS", with_card=False)

    @rule()
    def cancel_loss(self) -> None:
        self._act("cancelLoss", "CANCEL_LOSS", with_card=True)

    @rule()
    def activate(self) -> None:
        self._act("activateCard", "ACTIVATE_CARD", with_card=True)

    @rule()
    def reissue(self) -> None:
        given = {
            "pickupMethod": "OUTLET",
            "districtCode": "510104",
            "outletCode": "SAMPLE-510104-1",
        }
        self._act("reissueCard", "REISSUE_CARD", with_card=False, **given)

    @precondition(lambda self: not self.reissued)
    @rule(twice=st.booleans())
    def lose_and_reissue(self, twice: bool) -> None:
        """A reissue from its beginning to its end, which chance alone seldom finds."""
        self.reissued = True
        self.report_loss()
        self.reissue()
        if twice:
            self.reissue()
        while self._desk(result="DONE"):
            pass
        self.activate()

    @precondition(lambda self: not self.reissued)
    @rule(events=st.permutations(["TEMPORARY_LOSS", "LOCK", "UNLOCK"]))
    def several_events(self, events: list[str]) -> None:
        self.activate()
        for event in events:
            self.issuer_event(event)

    @rule(fails=st.booleans())
    def make(self, fails: bool) -> None:
        self._desk(result="FAILED" if fails else "DONE")

    @rule(event=st.sampled_from(EVENTS))
    def issuer_event(self, event: str) -> None:
        self._desk(event=event)

    def _desk(self, **given: str) -> bool:
        """Whether the issuer had anything to report."""
        self._pass(timedelta(minutes=1))
        response = self._run(
            self.world.http.post("/sandbox/issuer/advance", json={"persona": self.persona, **given})
        )
        self._keeps_every_promise()
        return response.is_success

    def _act(self, mutation: str, purpose: str, *, with_card: bool, **given: Any) -> None:
        self._pass(timedelta(minutes=1))
        self._run(self._citizen_does(mutation, purpose, with_card, given))
        self._keeps_every_promise()

    async def _citizen_does(
        self, mutation: str, purpose: str, with_card: bool, given: dict[str, Any]
    ) -> None:
        citizen = await self._signed_in()
        given |= {"phone": citizen.person.phone, "code": await citizen.code(purpose)}
        if with_card:
            given["cardNumber"] = await self._number(citizen)
        answer = await citizen.do(mutation, **given)
        assert answer.get("code") not in ("TRY_AGAIN_LATER", "CODE_WRONG", "TOO_MANY_CODES"), answer

    async def _signed_in(self) -> FrontEnd:
        """A session as long as it lasts; the limits of codes are another test's matter."""
        await self.world.application.database.write(forget_quotas)
        if self.citizen is None or self._now >= self.session_ends:
            self.citizen = await self.world.enter(self.persona)
            self.session_ends = self._now + SESSION_LASTS
        return self.citizen

    async def _number(self, citizen: FrontEnd) -> str:
        """The newest card's number, as it is printed; any other where there is none."""
        progress, status = await citizen.progress(), await citizen.status()
        return str(progress.get("cardNumber") or status.get("cardNumber") or "SAMPLE01X")

    # --- what must always hold -------------------------------------------------------------

    def _keeps_every_promise(self) -> None:
        before, now = self.cards, self._run(self._cards())
        entries = self._run(self._new_entries())
        self.cards = now
        self._changes_follow_the_table(before, now, entries)
        self._one_of_each(now)
        self._run(self._log_is_intact())
        assert self._run(taken(self.world)) == self._run(expected(self.world))

    def _changes_follow_the_table(
        self, before: dict[int, CardRow], now: dict[int, CardRow], entries: list[Any]
    ) -> None:
        assert before.keys() <= now.keys()
        told = {
            (row.subject_id, json.loads(row.details).get("card"), row.action) for row in entries
        }
        for card_id, row in now.items():
            old = before.get(card_id)
            if old == row:
                continue
            change = (None if old is None else old.state, row.state)
            table = ACTIONS | (LAPSED if self._has_lapsed(old, row) else {})
            assert change in table, f"card {card_id} went {change}"
            assert any((row.citizen, card_id, action) in told for action in table[change])

    def _has_lapsed(self, old: CardRow | None, row: CardRow) -> bool:
        return old is not None and row.since >= old.since + TEMPORARY_LOSS_LASTS

    def _one_of_each(self, now: dict[int, CardRow]) -> None:
        active = [row.citizen for row in now.values() if row.state == ACTIVE]
        assert len(active) == len(set(active))
        rows = self._run(self.world.rows("applications"))["applications"]
        open_ = [row.subject_id for row in rows if row.closed_at is None]
        assert len(open_) == len(set(open_))

    async def _log_is_intact(self) -> None:
        application = self.world.application
        async for found in verify.verify(application.database, application.dependencies.seals):
            assert isinstance(found, int), found

    async def _cards(self) -> dict[int, CardRow]:
        rows = (await self.world.rows("cards"))["cards"]
        return {row.id: CardRow(row.subject_id, row.state, row.state_since) for row in rows}

    async def _new_entries(self) -> list[Any]:
        """Entries are only ever added."""
        rows = (await self.world.rows("audit_entries"))["audit_entries"]
        numbers = {(row.subject_id, row.number) for row in rows}
        new = [row for row in rows if (row.subject_id, row.number) not in self.audited]
        assert self.audited <= numbers
        self.audited = numbers
        return new


def live(database: Database, examples: int, steps: int) -> None:
    many = settings(
        max_examples=int(os.environ.get("LIFE_CYCLE_EXAMPLES", examples)),
        stateful_step_count=steps,
        derandomize="LIFE_CYCLE_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: LifeCycle(database), settings=many)  # type: ignore[arg-type]


def test_every_life_keeps_the_promises_on_sqlite(sqlite_template: Path) -> None:
    @contextmanager
    def database() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(sqlite_template, f"{folder}/gateway.sqlite3")
            yield f"sqlite:///{folder}/gateway.sqlite3"

    live(database, 10, 20)


@pytest.mark.filterwarnings("default::pytest.PytestWarning")
def test_every_life_keeps_the_promises_on_postgres(postgres_template: str) -> None:
    @contextmanager
    def database() -> Iterator[str]:
        name = f"card_gateway_test_{uuid.uuid4().hex[:12]}"
        asyncio.run(_postgres(f"CREATE DATABASE {name} TEMPLATE {postgres_template}"))
        yield f"{POSTGRES_URL}/{name}"
        asyncio.run(_postgres(f"DROP DATABASE {name} WITH (FORCE)"))

    live(database, 2, 10)
