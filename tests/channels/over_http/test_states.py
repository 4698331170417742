"""The `state` of the authorize page: ours, of this channel and browser, for ten minutes, once."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from gateway.channels import CHANNELS
from sandbox.paths import world_file
from sandbox.world import World as SandboxWorld
from tests.conftest import ADDRESS, running
from tests.front_end import FrontEnd, World
from tests.services.parts import fault, later

from .parts import OPEN_ID

VERIFIER = "a verifier that the browser drew at random"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]
AUTHORIZE = (
    "query($c: ChannelId!, $x: String) {"
    ' channel(id: $c) { authorizeUrl(redirectUri: "http://127.0.0.1:8000/", challenge: $x) } }'
)
INVALID = ("SIGN_IN_STATE_INVALID", "state")
WITH_STATE = [kind.id.value for kind in CHANNELS if kind.uses_state]
EVERY = pytest.mark.parametrize("channel", WITH_STATE)


async def _state(citizen: FrontEnd, challenge: str | None = None) -> str:
    answer = await citizen.ask(AUTHORIZE, c=citizen.channel, x=challenge)
    return parse_qs(urlsplit(answer["authorizeUrl"]).query)["state"][0]


async def _code(citizen: FrontEnd) -> str:
    return (await citizen.authorize())["credential"]


async def _sign_in(citizen: FrontEnd, code: str, state: str, **more: str) -> dict[str, Any]:
    return await citizen.do(
        "signIn", "token", channel=citizen.channel, credential=code, state=state, **more
    )


@EVERY
async def test_a_state_works_once(world: World, channel: str) -> None:
    citizen = world.front_end("active", channel)
    state = await _state(citizen)
    first = await _sign_in(citizen, await _code(citizen), state)
    before = await world.rows("sessions", "bindings", "citizens")

    second = await _sign_in(citizen, await _code(citizen), state)

    assert first["__typename"] == "SignedIn"
    assert fault(second) == INVALID
    assert await world.rows("sessions", "bindings", "citizens") == before


@EVERY
async def test_a_state_of_another_channel_is_refused(world: World, channel: str) -> None:
    citizen = world.front_end("active", channel)
    (other,) = (name for name in WITH_STATE if name != channel)
    foreign = await _state(world.front_end("active", other))
    before = await world.rows("sessions", "nonces")

    answer = await _sign_in(citizen, await _code(citizen), foreign)

    assert fault(answer) == INVALID
    assert await world.rows("sessions", "nonces") == before


@EVERY
@pytest.mark.parametrize(("seconds", "typename"), [(590, "SignedIn"), (601, "Refusal")])
async def test_a_state_is_valid_for_ten_minutes(
    world: World, channel: str, seconds: int, typename: str
) -> None:
    citizen = world.front_end("active", channel)
    state = await _state(citizen)

    with later(seconds=seconds):
        answer = await _sign_in(citizen, await _code(citizen), state)

    assert answer["__typename"] == typename


@EVERY
async def test_a_state_from_the_future_is_refused(world: World, channel: str) -> None:
    citizen = world.front_end("active", channel)
    with later(hours=2):
        state = await _state(citizen)

    answer = await _sign_in(citizen, await _code(citizen), state)

    assert fault(answer) == INVALID


@EVERY
async def test_a_refused_state_costs_the_citizen_no_code(world: World, channel: str) -> None:
    citizen = world.front_end("active", channel)
    code = await _code(citizen)
    await _sign_in(citizen, code, "0" * 60)

    answer = await _sign_in(citizen, code, await _state(citizen))

    assert answer["__typename"] == "SignedIn"


@EVERY
async def test_a_state_bound_to_a_browser_needs_its_verifier(world: World, channel: str) -> None:
    citizen = world.front_end("active", channel)
    state = await _state(citizen, CHALLENGE)
    before = await world.rows("sessions", "nonces")

    stolen = [
        await _sign_in(citizen, await _code(citizen), state, **more)
        for more in ({}, {"verifier": ""}, {"verifier": CHALLENGE}, {"verifier": VERIFIER[:-1]})
    ]
    unwritten = await world.rows("sessions", "nonces")
    own = await _sign_in(citizen, await _code(citizen), state, verifier=VERIFIER)

    assert {fault(answer) for answer in stolen} == {INVALID}
    assert unwritten == before
    assert own["__typename"] == "SignedIn"


@pytest.mark.parametrize(
    ("challenge", "code"),
    [(None, "REQUIRED"), ("", "REQUIRED"), (CHALLENGE, None)]
    + [
        (wrong, "INVALID_FORMAT") for wrong in (CHALLENGE[:-1], CHALLENGE + "A", "=" * 43, VERIFIER)
    ],
)
@EVERY
async def test_outside_the_sandbox_a_state_is_given_to_a_browser_alone(
    world: World, channel: str, challenge: str | None, code: str | None
) -> None:
    given = world.application.channels[ChannelId(channel)]
    given._settings = replace(given._settings, sandbox=False)

    reply = (
        await world.front_end("active", channel).post(AUTHORIZE, {"c": channel, "x": challenge})
    ).json()

    errors = reply.get("errors", [])
    assert [error["extensions"]["code"] for error in errors] == ([code] if code else [])
    assert [error["extensions"]["field"] for error in errors] == (["challenge"] if code else [])
    assert (code is None) is bool(reply["data"] and reply["data"]["channel"]["authorizeUrl"])


@pytest.mark.parametrize(
    ("given", "must"),
    [
        ({"sandbox": True}, False),
        ({"sandbox": False}, True),
        ({"sandbox": False, "bind_browsers": False}, False),
        ({"sandbox": True, "bind_browsers": True}, True),
    ],
)
def test_whether_browsers_must_be_bound_is_a_setting(given: dict[str, bool], must: bool) -> None:
    assert Settings(**given).browsers_must_be_bound is must  # type: ignore[arg-type]


@EVERY
async def test_a_verifier_fits_no_state_that_was_issued_without_one(
    world: World, channel: str
) -> None:
    citizen = world.front_end("active", channel)

    answer = await _sign_in(citizen, await _code(citizen), await _state(citizen), verifier=VERIFIER)

    assert fault(answer) == INVALID


async def test_the_second_call_of_a_wechat_browser_signs_in_again(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    code, state = await _code(citizen), await _state(citizen)

    first, second = [await _sign_in(citizen, code, state) for _ in range(2)]

    assert [first["__typename"], second["__typename"]] == ["SignedIn", "SignedIn"]
    assert first["token"] != second["token"]


# --- the second call, at another worker ------------------------------------------------------


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another worker of the same gateway: it shares the database and no memory."""
    async with (
        running(settings) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as http,
    ):
        yield http


async def test_the_second_call_gets_the_first_answer_at_another_worker(
    world: World, elsewhere: httpx.AsyncClient
) -> None:
    here = world.front_end("active", "WECHAT")
    there = FrontEnd(elsewhere, "WECHAT", here.person)
    code, state = await _code(here), await _state(here, CHALLENGE)

    first = await _sign_in(here, code, state, verifier=VERIFIER)
    second = await _sign_in(there, code, state, verifier=VERIFIER)
    overheard = await _sign_in(there, code, state)

    assert [first["__typename"], second["__typename"]] == ["SignedIn", "SignedIn"]
    assert first["token"] != second["token"]
    assert fault(overheard) == INVALID
    accounts = {row[3] for row in (await world.rows("sessions"))["sessions"]}
    assert len(accounts) == 1


async def test_both_calls_at_once_at_two_workers_are_one_sign_in(
    world: World, elsewhere: httpx.AsyncClient
) -> None:
    here = world.front_end("active", "WECHAT")
    there = FrontEnd(elsewhere, "WECHAT", here.person)
    code, state = await _code(here), await _state(here)

    answers = await asyncio.gather(
        *(_sign_in(front_end, code, state) for front_end in (here, there) * 3)
    )

    assert {answer["__typename"] for answer in answers} == {"SignedIn"}


async def test_a_platform_may_say_any_lifetime_of_its_token(
    world: World, elsewhere: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More seconds than an INTEGER of PostgreSQL holds; the session ends when ours do."""
    monkeypatch.setattr("sandbox.platforms.wechat.TOKEN_SECONDS", 2**31)
    here = world.front_end("active", "WECHAT")
    there = FrontEnd(elsewhere, "WECHAT", here.person)
    code, state = await _code(here), await _state(here)

    first = await _sign_in(here, code, state)
    second = await _sign_in(there, code, state)

    assert [first["__typename"], second["__typename"]] == ["SignedIn", "SignedIn"]
    for citizen, answer in ((here, first), (there, second)):
        citizen.headers = {"Authorization": f"Bearer {answer['token']}"}
        assert await citizen.ask("{ sessions { current } }")
        with later(hours=2, seconds=1):
            late = (await citizen.post("{ sessions { current } }")).json()
        assert late["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_first_answer_is_kept_for_the_lifetime_of_a_code(
    world: World, elsewhere: httpx.AsyncClient
) -> None:
    here = world.front_end("active", "WECHAT")
    there = FrontEnd(elsewhere, "WECHAT", here.person)
    code, state = await _code(here), await _state(here)
    await _sign_in(here, code, state)

    with later(minutes=5, seconds=1):
        late = await _sign_in(there, code, state)

    assert fault(late) == ("SIGN_IN_EXPIRED", None)


async def test_a_virtual_account_is_told_so_at_another_worker(
    world: World, elsewhere: httpx.AsyncClient, settings: Settings
) -> None:
    here = world.front_end("active", "WECHAT")
    there = FrontEnd(elsewhere, "WECHAT", here.person)
    code, state = await _code(here), await _state(here)
    outside = SandboxWorld(world_file(settings))
    outside.put(
        "wechat.codes", code, {**(outside.get("wechat.codes", code) or {}), "snapshot": True}
    )
    outside.close()
    before = await world.rows("sessions", "bindings")

    answers = [await _sign_in(front_end, code, state) for front_end in (here, there, here)]
    other_state = await _sign_in(there, code, await _state(there))

    assert [fault(answer)[0] for answer in answers] == ["VIRTUAL_ACCOUNT"] * 3
    assert fault(other_state)[0] == "SIGN_IN_EXPIRED"
    assert await world.rows("sessions", "bindings") == before


async def test_a_first_answer_lies_sealed(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    code, state = await _code(citizen), await _state(citizen)
    await _sign_in(citizen, code, state)

    rows = (await world.rows("code_exchanges"))["code_exchanges"]

    assert len(rows) == 1
    assert not [text for text in (code, state, OPEN_ID) if text in str(rows)]


async def test_a_state_used_with_one_code_takes_no_other(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    state = await _state(citizen)
    await _sign_in(citizen, await _code(citizen), state)
    before = await world.rows("sessions")

    answer = await _sign_in(citizen, await _code(citizen), state)

    assert fault(answer) == INVALID
    assert await world.rows("sessions") == before


async def test_a_used_code_with_a_new_state_of_another_browser_is_refused(world: World) -> None:
    """The first answer is kept for its own browser only: a code overheard is worth nothing."""
    citizen, thief = world.front_end("active", "WECHAT"), world.front_end("lost", "WECHAT")
    code = await _code(citizen)
    await _sign_in(citizen, code, await _state(citizen))
    before = await world.rows("sessions")

    answer = await _sign_in(thief, code, await _state(thief))

    assert answer["__typename"] == "Refusal"
    assert await world.rows("sessions") == before


async def test_ping_an_needs_no_state(world: World) -> None:
    citizen = world.front_end("active", "PING_AN")
    answer = await citizen.do("signIn", "token", channel="PING_AN", credential=await _code(citizen))

    assert answer["__typename"] == "SignedIn"
