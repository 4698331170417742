"""Lives of citizens, at random, after each of which a way to a working card must be left.

A life is one citizen against the real services on a real database; the sandbox's card issuer answers
over the wire. Whatever citizen, card issuer, partners and time have done, `Life.way_out` must lead to a
card that works, by what the citizen can do and the card issuer's ordinary work, without a refusal; or,
for the states of `DESKS` and no others, to a desk that is named, after whose act it does.
"""

import asyncio
import contextlib
import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import orjson
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import bindparam, select
from starlette.applications import Starlette

from bench.people import person
from core.applications import FilledForm
from core.cards import Card, CardsElsewhere, CardState, Holder, holders
from core.citizens import citizens, quotas
from core.db import Database, Query, Reader, Transaction, connect
from core.issuer import IssuerEvent
from core.jobs.maintenance import expire_losses
from core.jobs.schedule import JobContext
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from core.kernel.clock import DAY, MINUTE, SECOND, Instant, moment
from core.kernel.refusals import CitizenDeceased, Refusal
from core.messaging import MessageKind, VerificationPurpose, outbox, outbox_table
from core.messaging.delivery import Delivery
from core.partners import build_partners
from core.production import (
    REPORTED,
    CloseReason,
    Correction,
    NodeResult,
    OrderChange,
    ProductionNode,
    ProductionOrder,
    failures,
    orders,
)
from core.services.activate_card import ActivateCard, GeneratedPassword, activate_card
from core.services.apply_card import ApplyCard, apply_card
from core.services.cancel_application import CancelApplication, cancel_application
from core.services.cancel_loss import CancelLoss, cancel_loss
from core.services.change_pickup_outlet import ChangePickupOutlet, change_pickup_outlet
from core.services.close_order import CloseOrder, close_order
from core.services.correct_application import CorrectApplication, correct_application
from core.services.correct_death import CorrectDeath, correct_death
from core.services.issuer_events import apply_issuer_events
from core.services.reissue_card import ReissueCard, reissue_card
from core.services.report_loss import ReportLoss, report_loss
from core.services.send_verification_code import SendVerificationCode, send_verification_code
from core.storage import PictureKind, pictures
from core.unit_of_work import Dependencies, UnitOfWork, perform
from gateway.app import build_dependencies
from sandbox import faults, issuer
from sandbox.partners import partner_routes
from sandbox.paths import world_file
from sandbox.world import World as SandboxWorld
from tests.conftest import PATIENT, settings_for

T = TypeVar("T")

START = int(datetime(2035, 1, 15, tzinfo=UTC).timestamp()) * SECOND
OUTLET, OTHER_OUTLET = ("510104", "SAMPLE-510104-1"), ("510105", "SAMPLE-510105-1")
MOST_STEPS = 40
_WEEK_OF_SILENCE = 10_000

DEATH, FAILED = "DEATH_RECORDED", "FAILED_IN_MANUFACTURE"
DESKS = {DEATH: "社保经办窗口", FAILED: "028-12333"}
"""The states that only a desk ends, and the desk that their message names."""

_MESSAGES = Query(
    select(outbox_table.c.id, outbox_table.c.payload).where(
        outbox_table.c.subject_id == bindparam("subject_id"),
        outbox_table.c.kind == MessageKind.SMS_CODE.value,
        outbox_table.c.payload.is_not(None),
    )
)


_NO_CARD = "SAMPLE01X"
_PATHS = ("/orders", "/orders/cancellations", "/orders/outlets", "/orders/corrections")
_CORRECTED = {
    Correction.POSTAL_CODE: "610041",
    Correction.EDUCATION_CODE: "10",
    Correction.OCCUPATION_CODE: "20000",
    Correction.ID_ISSUER: "成都市公安局",
    Correction.ID_VALID_UNTIL: "LONG_TERM",
    Correction.ETHNICITY_CODE: "01",
}


async def _forget_quotas(transaction: Transaction) -> None:
    await transaction.fetch(quotas.CLEAR)


class DeadEnd(AssertionError):
    """No way to a working card is left, or one that was offered is refused."""


@dataclass(slots=True)
class Office:
    """What all lives share. `seen` counts where they ended."""

    database: Database
    dependencies: Dependencies
    world: SandboxWorld
    http: httpx.AsyncClient
    seen: Counter[str] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    pictures: dict[int, str] = field(default_factory=dict)

    async def picture_of(self, owner: int) -> str:
        """The object that stands for every picture of a person."""
        if owner not in self.pictures:
            name = await self.dependencies.objects.put(b"a picture", owner, START)
            self.pictures[owner] = name
        return self.pictures[owner]


@contextlib.asynccontextmanager
async def office(url: str, folder: Path) -> AsyncIterator[Office]:
    """On a migrated database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = settings_for(url, folder)
    world = SandboxWorld(world_file(found))
    wire = httpx.ASGITransport(_Mounted(Starlette(routes=partner_routes(found, world))))
    async with httpx.AsyncClient(transport=wire) as http:
        dependencies = build_dependencies(found, http)
        database = await connect(url, PATIENT)
        try:
            yield Office(database, dependencies, world, http)
        finally:
            await database.close()
            dependencies.close()
            world.close()


class _Mounted:
    """The sandbox, below its path."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/sandbox")
        await self._app(scope | {"path": path, "raw_path": path.encode()}, receive, send)


class Life:
    """One citizen. `told` is what has happened, for whoever reads a dead end."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.now: Instant = START
        self.told: list[str] = []
        self._name, self._number, self._phone, *_ = person(next(office.numbers))
        self._citizen_id = 0
        self._applications: list[str] = []

    async def begin(self) -> None:
        given: Any = {"name": self._name, "number": self._number, "phone": self._phone}
        vault = self._dependencies.vault
        citizen = await self._perform(
            lambda unit: citizens.register(unit.writes, vault, unit.now, **given), None
        )
        self._citizen_id = citizen.id

    # --- the citizen -----------------------------------------------------------------------

    async def apply(self) -> None:
        await self._keep_pictures()
        code = await self._code(VerificationPurpose.APPLY_CARD)
        await self._do(apply_card, ApplyCard(self._form(), code), CardsElsewhere())

    async def reissue(self) -> None:
        code = await self._code(VerificationPurpose.REISSUE_CARD)
        district, outlet = OUTLET
        await self._do(reissue_card, ReissueCard("OUTLET", district, outlet, self._phone, code))

    async def report_loss(self) -> None:
        code = await self._code(VerificationPurpose.REPORT_LOSS)
        await self._do(report_loss, ReportLoss(self._phone, code))

    async def cancel_loss(self) -> None:
        code = await self._code(VerificationPurpose.CANCEL_LOSS)
        await self._do(cancel_loss, CancelLoss(self._phone, await self._card_number(), code))

    async def activate(self) -> None:
        code = await self._code(VerificationPurpose.ACTIVATE_CARD)
        command = ActivateCard(self._phone, await self._card_number(), code)
        await self._do(activate_card, command, GeneratedPassword("40917258", "made before"))

    async def cancel_application(self) -> None:
        await self._do(cancel_application, CancelApplication(await self._application()))

    async def change_outlet(self) -> None:
        command = ChangePickupOutlet(await self._application(), *OTHER_OUTLET)
        await self._do(change_pickup_outlet, command)

    async def correct(self) -> None:
        await self._keep_pictures()
        order = await self.order()
        asked = () if order is None or order.current is None else order.current.corrections
        fields = {item.value: _CORRECTED[item] for item in asked if not item.is_picture}
        await self._do(correct_application, CorrectApplication(await self._application(), fields))

    # --- the card issuer, time, partners ---------------------------------------------------

    async def issuer_reports(self, result: NodeResult, corrections: tuple[str, ...] = ()) -> None:
        """The next node of the newest order that it has and has not ended."""
        number, order = self._issuers_order()
        if order is None or (order["corrections"] and result is NodeResult.DONE):
            return
        node = issuer.NODES[len(order["done"])]
        if node == "MANUFACTURE" and result is NodeResult.DONE:
            order["cardNumber"] = order["cardNumber"] or issuer.new_card_number()
        await self._event(
            "NODE_RESULT",
            orderNumber=number,
            node=node,
            result=result.value,
            corrections=corrections,
            cardNumber=order["cardNumber"],
        )
        order["corrections"] = list(corrections)
        order["done"] += [node] if result is NodeResult.DONE else []
        self.office.world.put(issuer.ORDERS, number, order)

    async def issuer_closes(self, reason: CloseReason) -> None:
        number, order = self._issuers_order()
        if order is not None:
            self.office.world.put(issuer.ORDERS, number, order | {"closed": True})
            await self._event("ORDER_CLOSED", orderNumber=number, reason=reason.value)

    async def card_event(self, kind: str, reason: CloseReason | None = None) -> None:
        number = await self._card_number()
        more = {} if reason is None else {"reason": reason.value}
        if number != _NO_CARD:
            await self._event(kind, cardNumber=number, socialSecurityNumber=self._number, **more)

    async def wait(self, days: int) -> None:
        self.now += days * DAY
        self.told.append(f"{days} days")
        await expire_losses(JobContext(self.office.database, self._dependencies, self.now))

    async def deliver(self) -> None:
        """All messages on orders, each until it is settled or dead."""
        for _ in range(MOST_STEPS):
            claimed = await self.office.database.write(
                partial(
                    outbox.claim,
                    vault=self._dependencies.vault,
                    subject_id=self._citizen_id,
                    kinds=[MessageKind.ISSUER_ORDER],
                    now=self.now,
                )
            )
            if not claimed:
                return
            for message in claimed:
                await self._delivery().deliver(message)

    async def a_week_of_silence(self) -> None:
        """The card issuer answers nobody for longer than a message lives."""
        for path in _PATHS:
            self._fault(path, "BUSY", _WEEK_OF_SILENCE)
        for _ in range(9):
            self.now += DAY
            await self.deliver()
        self._issuer_is_itself()
        self.told.append("issuer: nine days of silence")

    def _issuer_is_itself(self) -> None:
        """Without faults; and the circuit, whose pauses are in real time, closed."""
        for path in _PATHS:
            self.office.world.delete(faults.FAULTS, f"issuer{path}")
        partners = build_partners(self._dependencies.settings, self.office.http)
        self.office.dependencies = replace(self._dependencies, partners=partners)

    def reject_next(self, path: str) -> None:
        self._fault(path, "REJECTED", 1)
        self.told.append(f"issuer rejects the next {path}")

    def _fault(self, path: str, kind: str, times: int) -> None:
        asked = {"partner": "issuer", "path": path, "fault": kind, "times": times}
        self.office.world.put(faults.FAULTS, f"issuer{path}", asked | {"code": "SAMPLE"})

    # --- the way out -----------------------------------------------------------------------

    async def way_out(self) -> str:
        """`CARD`, or the desk that was needed."""
        self._issuer_is_itself()
        desk = "CARD"
        for _ in range(MOST_STEPS):
            self.now += 10 * MINUTE
            await self.deliver()
            holder, order = await self.holder(), await self.order()
            card = holder.current
            if holder.citizen.deceased_at is not None:
                desk = await self._at_desk_after_death()
            elif card is not None and card.state is CardState.ACTIVE:
                self.office.seen[desk] += 1
                return desk
            else:
                desk = await self._step(holder, card, order) or desk
        raise DeadEnd(self._story("no end in sight"))

    async def _step(
        self, holder: Holder, card: Card | None, order: ProductionOrder | None
    ) -> str | None:
        """What the citizen does as the pages show it; or the desk, where nothing else is left."""
        if card is not None and card.state is CardState.SEALED:
            await self._must(self.activate)
        elif (card is not None and not card.is_lost) or (
            card is not None and card.state is CardState.TEMPORARILY_LOST
        ):
            await self._must(self.report_loss)
        elif holder.application is None or (card is not None and holder.is_made(card)):
            await self._must(self.apply if card is None else self.reissue)
        else:
            assert order is not None
            return await self._go_on(order)
        return None

    async def _go_on(self, order: ProductionOrder) -> str | None:
        """With an order that is open."""
        state = order.current
        if order.pending_change is not None:
            raise DeadEnd(self._story(f"{order.pending_change} is never answered"))
        if state is not None and state.result is NodeResult.NEEDS_CORRECTION:
            await self._must(self.correct)
        elif self._issuers_order()[1] is None or (state and state.result is NodeResult.FAILED):
            if not order.may_be_changed(OrderChange.CANCELLATION):
                return await self._at_desk_of_failed(order)
            await self._must(self.cancel_application)
        else:
            await self.issuer_reports(NodeResult.DONE)
        return None

    async def _at_desk_of_failed(self, order: ProductionOrder) -> str:
        state = order.current
        if state is None or state.result is not NodeResult.FAILED:
            raise DeadEnd(self._story("the card issuer does not know of the order"))
        if state.node.position < ProductionNode.MANUFACTURE.position:
            raise DeadEnd(self._story("a failure before manufacture needs no desk"))
        told = failures.sentence(state.node, state.result, state.reason)
        if told is None or DESKS[FAILED] not in told.zh:
            raise DeadEnd(self._story("no desk is named"))
        command = CloseOrder(order.application.number, CloseReason.CANNOT_BE_MADE, "desk")
        await self._perform(lambda unit: close_order(unit, command), None)
        self.told.append("desk: close-order")
        return FAILED

    async def _at_desk_after_death(self) -> str:
        if DESKS[DEATH] not in CitizenDeceased.text.zh:
            raise DeadEnd(self._story("no desk is named"))
        command = CorrectDeath(self._number, "desk")
        await self._perform(lambda unit: correct_death(unit, command), None)
        self.told.append("desk: correct-death")
        return DEATH

    async def _must(self, act: Callable[[], Awaitable[None]]) -> None:
        before = len(self.told)
        await act()
        if self.told[before:] and "refused" in self.told[-1]:
            raise DeadEnd(self._story("the way that was left is refused"))

    def _story(self, why: str) -> str:
        return f"{why}, after " + " · ".join(self.told)

    # --- reading and doing -----------------------------------------------------------------

    @property
    def _dependencies(self) -> Dependencies:
        return self.office.dependencies

    async def holder(self) -> Holder:
        database, vault = self.office.database, self._dependencies.vault
        return await holders.find(database, vault, self.now, self._citizen_id)

    async def order(self) -> ProductionOrder | None:
        found = await orders.latest_progress(
            self.office.database, self._dependencies.vault, self._citizen_id
        )
        return None if found is None else found.order

    async def _application(self) -> str:
        order = await self.order()
        return "SBK1" if order is None else order.application.number

    async def _card_number(self) -> str:
        card = (await self.holder()).current
        return _NO_CARD if card is None else card.number.reveal()

    def _issuers_order(self) -> tuple[str, dict[str, Any] | None]:
        """The newest order of the citizen that the card issuer has not finished or ended."""
        for order in reversed(self._orders_at_issuer()):
            if not order["closed"] and len(order["done"]) < len(issuer.NODES):
                return order["orderNumber"], order
        return "", None

    def _orders_at_issuer(self) -> list[dict[str, Any]]:
        found = (self.office.world.get(issuer.ORDERS, number) for number in self._applications)
        return [order for order in found if order is not None]

    async def _event(self, kind: str, **facts: Any) -> None:
        self.now += MINUTE
        event = {
            "id": f"{self._citizen_id}-{len(self.told)}",
            "type": kind,
            "at": moment(self.now).isoformat(),
        }
        found = msgspec.convert(event | facts, IssuerEvent)
        (outcome,) = await self._perform(lambda unit: apply_issuer_events(unit, [found]), None)
        self.told.append(
            f"issuer: {kind} {facts.get('node', '')} {facts.get('result', '')}"
            f" {facts.get('reason', '')} {outcome.value}"
        )

    async def _code(self, purpose: VerificationPurpose) -> str:
        """Sent to the phone on file; the limits of codes are another test's matter."""
        self.now += 2 * MINUTE
        await self.office.database.write(_forget_quotas)
        command = SendVerificationCode(purpose, self._phone)
        try:
            await self._perform(lambda unit: send_verification_code(unit, command), self._caller)
        except Refusal:
            return "000000"
        rows = await self.office.database.fetch(_MESSAGES, subject_id=self._citizen_id)
        newest = max(rows, key=lambda row: int(row["id"]))
        vault = self._dependencies.vault
        sent = orjson.loads(
            vault.open_bytes(bytes(newest["payload"]), "outbox.payload", newest["id"])
        )
        return str(sent["code"])

    async def _do(self, service: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        self.now += MINUTE
        name = service.__name__
        try:
            await self._perform(lambda unit: service(unit, *arguments), self._caller)
            self.told.append(name)
        except Refusal as refusal:
            self.told.append(f"{name} refused: {refusal.code}")
        await self._note_application()

    async def _note_application(self) -> None:
        order = await self.order()
        if order is not None and order.application.number not in self._applications:
            self._applications.append(order.application.number)

    @property
    def _caller(self) -> Caller:
        return Caller(
            ChannelId.UNIONPAY, self._citizen_id, self._citizen_id, b"", RealNameLevel.PLATFORM
        )

    async def _perform(self, work: Callable[[UnitOfWork], Any], caller: Caller | None) -> Any:
        def new_unit(reader: Reader) -> UnitOfWork:
            return UnitOfWork(reader, self.now, caller, self._dependencies)

        async def service(unit: UnitOfWork) -> Any:
            result = work(unit)
            return await result if isinstance(result, Awaitable) else result

        _, result = await perform(self.office.database, new_unit, service)
        return result

    def _delivery(self) -> Delivery:
        return Delivery(
            self.office.database,
            self._dependencies,
            {},
            lambda: self.now,
            lambda _: None,
            lambda _: None,
        )

    async def _keep_pictures(self) -> None:
        """Portrait and both sides of the ID card, without the time that processing takes."""
        self.now += 6 * MINUTE
        owner, now = self._citizen_id, self.now
        name = await self.office.picture_of(owner)

        def add(unit: UnitOfWork) -> None:
            for kind in (PictureKind.PORTRAIT, PictureKind.PORTRAIT_SIDE, PictureKind.EMBLEM_SIDE):
                pictures.add(
                    unit.writes,
                    now,
                    citizen_id=owner,
                    kind=kind,
                    object_name=name,
                    size=9,
                )

        async def confirm(unit: UnitOfWork) -> None:
            for picture in (await pictures.latest(unit.db, owner)).values():
                pictures.confirm(unit.writes, picture, now)

        await self._perform(add, None)
        await self._perform(confirm, None)

    def _form(self) -> FilledForm:
        number = self._number
        return FilledForm(
            postal_code="610000",
            education_code="10",
            occupation_code="20000",
            bank_code="SAMPLE-ICBC",
            financial_withholding=False,
            pickup_method="OUTLET",
            district_code=OUTLET[0],
            outlet_code=OUTLET[1],
            phone=self._phone,
            nationality_code="CHN",
            id_document_type="01",
            id_issuer="成都市公安局",
            id_number=number,
            id_valid_until="LONG_TERM",
            name=self._name,
            gender_code="1" if int(number[16]) % 2 else "2",
            ethnicity_code="01",
            birth_date=number[6:14],
        )


class Lives(RuleBasedStateMachine):
    """What may happen to a citizen, in any order; at the end there is a way out."""

    runner: asyncio.Runner
    office: Office

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(self.office)
        self._run(self.life.begin())

    def teardown(self) -> None:
        self._run(self.life.way_out())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(begins=st.sampled_from(("with nothing", "applying", "with a card", "reissuing")))
    def begin(self, begins: str) -> None:
        if begins == "with nothing":
            return
        self.apply()
        if begins == "applying":
            return
        self.issuer_goes_on(len(issuer.NODES))
        self.activate()
        if begins == "reissuing":
            self.report_loss()
            self.reissue()

    @rule()
    def apply(self) -> None:
        self._run(self.life.apply())

    @rule()
    def reissue(self) -> None:
        self._run(self.life.reissue())

    @rule()
    def report_loss(self) -> None:
        self._run(self.life.report_loss())

    @rule()
    def cancel_loss(self) -> None:
        self._run(self.life.cancel_loss())

    @rule()
    def activate(self) -> None:
        self._run(self.life.activate())

    @rule()
    def cancel_application(self) -> None:
        self._run(self.life.cancel_application())

    @rule()
    def change_outlet(self) -> None:
        self._run(self.life.change_outlet())

    @rule()
    def correct(self) -> None:
        self._run(self.life.correct())

    @rule()
    def deliver(self) -> None:
        self._run(self.life.deliver())

    @rule(days=st.integers(1, 8))
    def wait(self, days: int) -> None:
        self._run(self.life.wait(days))

    @rule()
    def a_week_of_silence(self) -> None:
        self._run(self.life.a_week_of_silence())

    @rule(path=st.sampled_from(_PATHS))
    def reject_next(self, path: str) -> None:
        self.life.reject_next(path)

    @rule(result=st.sampled_from((NodeResult.DONE, NodeResult.FAILED, NodeResult.IN_PROGRESS)))
    def issuer_reports(self, result: NodeResult) -> None:
        self._run(self.life.issuer_reports(result))

    @rule(nodes=st.integers(1, 6))
    def issuer_goes_on(self, nodes: int) -> None:
        self._run(self.life.deliver())
        for _ in range(nodes):
            self._run(self.life.issuer_reports(NodeResult.DONE))

    @rule(nodes=st.integers(0, 5))
    def production_fails(self, nodes: int) -> None:
        self.issuer_goes_on(nodes)
        self.issuer_reports(NodeResult.FAILED)

    @rule(what=st.sets(st.sampled_from(Correction), min_size=1, max_size=3))
    def issuer_asks(self, what: set[Correction]) -> None:
        self._run(self.life.issuer_reports(NodeResult.NEEDS_CORRECTION, tuple(sorted(what))))

    @rule(reason=st.sampled_from(sorted(REPORTED)))
    def issuer_closes(self, reason: CloseReason) -> None:
        self._run(self.life.issuer_closes(reason))

    @rule(kind=st.sampled_from(("TEMPORARY_LOSS", "LOCK", "UNLOCK", "ACTIVATE")))
    def card_event(self, kind: str) -> None:
        self._run(self.life.card_event(kind))

    @rule(reason=st.sampled_from((None, *sorted(REPORTED))))
    def card_cancelled(self, reason: CloseReason | None) -> None:
        self._run(self.life.card_event("CANCEL", reason))


def live(url: str, lives: int, *, steps: int = 12, chance: int | None = None) -> Counter[str]:
    """How many lives ended where. Raises `DeadEnd`; `url` is of a migrated database, `chance` a seed."""
    many = settings(
        max_examples=lives,
        stateful_step_count=steps,
        derandomize=chance is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
        report_multiple_bugs=False,
    )
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        inside = contextlib.AsyncExitStack()
        shared = runner.run(inside.enter_async_context(office(url, Path(folder))))
        kind = type("Lives", (Lives,), {"runner": runner, "office": shared})
        try:
            run_state_machine_as_test(kind if chance is None else seed(chance)(kind), settings=many)
        finally:
            runner.run(inside.aclose())
    return shared.seen
