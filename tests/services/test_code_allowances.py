"""How many verification codes are sent: nobody uses up another's, and an owner can always report a loss."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.kernel.settings import Settings
from core.messaging import worker
from core.messaging.allowances import SHARES
from sandbox.personas import PERSONAS
from tests.conftest import ADDRESS, running
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import NEW_PHONE, english, fault, history, later, other_than

COUNTED = ("quotas", "verification_codes", "outbox")
BY_PHONE = "如社会保障卡已遗失，可拨打 12333 办理临时挂失。"
SENT, TOO_MANY = "VerificationCodeSent", ("TOO_MANY_CODES", None)


class Networks:
    """The application, asked from several addresses."""

    def __init__(self, world: World, app: Any) -> None:
        self.world = world
        self._app = app
        self._open: list[httpx.AsyncClient] = []

    def front_end(self, persona: str, channel: str, address: str = "127.0.0.1") -> FrontEnd:
        transport = httpx.ASGITransport(self._app, client=(address, 1))
        http = httpx.AsyncClient(transport=transport, base_url=ADDRESS)
        self._open.append(http)
        return FrontEnd(http, channel, PERSONAS[persona])

    async def stranger(self, persona: str, address: str = "127.0.0.1") -> FrontEnd:
        """Signed in through WeChat, and not bound."""
        citizen = self.front_end(persona, "WECHAT", address)
        await citizen.sign_in()
        return citizen

    async def owner(self, persona: str, address: str = "127.0.0.1") -> FrontEnd:
        return await self.front_end(persona, "UNIONPAY", address).enter()

    async def close(self) -> None:
        for http in self._open:
            await http.aclose()


@pytest.fixture(autouse=True)
def patience_with_the_sms_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are not about how long it may take."""
    monkeypatch.setattr(worker, "SECONDS_TO_ANSWER", 20.0)


@asynccontextmanager
async def gateway(settings: Settings, **given: int) -> AsyncIterator[Networks]:
    async with running(replace(settings, **given)) as app:  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            networks = Networks(World(http, app.state.application), app)
            try:
                yield networks
            finally:
                await networks.close()


async def send_all(citizen: FrontEnd, purposes: Iterable[str], phone: str | None = None) -> None:
    for purpose in purposes:
        answer = await citizen.send_code(purpose, phone)
        assert answer["__typename"] == SENT, (purpose, answer)


async def must_be_refused(networks: Networks, citizen: FrontEnd, *given: Any) -> dict[str, Any]:
    await networks.world.application.worker.drained()
    before = await networks.world.rows(*COUNTED)
    refused = await citizen.send_code(*given)
    assert fault(refused) == TOO_MANY
    assert await networks.world.rows(*COUNTED) == before
    return refused


async def codes_in_inbox(citizen: FrontEnd) -> int:
    return sum(message["code"] is not None for message in await citizen.inbox())


# --- the owner ---------------------------------------------------------------------------------


async def test_an_owner_gets_codes_for_every_service_at_once(active: FrontEnd) -> None:
    await send_all(active, ("CANCEL_LOSS", "ACTIVATE_CARD", "TRANSFER_IN", "REISSUE_CARD"))
    await send_all(active, ("APPLY_CARD", "REPORT_LOSS"))


async def test_what_strangers_send_takes_nothing_from_the_owner(settings: Settings) -> None:
    async with gateway(settings) as networks:
        phone = PERSONAS["active"].phone
        strangers = [await networks.stranger(persona) for persona in ("lost", "locked", "sealed")]
        for minutes, stranger in enumerate(strangers):
            with later(minutes=2 * minutes):
                await send_all(stranger, ["BIND_CARD"], phone)
        with later(minutes=6):
            another = await networks.owner("lost")
            told = await must_be_refused(networks, another, "CHANGE_PHONE", phone)
            owner = await networks.owner("active")
            await send_all(owner, ("REPORT_LOSS", "APPLY_CARD", "CANCEL_LOSS"))

    assert 3_200 < told["retryAfter"] <= 3_240


async def test_nothing_else_uses_up_what_there_is_for_report_loss(settings: Settings) -> None:
    async with gateway(settings, codes_own_hour=2, codes_for_loss_hour=2) as networks:
        owner = await networks.owner("active")
        await send_all(owner, ("CANCEL_LOSS", "ACTIVATE_CARD"))

        other = await must_be_refused(networks, owner, "TRANSFER_IN")
        await send_all(owner, ["REPORT_LOSS"])
        with later(minutes=2):
            await send_all(owner, ["REPORT_LOSS"])
        with later(minutes=4):
            third = await must_be_refused(networks, owner, "REPORT_LOSS")
            with english(owner):
                in_english = await owner.send_code("REPORT_LOSS")

    assert "12333" not in other["message"]
    assert third["message"].endswith(f"后再试。{BY_PHONE}")
    assert in_english["message"].endswith("you can report a temporary loss by calling 12333.")


async def test_an_owner_has_so_many_an_hour_and_a_day(settings: Settings) -> None:
    async with gateway(settings, codes_own_hour=2, codes_own_day=3) as networks:
        started, purposes = time.time(), ("CANCEL_LOSS", "ACTIVATE_CARD")
        owner = await networks.owner("active")
        await send_all(owner, purposes)
        elsewhere = await networks.front_end("active", "PING_AN").enter()

        in_the_hour = await must_be_refused(networks, elsewhere, "TRANSFER_IN")
        with later(minutes=61):
            await owner.sign_in()
            await send_all(owner, ["TRANSFER_IN"])
            on_the_day = await must_be_refused(networks, owner, "REISSUE_CARD")
        with later(hours=24, seconds=10):
            await owner.sign_in()
            await send_all(owner, ["REISSUE_CARD"])

    assert 3_580 <= in_the_hour["retryAfter"] <= 3_600
    assert abs(on_the_day["retryAfter"] - (started + 86_400 - 3_660 - time.time())) < 30


# --- everybody else ----------------------------------------------------------------------------


async def test_a_number_gets_three_an_hour_and_five_a_day_from_strangers(
    settings: Settings,
) -> None:
    async with gateway(settings) as networks:
        sent = []
        for minutes, persona in enumerate(PERSONAS):
            with later(minutes=minutes * 13):
                stranger = await networks.stranger(persona)
                answer = await stranger.send_code("BIND_CARD", NEW_PHONE)
                sent.append(answer["__typename"] == SENT)
        with later(hours=24, minutes=1):
            await send_all(await networks.stranger("active"), ["BIND_CARD"], NEW_PHONE)

    assert sent[:7] == [True] * 3 + [False] * 2 + [True] * 2
    assert sum(sent) == 5


async def test_strangers_wait_a_minute_for_a_number_together(settings: Settings) -> None:
    async with gateway(settings) as networks:
        await send_all(await networks.stranger("lost"), ["BIND_CARD"], NEW_PHONE)
        owner = await networks.owner("active")

        refused = await must_be_refused(networks, owner, "CHANGE_PHONE", NEW_PHONE)
        with later(seconds=61):
            await send_all(owner, ["CHANGE_PHONE"], NEW_PHONE)

    assert 50 <= refused["retryAfter"] <= 60


async def test_a_new_session_of_an_account_is_no_fresh_start(settings: Settings) -> None:
    async with gateway(settings, codes_per_account_hour=2) as networks:
        for number in range(2):
            again = await networks.stranger("active")
            await send_all(again, ["BIND_CARD"], f"1991234000{number}")

        third = await networks.stranger("active")
        await must_be_refused(networks, third, "BIND_CARD", "19912340002")
        await send_all(await networks.stranger("lost"), ["BIND_CARD"], "19912340002")


async def test_another_address_of_an_ipv6_customer_is_no_fresh_start(settings: Settings) -> None:
    async with gateway(settings, codes_per_address_hour=1) as networks:
        first = await networks.stranger("active", "2001:db8:0:1::1")
        same = await networks.stranger("sealed", "2001:db8:0:1:ffff::2")
        other = await networks.stranger("lost", "2001:db8:0:2::1")
        await send_all(first, ["BIND_CARD"], "19912340000")

        await must_be_refused(networks, same, "BIND_CARD", "19912340001")
        await send_all(other, ["BIND_CARD"], "19912340001")
        owner = await networks.owner("locked", "2001:db8:0:1::1")
        await send_all(owner, ("REPORT_LOSS", "REISSUE_CARD"))


async def test_the_share_of_all_is_refused_by_suspicion(settings: Settings) -> None:
    """Of four codes an hour, whoever has had one already gets the fourth for nobody else."""
    async with gateway(settings, codes_in_all_hour=4 * SHARES) as networks:
        greedy = await networks.stranger("lost")
        await send_all(greedy, ["BIND_CARD"], "19912340000")
        for number in (1, 2):
            await send_all(greedy, ["BIND_CARD"], f"1991234000{number}")

        await must_be_refused(networks, greedy, "BIND_CARD", "19912340003")
        await send_all(await networks.stranger("active"), ["BIND_CARD"], "19912340003")
        full = await networks.stranger("locked")
        await must_be_refused(networks, full, "BIND_CARD", "19912340004")
        elsewhere = await networks.stranger("locked", "203.0.113.7")
        await send_all(elsewhere, ["BIND_CARD"], "19912340004")
        await send_all(await networks.owner("sealed"), ("REPORT_LOSS", "ACTIVATE_CARD"))
        with later(minutes=62):
            await send_all(await networks.stranger("locked"), ["BIND_CARD"], "19912340005")


# --- wrong codes -------------------------------------------------------------------------------


async def test_wrong_codes_of_a_citizen_count_over_all_phones(settings: Settings) -> None:
    async with gateway(settings, wrong_codes_per_account_hour=6) as networks:
        owner = await networks.owner("active")
        first = await owner.code("CHANGE_PHONE", "19912340000")
        second = await owner.code("CHANGE_PHONE", "19912340001")
        for _ in range(5):
            await owner.do("changePhone", newPhone="19912340000", code=other_than(first))
        await owner.do("changePhone", newPhone="19912340001", code=other_than(second))
        before = await networks.world.rows()

        right = await owner.do("changePhone", newPhone="19912340001", code=second)
        assert await networks.world.rows() == before
        reported = await owner.do(
            "reportLoss", phone=owner.person.phone, code=await owner.code("REPORT_LOSS")
        )

        assert fault(right) == ("TOO_MANY_TRIES", "code")
        assert 0 < right["retryAfter"] <= 3_900
        assert "028-12333" in right["message"]
        assert reported["__typename"] == "LossReported"
        with later(minutes=66):
            await owner.sign_in()
            again = await owner.code("CHANGE_PHONE", "19912340001")
            changed = await owner.do("changePhone", newPhone="19912340001", code=again)
    assert changed["__typename"] == "PhoneChanged"


async def test_wrong_codes_for_report_loss_name_the_other_way(settings: Settings) -> None:
    async with gateway(settings, wrong_codes_per_account_hour=5) as networks:
        owner = await networks.owner("active")
        given = {"phone": owner.person.phone, "code": await owner.code("REPORT_LOSS")}
        wrong = given | {"code": other_than(given["code"])}
        before = await networks.world.rows()

        tries = [await owner.do("reportLoss", **wrong) for _ in range(5)]
        too_many = await owner.do("reportLoss", **given)

        assert await networks.world.rows() == before
    assert fault(tries[4]) == ("CODE_VOID", "code")
    assert tries[4]["message"].endswith(BY_PHONE)
    assert fault(too_many) == ("TOO_MANY_TRIES", "code")
    assert too_many["message"].endswith(BY_PHONE)


async def test_wrong_codes_of_a_network_count_over_all_phones_and_accounts(
    settings: Settings,
) -> None:
    async with gateway(settings, wrong_codes_per_address_hour=2) as networks:
        one, other = await networks.stranger("active"), await networks.stranger("lost")
        outside = await networks.stranger("sealed", "203.0.113.7")
        codes = {
            citizen.person.id: await citizen.code("BIND_CARD") for citizen in (one, other, outside)
        }
        wrong = [await one.bind(other_than(codes["active"])) for _ in range(3)]
        before = await networks.world.rows("bindings", "citizens", *COUNTED)

        void = await one.bind(codes["active"])
        no_more = await must_be_refused(networks, one, "BIND_CARD", "19912340000")
        assert await networks.world.rows("bindings", "citizens") == {
            name: before[name] for name in ("bindings", "citizens")
        }
        right = await other.bind(codes["lost"])
        elsewhere = [
            await outside.bind(other_than(codes["sealed"])),
            await outside.bind(codes["sealed"]),
        ]
        await send_all(await networks.owner("locked"), ("REPORT_LOSS", "REISSUE_CARD"))

    assert [answer["code"] for answer in wrong] == ["CODE_WRONG", "CODE_WRONG", "CODE_VOID"]
    assert fault(void) == ("CODE_VOID", "code")
    assert 3_500 < no_more["retryAfter"] <= 3_660
    assert right["__typename"] == "CardBound"
    assert [answer["__typename"] for answer in elsewhere] == ["Refusal", "CardBound"]


async def test_attempts_to_bind_count_by_account(settings: Settings) -> None:
    async with gateway(settings, bindings_per_account_hour=2) as networks:
        citizen = await networks.stranger("active")
        code = await citizen.code("BIND_CARD")
        for _ in range(2):
            assert (await citizen.bind(code, name="张三丰"))["code"] == "IDENTITY_NOT_CONFIRMED"
        again = await networks.stranger("active")
        before = await networks.world.rows()

        refused = await again.bind("123456")

        assert fault(refused) == ("TOO_MANY_TRIES", None)
        assert await networks.world.rows() == before
        another = await networks.stranger("lost")
        bound = await another.bind(await another.code("BIND_CARD"))
    assert bound["__typename"] == "CardBound"


# --- an SMS that the gateway rejects ----------------------------------------------------------------


async def reject(world: World, kind: str = "REJECTED", times: int = 1) -> None:
    given = {"partner": "sms", "path": "/messages", "fault": kind, "times": times}
    assert (await world.http.post("/sandbox/partners/fault", json=given)).status_code == 200


async def test_a_rejected_sms_is_told_at_once_and_does_not_count(
    world: World, active: FrontEnd
) -> None:
    before = await world.rows("verification_codes")
    await reject(world)

    refused = await active.send_code("REPORT_LOSS")
    at_once = await active.send_code("REPORT_LOSS")

    assert fault(refused) == ("SMS_REFUSED", "phone")
    assert refused["retryAfter"] is None
    assert refused["message"] == (
        "验证码未能发出：短信网关未受理发往该号码的短信。请核对手机号码后重试，或咨询您的运营商。"
        + BY_PHONE
    )
    assert before == {"verification_codes": []}
    assert at_once["__typename"] == SENT
    assert len((await world.rows("verification_codes"))["verification_codes"]) == 1
    assert (await history(world, active.person))[-3:] == [
        "SEND_CODE",
        "SEND_CODE SMS_REFUSED",
        "SEND_CODE",
    ]
    assert await codes_in_inbox(active) == 1


async def test_rejected_sms_use_up_no_allowance(settings: Settings) -> None:
    async with gateway(settings, codes_per_account_hour=2) as networks:
        stranger = await networks.stranger("active")
        await reject(networks.world, times=4)
        refused = [await stranger.send_code("BIND_CARD", NEW_PHONE) for _ in range(4)]

        await send_all(stranger, ["BIND_CARD"], NEW_PHONE)
        await send_all(stranger, ["BIND_CARD"], "19912340000")
        await must_be_refused(networks, stranger, "BIND_CARD", "19912340001")

    assert {answer["code"] for answer in refused} == {"SMS_REFUSED"}
    assert {"12333" in answer["message"] for answer in refused} == {False}


async def test_a_rejected_sms_says_nothing_about_who_exists(world: World) -> None:
    stranger = await world.front_end("active", "WECHAT").sign_in()
    assert stranger["viewer"]["bound"] is False
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    answers = []
    for phone in (PERSONAS["lost"].phone, "19912340000"):
        await reject(world)
        answers.append(await citizen.send_code("BIND_CARD", phone))
        with later(minutes=2):
            answers.append(await citizen.send_code("BIND_CARD", phone))

    assert answers[0] == answers[2]
    assert answers[1]["__typename"] == answers[3]["__typename"] == SENT


async def test_a_repeated_request_after_a_rejected_sms_is_a_new_one(
    world: World, active: FrontEnd
) -> None:
    document = (
        "mutation($i: SendVerificationCodeInput!) {"
        f" sendVerificationCode(input: $i) {{ __typename {REFUSAL} }} }}"
    )
    given = {"i": {"purpose": "REPORT_LOSS", "phone": active.person.phone}}
    await reject(world)

    answers = [
        (await active.post(document, given, **{"Idempotency-Key": "a-key-of-this-request"})).json()
        for _ in range(3)
    ]

    kinds = [answer["data"]["sendVerificationCode"]["__typename"] for answer in answers]
    assert kinds == ["Refusal", SENT, SENT]
    assert await codes_in_inbox(active) == 1


@pytest.mark.parametrize("kind", ["BUSY", "LOST_ANSWER"])
async def test_a_gateway_that_does_not_say_no_is_no_refusal(
    world: World, active: FrontEnd, kind: str
) -> None:
    """The control: the code is being sent, and counts."""
    await reject(world, kind)

    answer = await active.send_code("REPORT_LOSS")
    again = await active.send_code("REPORT_LOSS")

    assert answer["__typename"] == SENT
    assert fault(again) == TOO_MANY
    with later(seconds=15):
        await world.application.worker.deliver_due()
    assert await codes_in_inbox(active) == 1


async def test_wrong_codes_count_after_their_code_is_over(settings: Settings) -> None:
    """The scheduled job marks a code as over ten minutes after its end; its attempts stay."""
    async with gateway(settings, wrong_codes_per_account_hour=5) as networks:
        owner = await networks.owner("active")
        first = await owner.code("CHANGE_PHONE", "19912340000")
        for _ in range(5):
            await owner.do("changePhone", newPhone="19912340000", code=other_than(first))
        with later(minutes=20):
            await networks.world.application.scheduler.run_due()
            code = await owner.code("CHANGE_PHONE", "19912340001")
            refused = await owner.do("changePhone", newPhone="19912340001", code=code)

    assert fault(refused) == ("TOO_MANY_TRIES", "code")
