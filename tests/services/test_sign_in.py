"""登录 sign in, through HTTP. In this file 平安 is switched off."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from core.citizens import bindings, sessions
from core.crypto import account_indexes, seal_account
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import HOUR
from core.kernel.settings import Settings
from core.unit_of_work import UnitOfWork
from sandbox.personas import PERSONAS
from tests.front_end import World
from tests.services.parts import NEW_PHONE, fault, history, later, notices, person_id, register
from tests.units import change

_WHO = "{ viewer { bound name socialSecurityNumber phone card { name cardNumber } } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, channels_off="PING_AN")


async def test_knows_a_person_for_whom_the_platform_vouches(world: World) -> None:
    citizen = world.front_end("active")

    answer = await citizen.sign_in()

    assert answer["viewer"] == {"bound": True, "channel": "UNIONPAY"}
    assert 0 < datetime.fromisoformat(answer["expiresAt"]).timestamp() - time.time() <= 7_200
    assert await citizen.ask(_WHO) == {
        "bound": True,
        "name": "林**",
        "socialSecurityNumber": "510***********1236",
        "phone": "199****1001",
        "card": {"name": "林**", "cardNumber": "SAMPLE01X"},
    }
    assert (await history(world, citizen.person))[-1] == "SIGN_IN"


async def test_registers_a_person_at_their_first_visit(world: World) -> None:
    citizen = world.front_end("no-card")
    before = await world.rows("citizens")

    await citizen.sign_in()
    await citizen.sign_in()

    assert await citizen.ask(_WHO) == {
        "bound": True,
        "name": "唐**",
        "socialSecurityNumber": "510***********1451",
        "phone": "199****1008",
        "card": None,
    }
    assert len((await world.rows("citizens"))["citizens"]) == len(before["citizens"]) + 1
    assert await history(world, citizen.person) == ["SIGN_IN", "SIGN_IN"]


async def test_never_takes_a_phone_from_another_person(world: World) -> None:
    citizen = world.front_end("no-card")
    await register(world, name="郝如意", number="510104198001011236", phone=citizen.person.phone)

    await citizen.sign_in()

    assert (await citizen.ask(_WHO))["phone"] is None


async def test_keeps_the_phone_on_file_where_the_platform_names_another(world: World) -> None:
    person = PERSONAS["no-card"]
    await register(world, name=person.name, number=person.social_security_number, phone=NEW_PHONE)
    citizen = world.front_end("no-card")

    await citizen.sign_in()

    assert (await citizen.ask(_WHO))["phone"] == "199****9999"


async def test_does_not_know_a_new_account_where_the_platform_vouches_for_nobody(
    world: World,
) -> None:
    citizen = world.front_end("active", "WECHAT")

    answer = await citizen.sign_in()

    assert answer["viewer"] == {"bound": False, "channel": "WECHAT"}
    assert await citizen.ask(_WHO) == {
        "bound": False,
        "name": None,
        "socialSecurityNumber": None,
        "phone": None,
        "card": None,
    }


async def test_knows_an_account_that_was_bound_before(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")

    answer = await citizen.sign_in()

    assert answer["viewer"] == {"bound": True, "channel": "WECHAT"}


async def test_refuses_a_name_that_contradicts_the_file(world: World) -> None:
    citizen = world.front_end("no-card")
    await register(world, name="唐晓船", number=citizen.person.social_security_number, phone=None)
    before = await world.rows("citizens", "bindings", "sessions")

    answer = await citizen.do("signIn", channel="UNIONPAY", **await citizen.authorize())

    assert fault(answer) == ("IDENTITY_NOT_CONFIRMED", None)
    assert await world.rows("citizens", "bindings", "sessions") == before


async def test_another_account_of_the_person_ends_the_older_one_and_its_sessions(
    world: World,
) -> None:
    """The platform vouches for the person in a new account of theirs."""
    person, vault = PERSONAS["active"], world.application.dependencies.vault
    owner, now = await person_id(world, person), world.application.clock()
    accounts = account_indexes(vault, ChannelId.UNIONPAY, "an older account")
    sealed = seal_account(vault, "an older account")

    def bind(unit: UnitOfWork) -> str:
        given: Any = {"channel": ChannelId.UNIONPAY, "account": sealed, "citizen_id": owner}
        bindings.bind(unit.writes, vault, now, accounts=accounts, replaced=[], **given)
        session = sessions.start(
            unit.writes,
            vault,
            now,
            account_index=accounts[0],
            level=RealNameLevel.PLATFORM,
            lifetime=HOUR,
            **given,
        )
        return session.token

    older = world.front_end("active")
    older.headers = {"Authorization": f"Bearer {await change(world, bind)}"}
    before = await older.status()

    newer = await world.enter("active")

    refused = (await older.post("{ cardStatus { __typename } }")).json()
    assert before["__typename"] == "CardStatus"
    assert refused["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "已绑定新的渠道账号" in (await notices(newer))[0]


async def test_whose_account_became_somebody_elses_is_told(world: World) -> None:
    """The platform vouches for another person in an account that was bound to this one."""
    previous, vault = PERSONAS["lost"], world.application.dependencies.vault
    before, now = await person_id(world, previous), world.application.clock()
    account = PERSONAS["active"].account(ChannelId.UNIONPAY)

    def bind(unit: UnitOfWork) -> None:
        bindings.bind(
            unit.writes,
            vault,
            now,
            channel=ChannelId.UNIONPAY,
            accounts=account_indexes(vault, ChannelId.UNIONPAY, account),
            account=seal_account(vault, account),
            citizen_id=before,
            replaced=[],
        )

    await change(world, bind)

    newer = await world.enter("active")

    assert await history(world, previous) == ["IMPORTED", "UNBOUND"]
    assert "解除" in (await notices(world.front_end("lost")))[0]
    assert await history(world, newer.person) == ["IMPORTED", "SIGN_IN"]


async def test_refuses_a_credential_a_second_time(world: World) -> None:
    citizen = world.front_end("active")
    first = await citizen.authorize()
    await citizen.do("signIn", channel="UNIONPAY", **first)
    before = await world.rows()

    answer = await citizen.do(
        "signIn",
        channel="UNIONPAY",
        credential=first["credential"],
        state=(await citizen.authorize())["state"],
    )

    assert fault(answer)[0] == "SIGN_IN_EXPIRED"
    assert "重新进入" in answer["message"]
    assert await world.rows() == before


async def test_refuses_a_state_a_second_time(world: World) -> None:
    citizen = world.front_end("active")
    first = await citizen.authorize()
    await citizen.do("signIn", channel="UNIONPAY", **first)
    before = await world.rows("sessions", "bindings", "citizens")

    answer = await citizen.do(
        "signIn",
        channel="UNIONPAY",
        credential=(await citizen.authorize())["credential"],
        state=first["state"],
    )

    assert fault(answer) == ("SIGN_IN_STATE_INVALID", "state")
    assert await world.rows("sessions", "bindings", "citizens") == before


async def test_refuses_a_state_that_is_not_ours_or_too_old(world: World) -> None:
    citizen, neighbour = world.front_end("active"), world.front_end("active", "WECHAT")
    handed = await citizen.authorize()
    foreign = (await neighbour.authorize())["state"]
    changed = handed["state"][:-1] + ("0" if handed["state"][-1] != "0" else "1")
    before = await world.rows("sessions")

    refused = [
        await citizen.do("signIn", channel="UNIONPAY", credential=handed["credential"], state=state)
        for state in (None, "", "不", foreign, changed)
    ]
    with later(minutes=11):
        refused.append(await citizen.do("signIn", channel="UNIONPAY", **handed))

    assert {fault(answer) for answer in refused} == {("SIGN_IN_STATE_INVALID", "state")}
    assert refused[0]["message"].startswith("登录请求已失效或已使用")
    assert await world.rows("sessions") == before


async def test_refuses_an_empty_credential(world: World) -> None:
    citizen = world.front_end("active")
    citizen.headers["Accept-Language"] = "en-GB,en;q=0.9"

    answer = await citizen.do("signIn", channel="UNIONPAY", credential="", state="x")

    assert fault(answer) == ("REQUIRED", "credential")
    assert answer["message"] == "Please fill in Credential."


async def test_refuses_a_channel_that_is_switched_off(world: World) -> None:
    citizen = world.front_end("active", "PING_AN")
    before = await world.rows("sessions")

    answer = await citizen.do("signIn", channel="PING_AN", **await citizen.authorize())

    assert fault(answer) == ("CHANNEL_OFF", None)
    assert "请改用其他渠道" in answer["message"]
    assert await world.rows("sessions") == before


async def test_a_session_ends_with_the_platforms_token(world: World) -> None:
    """UnionPay's lasts an hour."""
    citizen = await world.enter("active")

    with later(minutes=59, seconds=50):
        in_time = await citizen.status()
    with later(hours=1, seconds=1):
        after = await citizen.post("{ cardStatus { __typename } }")

    assert in_time["__typename"] == "CardStatus"
    assert after.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_session_ends_after_two_hours_at_the_latest(world: World) -> None:
    citizen = await world.enter("active")

    with later(hours=2, seconds=1):
        response = await citizen.post("{ cardStatus { __typename } }")

    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
