"""当前用户 viewer: which of the ten services each persona can use, and why not the others."""

import gc

import pytest

from core.kernel.refusals import Refusal
from tests.front_end import FrontEnd, World
from tests.services.parts import english, reissue_of

TEN = (
    "APPLY_CARD",
    "ACTIVATE_CARD",
    "REPORT_LOSS",
    "CANCEL_LOSS",
    "CHANGE_PASSWORD",
    "CHANGE_INFORMATION",
    "TRANSFER_IN",
    "REISSUE_CARD",
    "PRODUCTION_PROGRESS",
    "CARD_STATUS",
)
_SERVICES = (
    "{ viewer { services { service title available reason { code message field retryAfter } } } }"
)
_OK = "-"
_STATE, _NONE, _OPEN, _UNSET = "WRONG_CARD_STATE", "NO_CARD", "APPLICATION_OPEN", "PASSWORD_NOT_SET"


@pytest.mark.parametrize(
    ("persona", "expected"),
    [
        # 申办 激活 挂失 解挂 服务密码变更 信息变更 卡归属地转入 补卡 制卡进度查询 卡状态查询
        (
            "active",
            ("CARD_HELD", _STATE, _OK, _STATE, _OK, _OK, "CARD_ALREADY_HERE", _STATE, _OK, _OK),
        ),
        (
            "sealed",
            (_OPEN, _OK, _STATE, _STATE, _UNSET, _OK, _OPEN, _OPEN, _OK, _OK),
        ),
        (
            "lost",
            ("CARD_HELD", _STATE, _STATE, _OK, _OK, _OK, "CARD_HELD", _OK, _OK, _OK),
        ),
        (
            "temporarily-lost",
            ("CARD_HELD", _STATE, _OK, _OK, _OK, _OK, "CARD_HELD", _STATE, _OK, _OK),
        ),
        (
            "locked",
            ("CARD_HELD", _STATE, _STATE, _STATE, _OK, _OK, "CARD_HELD", _STATE, _OK, _OK),
        ),
        (
            "cancelled",
            (_OK, _STATE, _STATE, _STATE, _OK, _OK, _OK, _STATE, _OK, _OK),
        ),
        (
            "in-production",
            (_OPEN, _NONE, _NONE, _NONE, _UNSET, _OK, _OPEN, _OPEN, _OK, _NONE),
        ),
        *(
            (
                persona,
                (_OK, _NONE, _NONE, _NONE, _UNSET, _OK, _OK, _NONE, "NO_APPLICATION", _NONE),
            )
            for persona in ("no-card", "other-city", "other-province", "unenrolled", "minor")
        ),
    ],
)
async def test_tells_each_persona_what_can_be_used_now(
    world: World, persona: str, expected: tuple[str, ...]
) -> None:
    citizen = await world.enter(persona)

    services = (await citizen.ask(_SERVICES))["services"]

    assert tuple(service["service"] for service in services) == TEN
    found = tuple(service["reason"]["code"] if service["reason"] else _OK for service in services)
    assert found == expected
    assert [service["available"] for service in services] == [code == _OK for code in expected]


async def test_names_the_ten_in_both_languages(active: FrontEnd) -> None:
    chinese = (await active.ask(_SERVICES))["services"]
    with english(active):
        translated = (await active.ask(_SERVICES))["services"]

    assert [service["title"] for service in chinese] == [
        "申办",
        "激活",
        "挂失",
        "解挂",
        "服务密码变更",
        "信息变更",
        "卡归属地转入",
        "补卡",
        "制卡进度查询",
        "卡状态查询",
    ]
    assert translated[0]["title"] == "Apply"
    assert chinese[7]["reason"]["message"] == ("您的卡当前状态为「正常」，不能办理补卡。请先挂失。")
    assert translated[0]["reason"]["message"].startswith("You already hold a card")


async def test_says_of_every_service_that_binding_comes_first(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()

    services = (await citizen.ask(_SERVICES))["services"]

    assert {(service["available"], service["reason"]["code"]) for service in services} == {
        (False, "NOT_BOUND")
    }
    assert len(services) == 10


async def test_closes_cancel_loss_while_a_reissue_is_open(world: World) -> None:
    citizen = await world.enter("lost")
    await citizen.do(
        "reissueCard", **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    )

    services = (await citizen.ask(_SERVICES))["services"]

    reasons = {service["service"]: service["reason"] for service in services}
    assert reasons["CANCEL_LOSS"]["code"] == "REISSUE_OPEN"
    assert reasons["REISSUE_CARD"]["code"] == "APPLICATION_OPEN"


async def test_says_that_the_password_is_locked(active: FrontEnd) -> None:
    for _ in range(5):
        await active.do(
            "changePassword",
            oldPassword="11112223",
            newPassword="60318527",
            confirmPassword="60318527",
        )

    services = (await active.ask(_SERVICES))["services"]

    assert (services[4]["reason"]["code"], services[4]["available"]) == ("PASSWORD_LOCKED", False)


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
