"""Values that a form cannot take, and sessions that are none: clear answers, nothing changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import update

from core.citizens import citizens_table
from core.db import Query, Transaction
from core.kernel.callers import ChannelId
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import application_of

OTHER_CHANNELS = [channel.value for channel in ChannelId if channel is not ChannelId.UNIONPAY]
"""Than that of `active`."""
CARD_STATUS = f"{{ cardStatus {{ __typename ... on CardStatus {{ state }} {REFUSAL} }} }}"
FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
NOW = datetime(2026, 1, 15, 4, 0, tzinfo=UTC)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


def problems_of(answer: dict[str, Any]) -> dict[str, str]:
    return {problem["field"]: problem["code"] for problem in answer["problems"]}


# --- forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "林" * 200}, "TOO_LONG"),
        ({"name": ""}, "REQUIRED"),
        ({"name": "林\u0000若溪"}, "INVALID_CHARACTERS"),
        ({"name": "林\u202e若溪"}, "INVALID_CHARACTERS"),
        ({"name": "林\u200b若溪"}, "INVALID_CHARACTERS"),
        ({"name": "林若溪\n"}, "INVALID_CHARACTERS"),
        ({"socialSecurityNumber": "510104199104151237"}, "INVALID_ID_NUMBER"),
        ({"socialSecurityNumber": "510104199102301238"}, "INVALID_ID_NUMBER"),
        ({"phone": "1990000100"}, "INVALID_FORMAT"),
        ({"phone": "19900001001\n"}, "INVALID_FORMAT"),
        ({"code": "１２３４５"}, "INVALID_FORMAT"),
        ({"code": "12345"}, "INVALID_FORMAT"),
        ({"code": ""}, "REQUIRED"),
    ],
    ids=ascii,
)
async def test_a_wrong_field_is_named_and_costs_no_code(
    world: World, changes: dict[str, str], code: str
) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    good = await citizen.code("BIND_CARD")
    before = await world.rows(), await world.rows("verification_codes")

    answer = await citizen.bind(**({"code": good} | changes))

    assert (answer["code"], answer["field"]) == (code, next(iter(changes)))
    assert (await world.rows(), await world.rows("verification_codes")) == before
    assert (await citizen.bind(good))["__typename"] == "CardBound"


@pytest.mark.parametrize("channel", ChannelId)
async def test_what_people_really_type_is_understood(world: World, channel: ChannelId) -> None:
    citizen = await world.enter("active", channel.value)
    typed = "＋８６ 199-0000　1001"
    code = await citizen.code("REPORT_LOSS")

    lost = await citizen.do("reportLoss", phone=typed, code=f"{code[:3]} {code[3:]}")
    code = await citizen.code("CANCEL_LOSS")
    found = await citizen.do(
        "cancelLoss", phone=typed, cardNumber=f"{citizen.person.card_number}".lower(), code=code
    )

    assert (lost["__typename"], found["__typename"]) == ("LossReported", "LossCancelled")


async def test_a_name_and_number_are_understood_at_binding(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    number = citizen.person.social_security_number.translate(FULL_WIDTH)

    bound = await citizen.bind(
        await citizen.code("BIND_CARD"),
        name="林 若溪",
        socialSecurityNumber=f"{number[:6]} {number[6:14]} {number[14:]}",
        phone="+86 199 0000 1001",
    )

    assert bound["__typename"] == "CardBound"


FORM = application_of(PERSONAS["no-card"], code="123456")
WRONG = {
    "postalCode": ("61000", "INVALID_FORMAT"),
    "socialInsuranceNumber": ("社保" * 20, "INVALID_FORMAT"),
    "educationCode": ("x", "UNKNOWN_CODE"),
    "occupationCode": ("", "REQUIRED"),
    "outletCode": ("SAMPLE-510105-1", "OUTLET_NOT_IN_DISTRICT"),
    "nationalityCode": ("ATLANTIS", "NOT_SERVED_ONLINE"),
    "idIssuer": ("成都市\u202e公安局", "INVALID_CHARACTERS"),
    "idValidUntil": ("20250230", "INVALID_DATE"),
    "name": ("唐" * 200, "TOO_LONG"),
    "genderCode": ("2", "GENDER_MISMATCH"),
    "birthDate": ("20020931", "INVALID_DATE"),
    "code": ("12345六", "INVALID_FORMAT"),
}


async def test_all_wrong_fields_of_an_application_are_told_at_once(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await citizen.do(
        "applyCard", **(FORM | {name: value for name, (value, _) in WRONG.items()})
    )

    found = problems_of(answer)
    missing = {"portrait": "PORTRAIT_NOT_CONFIRMED", "idDocuments": "ID_DOCUMENTS_NOT_CONFIRMED"}
    assert found.items() >= (
        {name: code for name, (_, code) in WRONG.items()} | missing
    ).items() - {("name", "TOO_LONG")}
    assert found["name"] in ("TOO_LONG", "NOT_YOURS")
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("field", "value", "code"), [(name, *wrong) for name, wrong in WRONG.items() if name != "name"]
)
async def test_each_wrong_field_of_an_application_is_told(
    world: World, field: str, value: str, code: str
) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await citizen.do("applyCard", **(FORM | {field: value}))

    assert problems_of(answer)[field] == code
    assert await world.rows() == before


@pytest.mark.parametrize("typed", ["sample028", " SAMPLE 028 ", "Sample-028"])
async def test_a_card_number_may_be_typed_as_it_comes(world: World, typed: str) -> None:
    citizen = await world.enter("sealed")

    answer = await citizen.do(
        "activateCard",
        "card { state cardNumber }",
        phone=citizen.person.phone,
        cardNumber=typed,
        code=await citizen.code("ACTIVATE_CARD"),
    )

    assert answer["card"] == {"state": "ACTIVE", "cardNumber": "SAMPLE028"}


@pytest.mark.parametrize("typed", ["ＳＡＭＰＬＥ０２", "SAMPLE02", "SAMPLE028\u0000", "𠮷AMPLE028"])
async def test_a_card_number_of_the_wrong_shape_is_refused(world: World, typed: str) -> None:
    citizen = await world.enter("sealed")
    code = await citizen.code("ACTIVATE_CARD")
    before = await world.rows(), await world.rows("verification_codes")

    answer = await citizen.do(
        "activateCard", phone=citizen.person.phone, cardNumber=typed, code=code
    )

    assert (answer["code"], answer["field"]) == ("INVALID_FORMAT", "cardNumber")
    assert (await world.rows(), await world.rows("verification_codes")) == before


NO_IDS = ["", "x", "-1", "0", str(2**63), "9" * 40, "9" * 5000, "１２", "1e3", "\u0000"]


@pytest.mark.parametrize("session_id", NO_IDS)
async def test_a_session_that_is_none_is_refused(
    world: World, active: FrontEnd, session_id: str
) -> None:
    before = await world.rows(), await world.rows("sessions")

    answer = await active.ask(
        f"mutation($id: ID!) {{ endSession(id: $id) {{ {REFUSAL} }} }}", id=session_id
    )

    assert answer["code"] == "NO_SUCH_SESSION"
    assert (await world.rows(), await world.rows("sessions")) == before


@pytest.mark.parametrize("upload_id", NO_IDS)
async def test_an_upload_that_is_none_is_refused(
    world: World, active: FrontEnd, upload_id: str
) -> None:
    before = await world.rows()

    answer = await active.ask(
        f"mutation($id: ID!) {{ uploadPortraitFrom(uploadId: $id) {{ {REFUSAL} }} }}", id=upload_id
    )

    assert answer["code"] == "NO_SUCH_UPLOAD"
    assert await world.rows() == before


@pytest.mark.parametrize("portrait_id", NO_IDS)
async def test_an_id_that_is_none_is_refused(
    world: World, active: FrontEnd, portrait_id: str
) -> None:
    before = await world.rows()

    answer = await active.ask(
        f"mutation($p: ID!) {{ confirmPortrait(portraitId: $p) {{ {REFUSAL} }} }}", p=portrait_id
    )

    assert answer["code"] == "NO_SUCH_PORTRAIT"
    assert await world.rows() == before


async def test_everybody_may_ask_for_districts_and_banks(world: World) -> None:
    stranger = world.front_end("active")

    answer = (await stranger.post("{ districts { code name } banks { code name } }")).json()["data"]

    assert {"code": "510104", "name": "锦江区"} in answer["districts"]
    assert {"code": "SAMPLE-BOCD", "name": "成都银行"} in answer["banks"]
    assert (len(answer["districts"]), len(answer["banks"])) == (20, 7)


@pytest.mark.parametrize("district", ["", "999999", "５１０１０４", "510104\n", "\u0000"])
async def test_an_unknown_district_has_no_outlets(world: World, district: str) -> None:
    citizen = world.front_end("active")

    found = await citizen.ask(
        "query($d: String!) { outlets(districtCode: $d) { code } }", d=district
    )

    assert found == []


# --- sessions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp4", "bearer " + "a" * 5_000, "Bearer a b", "x"],
)
async def test_without_a_session_nothing_is_shown(world: World, authorization: str) -> None:
    response = await world.http.post(
        "/graphql", json={"query": CARD_STATUS}, headers={"Authorization": authorization}
    )

    reply = response.json()
    assert reply["data"] is None
    assert reply["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_an_expired_session_is_refused(world: World) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        citizen = await world.enter("active")
        assert (await citizen.status())["state"] == "ACTIVE"
        before = await world.rows()

        clock.move_to(NOW + timedelta(hours=2, seconds=1))
        response = await citizen.post(CARD_STATUS)

    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await world.rows() == before


async def test_an_ended_session_is_refused(world: World, active: FrontEnd) -> None:
    await active.ask("mutation { signOut { __typename } }")
    before = await world.rows(), await world.rows("sessions")

    for document in (CARD_STATUS, "mutation { signOut { __typename } }"):
        response = await active.post(document)
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await active.ask("{ viewer { name } }") is None
    assert (await world.rows(), await world.rows("sessions")) == before


@pytest.mark.parametrize("claimed", [*OTHER_CHANNELS, "unionpay", "", "x"])
async def test_a_session_of_another_channel_is_refused(
    world: World, active: FrontEnd, claimed: str
) -> None:
    before = await world.rows()

    response = await active.post(CARD_STATUS, **{"X-Card-Channel": claimed})

    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "SESSION_OF_ANOTHER_CHANNEL"
    assert await world.rows() == before


async def test_a_session_of_the_claimed_channel_is_taken(active: FrontEnd) -> None:
    response = await active.post(CARD_STATUS, **{"X-Card-Channel": "UNIONPAY"})

    assert response.json()["data"] == {
        "cardStatus": {"__typename": "CardStatus", "state": "ACTIVE"}
    }


@pytest.mark.parametrize("other", OTHER_CHANNELS)
async def test_a_credential_of_another_channel_signs_nobody_in(world: World, other: str) -> None:
    citizen = world.front_end("active")
    handed = await citizen.authorize()
    before = await world.rows(), await world.rows("sessions")

    answer = await citizen.do("signIn", channel=other, **handed)

    assert answer["__typename"] == "Refusal"
    assert answer["code"] in ("SIGN_IN_EXPIRED", "SIGN_IN_STATE_INVALID", "CHANNEL_UNAVAILABLE")
    assert (await world.rows(), await world.rows("sessions")) == before


# --- what nobody expected ------------------------------------------------------------------


async def break_names(world: World) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(
            Query(update(citizens_table).values(name=b"\x04test-opens-under-no-key"))
        )

    await world.application.database.write(job)


async def test_an_unexpected_error_is_masked_and_logged_without_values(
    world: World, active: FrontEnd, capfd: pytest.CaptureFixture[str]
) -> None:
    await break_names(world)

    reply = (await active.post("{ viewer { name phone } }")).json()

    error = reply["errors"][0]
    error_id = error["extensions"]["errorId"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error_id in error["message"]
    assert "citizens" not in str(reply)
    assert "CannotOpen" not in str(reply)
    logged = "".join(capfd.readouterr())
    assert error_id in logged
    assert "CannotOpen" in logged
    for value in (active.person.phone, active.person.name, active.person.social_security_number):
        assert value not in logged
    assert active.headers["Authorization"].removeprefix("Bearer ") not in logged


async def test_an_unexpected_error_is_told_in_the_citizens_language(
    world: World, active: FrontEnd
) -> None:
    await break_names(world)

    reply = (await active.post("{ viewer { name } }", **{"Accept-Language": "en"})).json()

    assert reply["errors"][0]["message"].startswith("An unexpected error occurred")


async def test_a_damaged_database_is_told_honestly(
    world: World, active: FrontEnd, sqlite_url: str
) -> None:
    for path in ("", "-wal"):
        with open(sqlite_url.removeprefix("sqlite:///") + path, "r+b") as file:  # noqa: ASYNC230
            file.write(b"garbage" * 50_000)

    response = await active.post(CARD_STATUS)
    ready = await world.http.get("/readyz")
    metrics = await world.http.get("/metrics")

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TRY_AGAIN_LATER"
    assert int(response.headers["retry-after"]) > 0
    assert (ready.status_code, metrics.status_code) == (503, 503)
