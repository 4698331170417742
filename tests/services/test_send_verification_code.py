"""获取验证码 send verification code, and the rules of codes, through HTTP."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

import time_machine

from core.messaging import VerificationPurpose
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    NEW_PHONE,
    english,
    fault,
    history,
    later,
    other_than,
    problems,
    reissue_of,
)


async def test_sends_a_code_to_the_bound_phone(world: World, active: FrontEnd) -> None:
    answer = await active.send_code("REPORT_LOSS")

    assert answer["__typename"] == "VerificationCodeSent"
    assert (answer["maskedPhone"], answer["resendAfter"]) == ("199****1001", 60)
    assert 295 < datetime.fromisoformat(answer["expiresAt"]).timestamp() - time.time() <= 300
    sms = (await active.inbox())[0]
    assert re.fullmatch(r"[0-9]{6}", sms["code"])
    assert (
        sms["text"]
        == f"【成都人社】{sms['code']} 是您办理社会保障卡挂失的验证码，5 分钟内有效。请勿告知他人。"
    )
    assert (await history(world, active.person))[-1] == "SEND_CODE"


async def test_keeps_a_code_only_as_a_keyed_hash(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")

    stored = await world.rows("verification_codes", "outbox")

    assert code not in repr(stored)
    assert active.person.phone not in repr(stored)


async def test_refuses_what_is_no_mobile_number(active: FrontEnd) -> None:
    malformed = ["1990000100", "12900001001", "１９９００００１００", "+8219900001001"]

    empty = await active.do("sendVerificationCode", purpose="REPORT_LOSS", phone="")
    answers = [
        await active.do("sendVerificationCode", purpose="REPORT_LOSS", phone=phone)
        for phone in malformed
    ]

    assert fault(empty) == ("REQUIRED", "phone")
    assert [fault(answer) for answer in answers] == [("INVALID_FORMAT", "phone")] * 4
    assert problems(answers[0]) == [("phone", "INVALID_FORMAT")]


async def test_refuses_a_phone_that_the_purpose_does_not_permit(
    world: World, active: FrontEnd
) -> None:
    stranger = PERSONAS["lost"].phone
    to_the_bound = {"ACTIVATE_CARD", "REPORT_LOSS", "CANCEL_LOSS", "TRANSFER_IN", "REISSUE_CARD"}
    before = await world.rows("verification_codes", "quotas", "outbox")

    refused = {purpose: await active.send_code(purpose, stranger) for purpose in to_the_bound}
    unchanged = await active.send_code("CHANGE_PHONE", active.person.phone)
    not_needed = await active.send_code("BIND_CARD")
    with english(active):
        in_english = await active.send_code("REPORT_LOSS", stranger)

    assert {fault(answer) for answer in refused.values()} == {("PHONE_NOT_BOUND", "phone")}
    assert fault(unchanged) == ("PHONE_UNCHANGED", "phone")
    assert fault(not_needed) == ("BINDING_NOT_NEEDED", None)
    assert (
        refused["REPORT_LOSS"]["message"]
        == "手机号码与您绑定的号码不一致，请输入已绑定的手机号码。"
        "绑定的号码已停用的，请先在「信息变更」中变更手机号码。"
    )
    assert in_english["message"].startswith("This is not your registered phone number")
    assert await world.rows("verification_codes", "quotas", "outbox") == before
    assert await active.inbox(stranger) == []


async def test_resends_after_sixty_seconds(world: World, active: FrontEnd) -> None:
    await active.send_code("REPORT_LOSS")
    before = await world.rows("verification_codes", "quotas")

    refused = await active.send_code("REPORT_LOSS")

    assert fault(refused) == ("TOO_MANY_CODES", None)
    assert 55 <= refused["retryAfter"] <= 60
    wait = "1 分钟" if refused["retryAfter"] == 60 else f"{refused['retryAfter']} 秒"
    assert refused["message"] == (
        f"获取验证码过于频繁，请 {wait}后再试。如社会保障卡已遗失，可拨打 12333 办理临时挂失。"
    )
    assert await world.rows("verification_codes", "quotas") == before
    assert (await active.send_code("CHANGE_PHONE", NEW_PHONE))["__typename"] != "Refusal"
    with later(seconds=61):
        assert (await active.send_code("REPORT_LOSS"))["__typename"] == "VerificationCodeSent"


async def test_a_wait_is_told_in_whole_seconds_rounded_up(world: World) -> None:
    with time_machine.travel(datetime(2035, 1, 15, tzinfo=UTC), tick=False) as clock:
        citizen = await world.enter("active")
        await citizen.send_code("REPORT_LOSS")
        clock.shift(timedelta(milliseconds=100))
        refused = await citizen.send_code("REPORT_LOSS")
        clock.shift(timedelta(seconds=refused["retryAfter"]))
        as_told = await citizen.send_code("REPORT_LOSS")

    assert refused["retryAfter"] == 60
    assert as_told["__typename"] == "VerificationCodeSent"


# --- what a code is good for: shown by 挂失 and its neighbours ---------------------------------


async def test_tells_how_many_tries_are_left_and_voids_the_code_with_the_fifth(
    world: World, active: FrontEnd
) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    before = await world.rows()

    wrong = [await active.do("reportLoss", phone=phone, code=other_than(code)) for _ in range(5)]
    right = await active.do("reportLoss", phone=phone, code=code)

    assert [fault(answer) for answer in wrong] == [("CODE_WRONG", "code")] * 4 + [
        ("CODE_VOID", "code")
    ]
    assert [answer["message"] for answer in wrong[:4]] == [
        f"验证码不正确，还可以再试 {left} 次。" for left in (4, 3, 2, 1)
    ]
    assert fault(right) == ("CODE_VOID", "code")
    assert await world.rows() == before
    with later(seconds=61):
        fresh = await active.code("REPORT_LOSS")
        assert (await active.do("reportLoss", phone=phone, code=fresh))["__typename"] == (
            "LossReported"
        )


async def test_counts_wrong_tries_that_arrive_together(active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    tries = (active.do("reportLoss", phone=phone, code=other_than(code)) for _ in range(8))

    answers = await asyncio.gather(*tries)

    assert sorted(answer["code"] for answer in answers) == ["CODE_VOID"] * 4 + ["CODE_WRONG"] * 4
    assert (await active.do("reportLoss", phone=phone, code=code))["code"] == "CODE_VOID"


async def test_takes_no_aliases_that_would_try_many_codes(active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    tries = " ".join(f"try{number}: reportLoss(input: $i) {{ {REFUSAL} }}" for number in range(6))

    response = await active.post(
        f"mutation($i: ReportLossInput!) {{ {tries} }}",
        {"i": {"phone": phone, "code": other_than(code)}},
    )

    assert response.json()["errors"][0]["extensions"] == {"code": "TOO_COMPLEX"}
    assert (await active.do("reportLoss", phone=phone, code=code))["__typename"] == "LossReported"


async def test_a_code_is_valid_for_five_minutes(world: World, active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    before = await world.rows()

    with later(minutes=5):
        answer = await active.do("reportLoss", phone=phone, code=code)

    assert fault(answer) == ("CODE_EXPIRED", "code")
    assert answer["message"] == "验证码已过期，请重新获取。"
    assert await world.rows() == before
    with later(minutes=4, seconds=50):
        assert (await active.do("reportLoss", phone=phone, code=code))["__typename"] == (
            "LossReported"
        )


async def test_a_code_is_not_sent_after_its_end(world: World, active: FrontEnd) -> None:
    """The provider is busy for five minutes; then it would take the message."""
    await fail_messages(world, "BUSY", times=99)
    await active.send_code("REPORT_LOSS")
    await fail_messages(world, "LOST_ANSWER", times=1)

    with later(minutes=5, seconds=1):
        await world.application.worker.deliver_due()

    assert await active.inbox() == []
    (row,) = (await world.rows("outbox"))["outbox"]
    assert "expired" in row


async def test_a_code_works_once(world: World, active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    await active.do("reportLoss", phone=phone, code=code)
    await active.do(
        "cancelLoss",
        phone=phone,
        cardNumber=active.person.card_number,
        code=await active.code("CANCEL_LOSS"),
    )
    before = await world.rows()

    answer = await active.do("reportLoss", phone=phone, code=code)

    assert fault(answer) == ("CODE_NOT_SENT", "code")
    assert answer["message"] == "请先获取验证码。"
    assert await world.rows() == before


async def test_a_code_works_for_its_purpose_alone(world: World) -> None:
    citizen = await world.enter("lost")
    phone, code = citizen.person.phone, await citizen.code("CANCEL_LOSS")
    before = await world.rows()

    answer = await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))

    assert fault(answer) == ("CODE_NOT_SENT", "code")
    assert await world.rows() == before
    cancelled = await citizen.do(
        "cancelLoss", phone=phone, cardNumber=citizen.person.card_number, code=code
    )
    assert cancelled["__typename"] == "LossCancelled"


async def test_a_code_works_for_its_phone_alone(world: World, active: FrontEnd) -> None:
    code = await active.code("CHANGE_PHONE", NEW_PHONE)
    before = await world.rows()

    answer = await active.do("changePhone", newPhone="19900009998", code=code)

    assert fault(answer) == ("CODE_NOT_SENT", "code")
    assert await world.rows() == before
    changed = await active.do("changePhone", newPhone=NEW_PHONE, code=code)
    assert changed["__typename"] == "PhoneChanged"


async def test_a_code_works_in_its_session_alone(world: World, active: FrontEnd) -> None:
    elsewhere = await world.enter("active", "PING_AN")
    phone, code = active.person.phone, await active.code("REPORT_LOSS")
    before = await world.rows()

    answer = await elsewhere.do("reportLoss", phone=phone, code=code)

    assert fault(answer) == ("CODE_NOT_SENT", "code")
    assert await world.rows() == before
    assert (await active.do("reportLoss", phone=phone, code=code))["__typename"] == "LossReported"


async def test_a_newer_code_replaces_the_older(active: FrontEnd) -> None:
    phone, older = active.person.phone, await active.code("REPORT_LOSS")
    with later(seconds=61):
        newer = await active.code("REPORT_LOSS")

        answer = await active.do("reportLoss", phone=phone, code=older)

        assert fault(answer) == ("CODE_WRONG", "code")
        reported = await active.do("reportLoss", phone=phone, code=newer)
        assert reported["__typename"] == "LossReported"


async def test_a_mistake_elsewhere_in_the_form_costs_no_code(active: FrontEnd) -> None:
    phone, code = active.person.phone, await active.code("REPORT_LOSS")

    mistakes = [
        await active.do("reportLoss", phone=PERSONAS["lost"].phone, code=code) for _ in range(6)
    ]

    assert {fault(answer) for answer in mistakes} == {("PHONE_NOT_BOUND", "phone")}
    assert (await active.do("reportLoss", phone=phone, code=code))["__typename"] == "LossReported"


async def test_offers_the_eight_purposes_of_the_contract() -> None:
    assert {purpose.value for purpose in VerificationPurpose} == {
        "BIND_CARD",
        "APPLY_CARD",
        "ACTIVATE_CARD",
        "REPORT_LOSS",
        "CANCEL_LOSS",
        "CHANGE_PHONE",
        "TRANSFER_IN",
        "REISSUE_CARD",
    }


async def fail_messages(world: World, kind: str, times: int) -> None:
    given = {"partner": "sms", "path": "/messages", "fault": kind, "times": times}
    response = await world.http.post("/sandbox/partners/fault", json=given)
    assert response.status_code == 200, response.text
