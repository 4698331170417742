"""退出 sign out, and what happens without a session, through HTTP."""

from datetime import datetime

from tests.front_end import FrontEnd, World
from tests.services.parts import english, history

_SIGN_OUT = "mutation { signOut { __typename ... on SignedOut { at } } }"


async def test_ends_the_session_at_once_and_no_other(world: World, active: FrontEnd) -> None:
    elsewhere = await world.enter("active", "PING_AN")

    answer = await active.ask(_SIGN_OUT)

    assert answer["__typename"] == "SignedOut"
    assert datetime.fromisoformat(answer["at"]).tzinfo is not None
    response = await active.post("{ cardStatus { __typename } }")
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert await active.ask("{ viewer { bound } }") is None
    assert (await elsewhere.status())["state"] == "ACTIVE"
    assert (await history(world, active.person))[-1] == "SIGN_OUT"


async def test_answers_without_a_session_in_both_languages(world: World) -> None:
    actor = world.front_end("active")
    before = await world.rows("sessions", "audit_entries")

    chinese = (await actor.post(_SIGN_OUT)).json()
    with english(actor):
        in_english = (await actor.post(_SIGN_OUT)).json()

    assert chinese["errors"][0]["message"].startswith("请先登录")
    assert in_english["errors"][0]["message"].startswith("Please sign in")
    assert await world.rows("sessions", "audit_entries") == before
