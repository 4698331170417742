"""`Idempotency-Key`: the same request again has the first answer and no second effect."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from core.citizens import sessions_table
from core.db import Query, Transaction
from tests.front_end import REFUSAL, FrontEnd, World

REPORT_LOSS = (
    "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename"
    f" ... on LossReported {{ card {{ state cardNumber }} }} {REFUSAL} }} }}"
)
CHANGE_CONTACT = (
    "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename"
    f" ... on ContactChanged {{ at }} {REFUSAL} }} }}"
)
BIND_CARD = (
    "mutation($i: BindCardInput!) { bindCard(input: $i) { __typename"
    f" ... on CardBound {{ token }} {REFUSAL} }} }}"
)
NOW = datetime(2026, 1, 15, 4, 0, tzinfo=UTC)


async def send(citizen: FrontEnd, document: str, key: str, **given: Any) -> Any:
    response = await citizen.post(document, {"i": given}, **{"Idempotency-Key": key})
    return response.json()


async def report_loss(citizen: FrontEnd, key: str, code: str) -> Any:
    return await send(citizen, REPORT_LOSS, key, phone=citizen.person.phone, code=code)


async def effects(world: World) -> dict[str, int]:
    rows = await world.rows("audit_entries", "outbox")
    return {
        "audit": sum(1 for row in rows["audit_entries"] if row[3] == "REPORT_LOSS"),
        "outbox": len(rows["outbox"]),
    }


async def effect_of_one(world: World) -> int:
    """How much one report of a loss puts into the outbox."""
    citizen = await world.enter("temporarily-lost")
    code = await citizen.code("REPORT_LOSS")
    before = await effects(world)
    await report_loss(citizen, "alone", code)
    return (await effects(world))["outbox"] - before["outbox"]


async def test_the_same_request_again_has_the_first_answer(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")
    first = await report_loss(active, "key-1", code)
    await active.inbox()
    before = (await effects(world), await world.rows())

    again = await report_loss(active, "key-1", code)

    assert first["data"]["reportLoss"]["__typename"] == "LossReported"
    assert again == first
    assert (await effects(world), await world.rows()) == before


async def test_twenty_at_once_have_one_effect_and_one_answer(
    world: World, active: FrontEnd
) -> None:
    alone = await effect_of_one(world)
    code = await active.code("REPORT_LOSS")
    before = await effects(world)

    answers = await asyncio.gather(*(report_loss(active, "key-1", code) for _ in range(20)))

    assert answers[0]["data"]["reportLoss"]["__typename"] == "LossReported"
    assert answers == [answers[0]] * 20
    assert await effects(world) == {
        "audit": before["audit"] + 1,
        "outbox": before["outbox"] + alone,
    }


async def test_a_wrong_code_repeated_at_once_is_counted_once(
    world: World, active: FrontEnd
) -> None:
    code = await active.code("REPORT_LOSS")
    wrong = "000000" if code != "000000" else "111111"

    answers = await asyncio.gather(*(report_loss(active, "key-1", wrong) for _ in range(20)))
    once_more = await report_loss(active, "key-2", wrong)

    assert answers[0]["data"]["reportLoss"]["code"] == "CODE_WRONG"
    assert answers == [answers[0]] * 20
    assert "4" in answers[0]["data"]["reportLoss"]["message"]
    assert "3" in once_more["data"]["reportLoss"]["message"]


async def test_another_body_under_the_same_key_is_refused(world: World, active: FrontEnd) -> None:
    await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")
    before = await world.rows()

    answer = await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="610001")

    assert answer["data"]["changeContact"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await world.rows() == before


async def test_another_key_is_another_request(world: World, active: FrontEnd) -> None:
    await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")
    before = await world.rows("citizens")

    answer = await send(active, CHANGE_CONTACT, "key-2", residentialPostalCode="610000")

    assert answer["data"]["changeContact"]["__typename"] == "ContactChanged"
    assert await world.rows("citizens") != before


async def test_a_key_belongs_to_its_session(world: World, active: FrontEnd) -> None:
    other = await world.enter("lost")
    await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")

    answer = await send(other, CHANGE_CONTACT, "key-1", residentialPostalCode="610001")

    assert answer["data"]["changeContact"]["__typename"] == "ContactChanged"


async def test_a_refusal_that_did_nothing_does_not_use_the_key(
    world: World, active: FrontEnd
) -> None:
    refused = await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="61000")

    answer = await send(active, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")

    assert refused["data"]["changeContact"]["code"] == "INVALID_FORMAT"
    assert answer["data"]["changeContact"]["__typename"] == "ContactChanged"


async def test_after_24_hours_a_key_is_forgotten(world: World) -> None:
    """The session is lengthened by hand: none lives for a day."""
    with time_machine.travel(NOW, tick=True) as clock:
        citizen = await world.enter("active")
        await lengthen_sessions(world)
        first = await send(citizen, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")
        clock.move_to(NOW + timedelta(hours=23, minutes=59))
        within = await send(citizen, CHANGE_CONTACT, "key-1", residentialPostalCode="610000")
        clock.move_to(NOW + timedelta(hours=24, minutes=1))
        after = await send(citizen, CHANGE_CONTACT, "key-1", residentialPostalCode="610001")

    assert within == first
    assert after["data"]["changeContact"]["__typename"] == "ContactChanged"
    assert after != first


async def lengthen_sessions(world: World) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(Query(update(sessions_table).values(expires_at=2**53)))

    await world.application.database.write(job)


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_of_the_wrong_length_is_a_bad_request(
    world: World, active: FrontEnd, key: str
) -> None:
    before = await world.rows()

    response = await active.post(
        CHANGE_CONTACT, {"i": {"residentialPostalCode": "610000"}}, **{"Idempotency-Key": key}
    )

    assert response.status_code == 400
    assert await world.rows() == before


async def test_what_is_kept_of_an_answer_is_sealed(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")
    key = f"marked-{uuid.uuid4().hex}"

    await report_loss(active, key, code)

    kept = (await world.rows("idempotency_keys"))["idempotency_keys"]
    assert len(kept) == 1
    held = b"".join(bytes(value) for value in kept[0] if not isinstance(value, int))
    assert str(active.person.card_number).encode() not in held
    assert b"LOST" not in held
    assert key.encode() not in held


async def test_without_a_key_each_of_twenty_counts(world: World, active: FrontEnd) -> None:
    """The control: the same twenty at once, and the code is void."""
    code = await active.code("REPORT_LOSS")
    wrong = "000000" if code != "000000" else "111111"
    given = {"i": {"phone": active.person.phone, "code": wrong}}

    await asyncio.gather(*(active.post(REPORT_LOSS, given) for _ in range(20)))
    right = await report_loss(active, "key-1", code)

    assert right["data"]["reportLoss"]["code"] == "CODE_VOID"


async def test_twenty_sendings_under_one_key_send_one_code(world: World, active: FrontEnd) -> None:
    document = (
        "mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i) { __typename"
        f" ... on VerificationCodeSent {{ expiresAt }} {REFUSAL} }} }}"
    )
    given = {"purpose": "REPORT_LOSS", "phone": active.person.phone}

    answers = await asyncio.gather(*(send(active, document, "key-1", **given) for _ in range(20)))

    assert answers == [answers[0]] * 20
    assert answers[0]["data"]["sendVerificationCode"]["__typename"] == "VerificationCodeSent"
    assert len([sms for sms in await active.inbox() if sms["purpose"] == "REPORT_LOSS"]) == 1


async def test_after_a_binding_its_key_has_no_session_and_signing_in_finds_it(world: World) -> None:
    """No token is handed out a second time, to whoever holds the old one."""
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    person = citizen.person
    given = {
        "name": person.name,
        "socialSecurityNumber": person.social_security_number,
        "phone": person.phone,
        "code": await citizen.code("BIND_CARD"),
    }
    first = await send(citizen, BIND_CARD, "key-1", **given)
    before = await world.rows()

    again = await send(citizen, BIND_CARD, "key-1", **given)

    assert first["data"]["bindCard"]["__typename"] == "CardBound"
    assert again["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert first["data"]["bindCard"]["token"] not in str(again)
    assert await world.rows() == before
    assert (await citizen.sign_in())["viewer"]["bound"]
