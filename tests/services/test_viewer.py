"""当前用户 viewer: which services each persona can use, and why not the others."""

import gc
from typing import Any

import pytest

from core.kernel.card_services import CardService
from core.kernel.refusals import Refusal
from tests.front_end import FrontEnd, World
from tests.services.parts import english, reissue_of

_SERVICES = (
    "{ viewer { services { service title available reason { code message field retryAfter } } } }"
)
_STATE = "WRONG_CARD_STATE"
_OPEN = "APPLICATION_OPEN"
_WITHOUT_A_CARD = {
    "ACTIVATE_CARD": "NO_CARD",
    "REPORT_LOSS": "NO_CARD",
    "CANCEL_LOSS": "NO_CARD",
    "CHANGE_PASSWORD": "PASSWORD_NOT_SET",
    "REISSUE_CARD": "NO_CARD",
    "PRODUCTION_PROGRESS": "NO_APPLICATION",
    "CARD_STATUS": "NO_CARD",
}
_HELD = {"APPLY_CARD": "CARD_HELD", "TRANSFER_IN": "CARD_ALREADY_HERE"}
_ON_A_CARD = ("ACTIVATE_CARD", "REPORT_LOSS", "CANCEL_LOSS", "REISSUE_CARD")
REASONS = {
    "active": {
        "APPLY_CARD": "CARD_HELD",
        "ACTIVATE_CARD": _STATE,
        "CANCEL_LOSS": _STATE,
        "TRANSFER_IN": "CARD_ALREADY_HERE",
        "REISSUE_CARD": _STATE,
    },
    "sealed": {
        "APPLY_CARD": _OPEN,
        "CANCEL_LOSS": _STATE,
        "CHANGE_PASSWORD": "PASSWORD_NOT_SET",
        "TRANSFER_IN": _OPEN,
        "REISSUE_CARD": _OPEN,
    },
    "lost": _HELD | {"ACTIVATE_CARD": _STATE, "REPORT_LOSS": _STATE},
    "temporarily-lost": _HELD | {"ACTIVATE_CARD": _STATE, "REISSUE_CARD": _STATE},
    "locked": _HELD | dict.fromkeys(("ACTIVATE_CARD", "CANCEL_LOSS", "REISSUE_CARD"), _STATE),
    "cancelled": dict.fromkeys(_ON_A_CARD, _STATE),
    "in-production": {
        "APPLY_CARD": _OPEN,
        "ACTIVATE_CARD": _OPEN,
        "REPORT_LOSS": _OPEN,
        "CANCEL_LOSS": _OPEN,
        "CHANGE_PASSWORD": "PASSWORD_NOT_SET",
        "TRANSFER_IN": _OPEN,
        "REISSUE_CARD": _OPEN,
        "CARD_STATUS": _OPEN,
    },
    "no-card": _WITHOUT_A_CARD,
    "other-city": _WITHOUT_A_CARD,
    "other-province": _WITHOUT_A_CARD,
    "unenrolled": _WITHOUT_A_CARD,
    "minor": _WITHOUT_A_CARD,
}
"""Why a persona cannot use a service; whatever is not listed can be used."""


@pytest.mark.parametrize("persona", REASONS)
async def test_tells_each_persona_what_can_be_used_now(world: World, persona: str) -> None:
    citizen = await world.enter(persona)

    services = (await citizen.ask(_SERVICES))["services"]

    assert [service["service"] for service in services] == list(CardService)
    assert {
        service["service"]: service["reason"]["code"] for service in services if service["reason"]
    } == REASONS[persona]
    assert [service["available"] for service in services] == [
        service not in REASONS[persona] for service in CardService
    ]


async def test_names_the_services_in_both_languages(active: FrontEnd) -> None:
    chinese = await _by_service(active)
    with english(active):
        translated = await _by_service(active)

    assert chinese["APPLY_CARD"]["title"] == "申办"
    assert chinese["CARD_STATUS"]["title"] == "卡状态查询"
    assert translated["APPLY_CARD"]["title"] == "Apply"
    assert chinese["REISSUE_CARD"]["reason"]["message"] == (
        "您的卡当前状态为「正常」，不能办理补卡。如卡遗失或损坏，请先挂失，再补卡。"
    )
    assert translated["APPLY_CARD"]["reason"]["message"].startswith("You already have a card")
    for service in CardService:
        assert chinese[service]["title"] != translated[service]["title"]


async def test_says_of_every_service_that_binding_comes_first(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()

    services = (await citizen.ask(_SERVICES))["services"]

    assert {(service["available"], service["reason"]["code"]) for service in services} == {
        (False, "NOT_BOUND")
    }
    assert len(services) == len(CardService)


async def test_closes_cancel_loss_while_a_reissue_is_open(world: World) -> None:
    citizen = await world.enter("lost")
    await citizen.do(
        "reissueCard", **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    )

    services = await _by_service(citizen)

    assert services["CANCEL_LOSS"]["reason"]["code"] == "REISSUE_OPEN"
    assert services["REISSUE_CARD"]["reason"]["code"] == "APPLICATION_OPEN"


async def test_says_that_the_password_is_locked(active: FrontEnd) -> None:
    for _ in range(5):
        await active.do(
            "changePassword",
            oldPassword="11112223",
            newPassword="60318527",
            confirmPassword="60318527",
        )

    service = (await _by_service(active))["CHANGE_PASSWORD"]

    assert (service["reason"]["code"], service["available"]) == ("PASSWORD_LOCKED", False)


async def test_is_nobody_without_a_session(world: World) -> None:
    assert await world.front_end("active").ask("{ viewer { bound } }") is None


async def test_asking_for_the_services_leaves_no_frames_to_collect(active: FrontEnd) -> None:
    """A refusal that is only shown would keep its holder, and the request, until a collection."""
    await active.ask(_SERVICES)
    gc.collect()
    gc.disable()
    try:
        await active.ask(_SERVICES)
        kept = [one for one in gc.get_objects() if isinstance(one, Refusal) and one.__traceback__]
    finally:
        gc.enable()

    assert kept == []


async def _by_service(citizen: FrontEnd) -> dict[str, dict[str, Any]]:
    services = (await citizen.ask(_SERVICES))["services"]
    return {service["service"]: service for service in services}
