"""A session belongs to one channel, one account and one device, and its owner can end it."""

from typing import Any

import pytest

from gateway.channels import CHANNELS
from tests.front_end import FrontEnd, World
from tests.services.parts import later

SESSIONS = "{ sessions { id channel startedAt expiresAt current } }"
END = "mutation($id: ID!) { endSession(id: $id) { __typename ... on Refusal { code message field } } }"
SIGN_OUT = "mutation { signOut { __typename } }"
STATUS = "{ cardStatus { __typename } }"
DEVICE_KEY = "a device key of this phone"
CHANNEL_IDS = [kind.id.value for kind in CHANNELS]


async def _error(citizen: FrontEnd, **headers: str) -> tuple[int, str | None]:
    """Status, and the code of the first error."""
    response = await citizen.post(STATUS, **headers)
    errors = response.json().get("errors")
    return response.status_code, errors and errors[0]["extensions"]["code"]


async def _own(citizen: FrontEnd) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await citizen.ask(SESSIONS)
    return found


async def _end(citizen: FrontEnd, session_id: str) -> bytes:
    return (await citizen.post(END, {"id": session_id})).content


# --- channel -------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_session_holds_in_its_own_channel_only(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)

    answers = {
        claimed: await _error(citizen, **{"X-Card-Channel": claimed})
        for claimed in (*CHANNEL_IDS, "KIOSK", "")
    }

    assert answers.pop(channel) == (200, None)
    assert set(answers.values()) == {(401, "SESSION_OF_ANOTHER_CHANNEL")}


# --- device key ----------------------------------------------------------------------------


async def test_a_session_begun_with_a_device_key_needs_it(world: World) -> None:
    citizen = world.front_end("active")
    citizen.headers = {"X-Device-Key": DEVICE_KEY}
    await citizen.sign_in()

    assert await _error(citizen, **{"X-Device-Key": DEVICE_KEY}) == (200, None)
    for headers in ({}, {"X-Device-Key": "another key of a phone"}):
        assert (await _error(citizen, **headers))[1] == "UNAUTHENTICATED"


async def test_a_session_begun_without_a_device_key_works_with_any(world: World) -> None:
    citizen = await world.enter("active")

    assert await _error(citizen, **{"X-Device-Key": DEVICE_KEY}) == (200, None)


@pytest.mark.parametrize("key", ["", "x" * 15, "x" * 201])
async def test_a_device_key_of_another_length_is_a_bad_request(world: World, key: str) -> None:
    response = await world.front_end("active").post("{ __typename }", **{"X-Device-Key": key})

    assert response.status_code == 400


async def test_the_database_holds_neither_token_nor_device_key(world: World) -> None:
    citizen = world.front_end("active")
    citizen.headers = {"X-Device-Key": DEVICE_KEY}
    token = (await citizen.sign_in())["token"]

    rows = str(await world.rows("sessions"))

    assert token not in rows
    assert DEVICE_KEY not in rows


# --- lifetime ------------------------------------------------------------------------------


@pytest.mark.parametrize(("channel", "hours"), [("WECHAT", 2), ("UNIONPAY", 1), ("PING_AN", 2)])
async def test_a_session_ends_with_the_platforms_own_token(
    world: World, channel: str, hours: int
) -> None:
    """UnionPay's access tokens last an hour, the others two."""
    citizen = await world.enter("active", channel)

    with later(hours=hours, seconds=-30):
        before = await _error(citizen)
    with later(hours=hours, seconds=1):
        after = await _error(citizen)

    assert before == (200, None)
    assert after[1] == "UNAUTHENTICATED"


# --- ending --------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_a_token_is_refused_right_after_sign_out(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    before = await _error(citizen)

    await citizen.ask(SIGN_OUT)

    assert before == (200, None)
    assert (await _error(citizen))[1] == "UNAUTHENTICATED"


async def test_ends_another_session_of_ones_own_at_once(world: World) -> None:
    here, there = await world.enter("active", "UNIONPAY"), await world.enter("active", "PING_AN")
    other = next(session for session in await _own(here) if not session["current"])

    answer = await _end(here, other["id"])

    assert b'"SessionEnded"' in answer
    assert (await _error(there))[1] == "UNAUTHENTICATED"
    assert await _error(here) == (200, None)
    assert [session["current"] for session in await _own(here)] == [True]


async def test_lists_ones_own_open_sessions_newest_first(world: World) -> None:
    first = await world.enter("active", "UNIONPAY")
    await world.enter("lost", "UNIONPAY")
    await world.enter("active", "WECHAT")

    listed = await _own(first)

    assert [session["channel"] for session in listed] == ["WECHAT", "UNIONPAY"]
    assert [session["current"] for session in listed] == [False, True]


async def test_lists_no_session_that_is_over(world: World) -> None:
    await world.enter("active", "UNIONPAY")

    with later(hours=2, seconds=1):
        citizen = await world.enter("active", "PING_AN")

        assert [session["channel"] for session in await _own(citizen)] == ["PING_AN"]


async def test_lists_only_itself_before_the_person_is_known(world: World) -> None:
    stranger = world.front_end("active", "WECHAT")
    await stranger.sign_in()
    await world.enter("active", "UNIONPAY")

    assert [session["channel"] for session in await _own(stranger)] == ["WECHAT"]


async def test_someone_elses_session_and_an_unknown_one_are_refused_alike(world: World) -> None:
    citizen, neighbour = await world.enter("active"), await world.enter("lost")
    (of_neighbour,) = await _own(neighbour)
    before = await world.rows("sessions", "audit_entries")

    answers = [
        await _end(citizen, session_id)
        for session_id in (of_neighbour["id"], str(int(of_neighbour["id"]) + 1), "1", "x", "")
    ]

    assert b'"NO_SUCH_SESSION"' in answers[0]
    assert set(answers) == {answers[0]}
    assert await world.rows("sessions", "audit_entries") == before
    assert await _error(neighbour) == (200, None)


async def test_a_stranger_cannot_end_the_sessions_of_the_person_they_claim_to_be(
    world: World,
) -> None:
    citizen, stranger = await world.enter("active"), world.front_end("active", "WECHAT")
    await stranger.sign_in()
    (of_citizen,) = await _own(citizen)

    answer = await _end(stranger, of_citizen["id"])

    assert b'"NO_SUCH_SESSION"' in answer
    assert await _error(citizen) == (200, None)


@pytest.mark.parametrize("document", [SESSIONS, END.replace("$id: ID!", "$id: ID = 1")])
async def test_needs_a_session(world: World, document: str) -> None:
    response = await world.front_end("active").post(document)

    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
