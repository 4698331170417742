"""The gateway's own clients against the stand-ins."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.kernel.settings import Settings
from core.partners import (
    NotAccepted,
    Partners,
    RegionMove,
    Rejected,
    SmsMessage,
    build_partners,
)
from core.reference import InsuranceType
from sandbox.personas import PERSONAS
from tests.partners.samples import REGISTRY_CARD
from tests.sandbox.orders import order

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"
OTHER_CITY = PERSONAS["other-city"]


@pytest.fixture
def partners(settings: Settings, sandbox: httpx.AsyncClient) -> Partners:
    return build_partners(settings, sandbox)


def message(text: str = "验证码 483920", phone: str = "19900001001") -> SmsMessage:
    return SmsMessage(phone, text, template="CODE", purpose="BIND_CARD", code="483920")


async def move(partners: Partners, from_region: str = "510700", key: str = KEY) -> None:
    move = RegionMove(OTHER_CITY.social_security_number, "SAMPLE079", from_region, "510100")
    await partners.card_registry.move_region(move, key)


async def test_the_population_registry_knows_all_personas(partners: Partners) -> None:
    for persona in PERSONAS.values():
        number = persona.social_security_number
        assert await partners.population_registry.matches(persona.name, number)
        assert not await partners.population_registry.matches("王小明", number)
    assert not await partners.population_registry.matches("林若溪", "510104199003079999")


async def test_the_insurance_registry_knows_who_is_enrolled_in_chengdu(partners: Partners) -> None:
    registry = partners.insurance_registry

    assert await registry.enrolled(OTHER_CITY.social_security_number) == {
        InsuranceType.PENSION,
        InsuranceType.MEDICAL,
        InsuranceType.UNEMPLOYMENT,
    }
    assert await registry.enrolled(PERSONAS["unenrolled"].social_security_number) == frozenset()
    assert await registry.enrolled("510104199003079999") == frozenset()


async def test_the_card_registry_knows_the_cards_of_other_regions(partners: Partners) -> None:
    cards = {
        persona.id: await partners.card_registry.cards_of(persona.social_security_number)
        for persona in PERSONAS.values()
    }

    held = {persona: own for persona, own in cards.items() if own}
    assert list(held) == ["other-city", "other-province", "unenrolled"]
    assert held["other-city"] == [REGISTRY_CARD]


async def test_moves_a_card_once(partners: Partners) -> None:
    assert not await partners.card_registry.outcome(KEY)

    await move(partners)
    await move(partners)

    [card] = await partners.card_registry.cards_of(OTHER_CITY.social_security_number)
    assert (card.region_code, card.region_name) == ("510100", "成都市")
    assert await partners.card_registry.outcome(KEY)


async def test_refuses_to_move_a_card_that_is_not_there(partners: Partners) -> None:
    await move(partners)

    with pytest.raises(Rejected, match="NOT_IN_REGION"):
        await move(partners, key=OTHER_KEY)

    assert not await partners.card_registry.outcome(OTHER_KEY)


async def test_refuses_to_move_the_card_of_another(partners: Partners) -> None:
    another = PERSONAS["active"].social_security_number
    with pytest.raises(Rejected, match="NO_SUCH_CARD"):
        await partners.card_registry.move_region(
            RegionMove(another, "SAMPLE079", "510700", "510100"), KEY
        )


async def test_refuses_to_move_a_card_to_an_unknown_region(partners: Partners) -> None:
    with pytest.raises(Rejected, match="UNKNOWN_REGION"):
        await partners.card_registry.move_region(
            RegionMove(OTHER_CITY.social_security_number, "SAMPLE079", "510700", "990000"), KEY
        )


async def test_messages_arrive_in_the_inbox_newest_first(
    partners: Partners, sandbox: httpx.AsyncClient
) -> None:
    await partners.sms.send(message("一"), "key-1")
    await partners.sms.send(message("二", "19900001002"), "key-2")
    notice = SmsMessage("19900001001", "三", template="CARD_READY")
    await partners.sms.send(notice, "key-3")

    everything = (await sandbox.get("/sms")).json()
    own = (await sandbox.get("/sms", params={"phone": "19900001001"})).json()

    assert [found["text"] for found in everything] == ["三", "二", "一"]
    assert [found.pop("at")[-6:] for found in own] == ["+08:00", "+08:00"]
    assert own == [
        {"phone": "19900001001", "text": "三", "code": None, "purpose": None},
        {"phone": "19900001001", "text": "一", "code": "483920", "purpose": "BIND_CARD"},
    ]
    assert (await sandbox.get("/sms", params={"phone": "13900000000"})).json() == []


async def test_a_message_sent_many_times_arrives_once(
    partners: Partners, sandbox: httpx.AsyncClient
) -> None:
    await asyncio.gather(*(partners.sms.send(message(), KEY) for _ in range(5)))

    assert len((await sandbox.get("/sms")).json()) == 1
    assert await partners.sms.outcome(KEY)


async def test_refuses_another_message_under_the_same_key(
    partners: Partners, sandbox: httpx.AsyncClient
) -> None:
    await partners.sms.send(message("一"), KEY)

    with pytest.raises(Rejected, match="IDEMPOTENCY_KEY_REUSED"):
        await partners.sms.send(message("二"), KEY)

    assert [found["text"] for found in (await sandbox.get("/sms")).json()] == ["一"]


async def test_takes_an_order_once(partners: Partners) -> None:
    await partners.issuer.order(order(), KEY)
    await partners.issuer.order(order(), KEY)

    assert await partners.issuer.outcome(KEY)
    assert not await partners.issuer.outcome(OTHER_KEY)


async def test_an_idempotency_key_is_of_one_partner(partners: Partners) -> None:
    await partners.sms.send(message(), KEY)

    assert not await partners.issuer.outcome(KEY)


async def test_refuses_a_wrong_token(settings: Settings, sandbox: httpx.AsyncClient) -> None:
    stranger = build_partners(replace(settings, sms_token=settings.issuer_token), sandbox)

    with pytest.raises(NotAccepted, match=r"HTTP 401$"):
        await stranger.sms.send(message(), KEY)

    assert (await sandbox.get("/sms")).json() == []


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Idempotency-Key": KEY}, b"{", "BAD_REQUEST"),
        ({"Idempotency-Key": KEY}, b'{"phone": 1}', "BAD_REQUEST"),
        ({"Idempotency-Key": KEY}, b'{"phone":"1","text":"","template":"","x":1}', "BAD_REQUEST"),
        ({}, b'{"phone":"1","text":"","template":""}', "NO_IDEMPOTENCY_KEY"),
    ],
)
async def test_refuses_what_it_does_not_understand(
    settings: Settings,
    sandbox: httpx.AsyncClient,
    headers: dict[str, str],
    body: bytes,
    code: str,
) -> None:
    token = settings.sms_token.reveal()
    response = await sandbox.post(
        "/partners/sms/messages",
        content=body,
        headers={"Authorization": f"Bearer {token}", **headers},
    )

    answer: Any = response.json()
    assert (response.status_code, answer) == (400, {"code": code})
    assert (await sandbox.get("/sms")).json() == []
