"""绑卡 bind card, and what an unbound account may do, through HTTP."""

import json
from typing import Any

import pytest

from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    NEW_PHONE,
    application_of,
    english,
    fault,
    history,
    later,
    notices,
    other_than,
    person_id,
    problems,
    register,
    reissue_of,
)


@pytest.fixture
async def unbound(world: World) -> FrontEnd:
    """The WeChat account of the persona with an active card, before it is bound."""
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    return citizen


async def test_binds_an_account_to_the_person_on_file(world: World, unbound: FrontEnd) -> None:
    answer = await unbound.bind(await unbound.code("BIND_CARD"))

    assert (answer["__typename"], answer["viewer"]) == ("CardBound", {"bound": True})
    assert (await unbound.status())["cardNumber"] == unbound.person.card_number
    assert (await history(world, unbound.person))[-1] == "BIND_CARD"
    assert await notices(unbound) == [
        "【成都人社】您的社会保障卡已绑定新的渠道账号；同一渠道如有原绑定，已同时解除。"
        "如非本人操作，请拨打 028-12333。"
    ]


async def test_registers_a_person_whom_the_registry_knows(world: World) -> None:
    citizen = world.front_end("no-card", "WECHAT")
    await citizen.sign_in()

    answer = await citizen.bind(await citizen.code("BIND_CARD"))

    assert answer["viewer"] == {"bound": True}
    assert await citizen.ask("{ viewer { name phone } }") == {
        "name": "唐**",
        "phone": "199****1008",
    }
    assert await history(world, citizen.person) == ["BIND_CARD"]


async def test_refuses_a_person_whom_the_registry_does_not_know(world: World) -> None:
    """Nobody is on file with the number or the phone: only the registry can say no."""
    visitor = world.front_end("no-card", "WECHAT")
    await visitor.sign_in()
    code = await visitor.code("BIND_CARD", NEW_PHONE)
    before = await world.rows()

    answer = await visitor.bind(
        code, name="王无名", socialSecurityNumber="510104198001011236", phone=NEW_PHONE
    )

    assert fault(answer) == ("IDENTITY_NOT_CONFIRMED", None)
    assert await world.rows() == before


async def test_takes_the_phone_where_none_is_on_file(world: World) -> None:
    citizen = world.front_end("no-card", "WECHAT")
    person = citizen.person
    await register(world, name=person.name, number=person.social_security_number, phone=None)
    await citizen.sign_in()

    answer = await citizen.bind(await citizen.code("BIND_CARD"))

    assert answer["__typename"] == "CardBound"
    assert (await citizen.ask("{ viewer { phone } }"))["phone"] == "199****1008"


async def test_reads_what_people_type_in_their_own_way(world: World) -> None:
    citizen = world.front_end("locked", "WECHAT")
    await citizen.sign_in()
    code = await citizen.code("BIND_CARD")

    answer = await citizen.bind(
        f" {code} ",
        name=" 阿米娜•买买提",
        socialSecurityNumber=f" {citizen.person.social_security_number} ",
        phone=f" {citizen.person.phone} ",
    )

    assert answer["__typename"] == "CardBound"


async def test_refuses_a_wrong_name_number_and_phone_in_the_same_words(
    world: World, unbound: FrontEnd
) -> None:
    stranger = PERSONAS["no-card"]
    code, code_to_own_phone = (
        await unbound.code("BIND_CARD"),
        await unbound.code("BIND_CARD", NEW_PHONE),
    )
    before = await world.rows()

    refused = [
        await unbound.bind(code, name="林若水"),
        await unbound.bind(code, socialSecurityNumber=PERSONAS["lost"].social_security_number),
        await unbound.bind(code, socialSecurityNumber="510104198001011236"),
        await unbound.bind(
            code, name=stranger.name, socialSecurityNumber=stranger.social_security_number
        ),
        await unbound.bind(code_to_own_phone, phone=NEW_PHONE),
    ]

    assert len({json.dumps(answer) for answer in refused}) == 1
    assert fault(refused[0]) == ("IDENTITY_NOT_CONFIRMED", None)
    assert refused[0]["problems"] == []
    assert refused[0]["message"].startswith("姓名、社会保障号码与手机号码未能核对一致。")
    assert await world.rows() == before
    with english(unbound):
        assert (await unbound.bind(code, name="林若水"))["message"].startswith(
            "Name, social security number and phone number do not match our records."
        )
    assert (await unbound.bind(code))["__typename"] == "CardBound"


async def test_refuses_every_wrong_field_at_once(world: World, unbound: FrontEnd) -> None:
    before = await world.rows()

    answer = await unbound.bind(
        "12345", name="林\u202e若溪", socialSecurityNumber="510104199104151237", phone=""
    )

    assert fault(answer) == ("INVALID_CHARACTERS", "name")
    assert problems(answer) == [
        ("name", "INVALID_CHARACTERS"),
        ("socialSecurityNumber", "INVALID_ID_NUMBER"),
        ("phone", "REQUIRED"),
        ("code", "INVALID_FORMAT"),
    ]
    assert await world.rows() == before


async def test_refuses_a_wrong_code_before_it_reads_the_citizen(
    world: World, unbound: FrontEnd
) -> None:
    wrong = other_than(await unbound.code("BIND_CARD"))
    before = await world.rows()

    answers = [await unbound.bind(wrong), await unbound.bind(wrong, name="林若水")]

    assert [fault(answer) for answer in answers] == [("CODE_WRONG", "code")] * 2
    assert await world.rows() == before


async def test_refuses_more_than_ten_tries_an_hour(world: World, unbound: FrontEnd) -> None:
    code = await unbound.code("BIND_CARD")
    for _ in range(10):
        assert (await unbound.bind(code, name="林若水"))["code"] == "IDENTITY_NOT_CONFIRMED"
    before = await world.rows()

    answer = await unbound.bind(code)

    assert fault(answer) == ("TOO_MANY_TRIES", None)
    assert 3_590 <= answer["retryAfter"] <= 3_600
    assert await world.rows() == before
    with later(minutes=61):
        assert (await unbound.bind(await unbound.code("BIND_CARD")))["__typename"] == "CardBound"


async def test_refuses_where_the_platform_vouches(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.bind("000000")

    assert fault(answer) == ("BINDING_NOT_NEEDED", None)
    assert await world.rows() == before


async def test_binding_a_citizen_again_ends_the_older_account_and_its_sessions(
    world: World,
) -> None:
    older = await world.enter("active", "WECHAT")
    through_unionpay = await world.enter("active")
    newer = world.front_end("no-card", "WECHAT")
    await newer.sign_in()
    newer.person = older.person

    with later(seconds=61):
        answer = await newer.bind(await newer.code("BIND_CARD"))

        assert answer["__typename"] == "CardBound"
        assert (await newer.status())["cardNumber"] == "SAMPLE01X"
        response = await older.post("{ cardStatus { __typename } }")
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert (await through_unionpay.status())["state"] == "ACTIVE"
        assert (await notices(newer))[0].startswith(
            "【成都人社】您的社会保障卡已绑定新的渠道账号；同一渠道如有原绑定，已同时解除。"
        )
        assert (await older.sign_in())["viewer"]["bound"] is False


async def test_binding_an_account_again_makes_it_another_citizens(world: World) -> None:
    account = await world.enter("active", "WECHAT")
    again = world.front_end("active", "WECHAT")
    await again.sign_in()
    account.person = PERSONAS["lost"]

    answer = await account.bind(await account.code("BIND_CARD"))

    assert answer["__typename"] == "CardBound"
    assert (await account.status())["cardNumber"] == PERSONAS["lost"].card_number
    response = await again.post("{ cardStatus { __typename } }")
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    open_bindings = [
        row.subject_id for row in (await world.rows("bindings"))["bindings"] if row.ended_at is None
    ]
    assert open_bindings == [await person_id(world, PERSONAS["lost"])]
    assert (await history(world, PERSONAS["active"]))[-1] == "UNBOUND"


_PERSON = PERSONAS["active"]
_QUERIES = {
    "cardStatus": "{ cardStatus { __typename %s } }",
    "productionProgress": "{ productionProgress { __typename %s } }",
    "applicationForm": "{ applicationForm { __typename %s } }",
    "insurances": '{ insurances(cardNumber: "SAMPLE079") { __typename %s } }',
    "confirmPortrait": 'mutation { confirmPortrait(portraitId: "1") { __typename %s } }',
    "deletePicture": 'mutation { deletePicture(pictureId: "1") { __typename %s } }',
    "saveApplicationDraft": 'mutation { saveApplicationDraft(input: {name: "x"}) { __typename %s } }',
    "confirmIdDocuments": "mutation { confirmIdDocuments { __typename %s } }",
}
_MUTATIONS: dict[str, dict[str, Any]] = {
    "applyCard": application_of(_PERSON),
    "activateCard": {"phone": _PERSON.phone, "cardNumber": "SAMPLE01X", "code": "000000"},
    "reportLoss": {"phone": _PERSON.phone, "code": "000000"},
    "cancelLoss": {"phone": _PERSON.phone, "cardNumber": "SAMPLE01X", "code": "000000"},
    "changePassword": {
        "oldPassword": "40917258",
        "newPassword": "60318527",
        "confirmPassword": "60318527",
    },
    "changePhone": {"newPhone": NEW_PHONE, "code": "000000"},
    "changeContact": {"landline": "028-86120000"},
    "transferIn": {
        "cardNumber": "SAMPLE079",
        "insurances": ["PENSION"],
        "phone": _PERSON.phone,
        "code": "000000",
    },
    "reissueCard": reissue_of(_PERSON),
}


async def test_refuses_every_service_until_the_account_is_bound(
    world: World, unbound: FrontEnd
) -> None:
    before = await world.rows()

    refused = {name: await unbound.ask(query % REFUSAL) for name, query in _QUERIES.items()}
    refused |= {name: await unbound.do(name, **given) for name, given in _MUTATIONS.items()}
    codes = [
        await unbound.send_code(purpose)
        for purpose in ("APPLY_CARD", "CHANGE_PHONE", "REPORT_LOSS")
    ]

    assert {name: fault(answer) for name, answer in refused.items()} == dict.fromkeys(
        refused, ("NOT_BOUND", None)
    )
    assert [fault(answer) for answer in codes] == [("NOT_BOUND", None)] * 3
    assert codes[0]["message"] == "请先完成绑卡（微服务 → 社保查询），再办理此业务。"
    assert await world.rows() == before


async def test_every_operation_but_sign_in_needs_a_session(world: World) -> None:
    actor = world.front_end("active")
    before = await world.rows("sessions", "audit_entries", "quotas")

    answered = [
        (await actor.post(query % "")).json()["errors"][0]["extensions"]["code"]
        for query in _QUERIES.values()
    ]
    answered += [
        (
            await actor.post(
                f"mutation($i: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $i) {{ __typename }} }}",
                {"i": given},
            )
        ).json()["errors"][0]["extensions"]["code"]
        for name, given in _MUTATIONS.items()
    ]

    assert answered == ["UNAUTHENTICATED"] * 17
    assert await world.rows("sessions", "audit_entries", "quotas") == before
