"""How many messages a request sends to PostgreSQL, its session included. Each is a round trip."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import httpx
import pytest

from core.kernel.settings import Settings
from tests.architecture.test_statements import counted
from tests.conftest import ADDRESS, running
from tests.front_end import REFUSAL, SUCCESS, FrontEnd, World
from tests.services import orders
from tests.services.parts import application_of, keep_pictures, reissue_of

pytestmark = [
    pytest.mark.server,
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]

_BLANKED = {"phone", "newPhone", "newPassword", "applicationNumber"}
"""So that the first request, which only makes the document known, is refused."""

Given: TypeAlias = Callable[[World, FrontEnd], Awaitable[dict[str, Any]]]


async def of_card(world: World, citizen: FrontEnd, purpose: str) -> dict[str, Any]:
    person = citizen.person
    code = await citizen.code(purpose)
    return {"phone": person.phone, "cardNumber": person.card_number, "code": code}


async def report_loss(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return {"phone": citizen.person.phone, "code": await citizen.code("REPORT_LOSS")}


async def cancel_loss(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await of_card(world, citizen, "CANCEL_LOSS")


async def activate(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await of_card(world, citizen, "ACTIVATE_CARD")


async def reissue(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))


async def apply(world: World, citizen: FrontEnd) -> dict[str, Any]:
    await keep_pictures(world, citizen)
    await citizen.ask('mutation { giveConsent(input: {noticeVersion: "1"}) { __typename } }')
    return application_of(citizen.person, code=await citizen.code("APPLY_CARD"))


async def transfer(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return {
        "cardNumber": "SAMPLE079",
        "insurances": ["PENSION"],
        "phone": citizen.person.phone,
        "code": await citizen.code("TRANSFER_IN"),
    }


async def change_phone(world: World, citizen: FrontEnd) -> dict[str, Any]:
    phone = "19912345678"
    return {"newPhone": phone, "code": await citizen.code("CHANGE_PHONE", phone)}


async def change_contact(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return {"residentialPostalCode": "610000"}


async def change_password(world: World, citizen: FrontEnd) -> dict[str, Any]:
    new = "61528307"
    old = citizen.person.service_password
    return {"oldPassword": old, "newPassword": new, "confirmPassword": new}


async def send_code(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return {"purpose": "REPORT_LOSS", "phone": citizen.person.phone}


async def cancel_application(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return {"applicationNumber": await orders.apply(world, citizen)}


async def change_outlet(world: World, citizen: FrontEnd) -> dict[str, Any]:
    place = {"districtCode": "510105", "outletCode": "SAMPLE-510105-1"}
    return {"applicationNumber": citizen.person.open_order, **place}


async def correct(world: World, citizen: FrontEnd) -> dict[str, Any]:
    await world.advance("in-production", result="NEEDS_CORRECTION", corrections=["postalCode"])
    return {"applicationNumber": citizen.person.open_order, "postalCode": "610041"}


CHANGES: dict[str, tuple[str, Given, int]] = {
    "applyCard": ("no-card", apply, 4),
    "activateCard": ("sealed", activate, 3),
    "reportLoss": ("active", report_loss, 2),
    "cancelLoss": ("lost", cancel_loss, 2),
    "changePassword": ("active", change_password, 6),
    "changePhone": ("active", change_phone, 5),
    "changeContact": ("active", change_contact, 2),
    "transferIn": ("other-city", transfer, 4),
    "reissueCard": ("lost", reissue, 2),
    "cancelApplication": ("no-card", cancel_application, 3),
    "changePickupOutlet": ("in-production", change_outlet, 3),
    "correctApplication": ("in-production", correct, 5),
    "sendVerificationCode": ("active", send_code, 3),
}
"""Persona, form, and messages."""

SEND_AND_SETTLE = 5
"""The messages of a code with its delivery, which reads the row once more and settles it."""

READS = {
    "cardStatus": ("active", "{ cardStatus { __typename ... on CardStatus { name state } } }", 1),
    "productionProgress": (
        "in-production",
        "{ productionProgress { __typename ... on ProductionProgress { nodes { node } } } }",
        1,
    ),
    "viewer": ("active", "{ viewer { name services { service available } } }", 1),
    "serviceHistory": (
        "active",
        "{ serviceHistory(first: 10) { edges { node { __typename } } } }",
        3,
    ),
}


async def sent(world: World, request: Callable[[], Awaitable[Any]]) -> list[str]:
    """What is sent for this request alone."""
    application = world.application
    await application.worker.stop()
    await application.scheduler.stop()
    await application.access_log.stop()
    async with counted(application.database) as statements:
        await request()
    return statements


@pytest.mark.parametrize("mutation", CHANGES)
async def test_a_change_takes_few_messages(world: World, mutation: str) -> None:
    persona, form, messages = CHANGES[mutation]
    citizen = await world.enter(persona)
    name, given = mutation[0].upper() + mutation[1:], await form(world, citizen)
    document = (
        f"mutation($i: {name}Input!)"
        f" {{ {mutation}(input: $i) {{ __typename ... on {SUCCESS[mutation]} {{ __typename }} {REFUSAL} }} }}"
    )
    await citizen.post(document, {"i": given | dict.fromkeys(_BLANKED & given.keys(), "")})

    async def change() -> None:
        answer = await citizen.ask(document, i=given)
        assert answer["__typename"] == SUCCESS[mutation], answer

    statements = await sent(world, change)

    assert len(statements) == messages, statements


async def test_a_code_is_delivered_in_few_messages(settings: Settings) -> None:
    """Before its caller is answered: no worker has to find and claim it, and none runs."""
    async with running(replace(settings, worker=False)) as app:
        application = app.state.application
        await application.access_log.stop()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            citizen = await World(http, application).enter("active")
            await citizen.send_code("CANCEL_LOSS")

            async with counted(application.database) as statements:
                await citizen.send_code("REPORT_LOSS")

            assert len(statements) == SEND_AND_SETTLE, statements
            assert len(await citizen.inbox()) == 2


@pytest.mark.parametrize("query", READS)
async def test_a_look_takes_few_messages(world: World, query: str) -> None:
    persona, document, messages = READS[query]
    citizen = await world.enter(persona)
    await citizen.ask(document)

    statements = await sent(world, lambda: citizen.ask(document))

    assert len(statements) == messages, statements


@pytest.mark.parametrize(("channel", "messages"), [("WECHAT", 6), ("UNIONPAY", 5)])
async def test_signing_in_again_takes_few_messages(
    world: World, channel: str, messages: int
) -> None:
    citizen = await world.enter("active", channel)
    handed = await citizen.authorize()
    citizen.headers = {}

    async def sign_in() -> None:
        answer = await citizen.do(
            "signIn", "token expiresAt viewer { bound channel }", channel=channel, **handed
        )
        assert answer["__typename"] == "SignedIn", answer

    statements = await sent(world, sign_in)

    assert len(statements) == messages, statements


async def test_binding_takes_few_messages(world: World) -> None:
    first = await world.enter("lost", "WECHAT")
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    code = await citizen.code("BIND_CARD")

    async def bind() -> None:
        assert (await citizen.bind(code))["__typename"] == "CardBound"

    statements = await sent(world, bind)

    assert first.headers != citizen.headers
    assert len(statements) == 11, statements
