"""What every channel keeps, over HTTP and with a database: a call that is not genuine writes nothing.

Parametrised over `CHANNELS`, like the suite of the folder above; what each platform signs, and
what a forger has of it, stands in its samples file.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.citizens import nonces
from core.db import Transaction
from core.kernel.settings import Settings
from gateway.channels import CHANNELS
from gateway.channels.contract import Channel
from sandbox.personas import PERSONAS
from tests.channels.parts import samples_of
from tests.channels.samples.shape import Callbacks, Sent
from tests.front_end import FrontEnd, World
from tests.services.parts import history, later

from .parts import everything, seconds, settings_of

WRITTEN = ("sessions", "bindings", "citizens", "nonces", "code_exchanges", "channel_messages")
CALLING = [kind for kind in CHANNELS if samples_of(kind).callbacks]
SILENT = [kind for kind in CHANNELS if not samples_of(kind).callbacks]
AUTHORIZE = (
    "query($c: ChannelId!) {"
    ' channel(id: $c) { authorizeUrl(redirectUri: "http://127.0.0.1:8000/") } }'
)


def path_of(kind: type[Channel]) -> str:
    return f"/channels/{kind.id.value.lower().replace('_', '-')}/callback"


def callbacks_of(kind: type[Channel]) -> Callbacks:
    callbacks = samples_of(kind).callbacks
    assert callbacks is not None
    return callbacks


async def call(world: World, kind: type[Channel], sent: Sent) -> httpx.Response:
    query, body = sent
    return await world.http.post(path_of(kind), params=query, content=body)


# --- calls of the platform -----------------------------------------------------------------


def forged(callbacks: Callbacks, settings: Settings) -> Iterator[Sent]:
    yield from (make(settings, seconds()) for make in callbacks.forged.values())


def tampered(callbacks: Callbacks, settings: Settings) -> Iterator[Sent]:
    yield from (make(settings, seconds()) for make in callbacks.tampered.values())


def stale(callbacks: Callbacks, settings: Settings) -> Iterator[Sent]:
    for offset in (-301, -3_600, -86_400 * 365, 310, 86_400):
        yield callbacks.make(settings, seconds() + offset)


def truncated(callbacks: Callbacks, settings: Settings) -> Iterator[Sent]:
    for kept in (0.0, 0.01, 0.25, 0.5, 0.75, 0.99):
        query, body = callbacks.make(settings, seconds())
        yield query, body[: int(len(body) * kept)]


def empty(callbacks: Callbacks, settings: Settings) -> Iterator[Sent]:
    query, body = callbacks.make(settings, seconds())
    yield from (({}, b""), (query, b""), (dict.fromkeys(query, ""), b" "))
    yield from (({}, body),) if query else ()


NOT_GENUINE = [forged, tampered, stale, truncated, empty]


@pytest.mark.parametrize("what", NOT_GENUINE, ids=lambda what: what.__name__)
@pytest.mark.parametrize("kind", CALLING, ids=lambda kind: kind.id.value)
async def test_what_is_not_genuine_is_refused_and_writes_nothing(
    world: World, kind: type[Channel], what: Any
) -> None:
    citizen = await world.enter("active", kind.id.value)
    before = await everything(world)

    answers = [
        await call(world, kind, sent) for sent in what(callbacks_of(kind), settings_of(world))
    ]

    assert len(answers) >= 3
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, "forbidden\n")}
    assert await everything(world) == before
    assert (await citizen.status())["__typename"] == "CardStatus"


@pytest.mark.parametrize("kind", CALLING, ids=lambda kind: kind.id.value)
async def test_what_is_genuine_is_taken_once_however_often_it_comes(
    world: World, kind: type[Channel]
) -> None:
    citizen = await world.enter("active", kind.id.value)
    sent = callbacks_of(kind).make(settings_of(world), seconds())

    first = await call(world, kind, sent)
    gone = (await citizen.post("{ cardStatus { __typename } }")).json()
    with later(seconds=61):
        again = await world.enter("active", kind.id.value)
        before = await everything(world)
        replayed = await asyncio.gather(*(call(world, kind, sent) for _ in range(20)))
        after = await everything(world)
        status = await again.status()

    assert (first.status_code, first.content) == (200, callbacks_of(kind).taken)
    assert gone["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert {(answer.status_code, answer.content) for answer in replayed} == {
        (200, callbacks_of(kind).taken)
    }
    assert after == before
    assert status["__typename"] == "CardStatus"
    assert (await history(world, PERSONAS["active"])).count("UNBOUND") == 1


@pytest.mark.parametrize("kind", CALLING, ids=lambda kind: kind.id.value)
async def test_a_replay_is_known_for_twice_the_skew(world: World, kind: type[Channel]) -> None:
    """Signed by a clock that is ahead, it can come again until ten minutes from now."""
    sent = callbacks_of(kind).make(settings_of(world), seconds() + 298)
    await world.enter("active", kind.id.value)
    await call(world, kind, sent)

    with later(seconds=590):
        await world.enter("active", kind.id.value)
        await _forget_old(world)
        before = await everything(world)
        answer = await call(world, kind, sent)

        assert answer.status_code == 200
        assert await everything(world) == before


async def _forget_old(world: World) -> None:
    """As the worker does now and then."""

    async def job(db: Transaction) -> None:
        await db.fetch(nonces.FORGET_OLD, before=world.application.clock())

    await world.application.database.write(job)


@pytest.mark.parametrize("others", CALLING, ids=lambda kind: f"of {kind.id.value}")
@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.id.value)
async def test_a_call_of_another_platform_is_refused(
    world: World, kind: type[Channel], others: type[Channel]
) -> None:
    if kind is others:
        return
    sent = callbacks_of(others).make(settings_of(world), seconds())
    before = await everything(world)

    answer = await call(world, kind, sent)

    assert answer.status_code == (403 if kind in CALLING else 404)
    assert await everything(world) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", SILENT, ids=lambda kind: kind.id.value)
async def test_where_the_platform_calls_nothing_nothing_is_taken(
    world: World, kind: type[Channel], method: str
) -> None:
    before = await everything(world)

    answers = [
        await world.http.request(method, path_of(kind), content=body)
        for body in (b"", b"{}", b"<xml/>", b"type=x&openId=y", b"\x00\xff")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert await everything(world) == before


# --- citizens ------------------------------------------------------------------------------


async def state_of(citizen: FrontEnd) -> str | None:
    url = (await citizen.ask(AUTHORIZE, c=citizen.channel))["authorizeUrl"]
    return parse_qs(urlsplit(url).query)["state"][0] if url else None


async def code_of(citizen: FrontEnd) -> str:
    return (await citizen.authorize())["credential"]


async def sign_in(citizen: FrontEnd, credential: str, state: str | None) -> dict[str, Any]:
    return await citizen.do(
        "signIn", "token", channel=citizen.channel, credential=credential, state=state
    )


def flipped(text: str, at: int) -> str:
    return text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]


CREDENTIALS: dict[str, Callable[[str], str]] = {
    "empty": lambda code: "",
    "blank": lambda code: "   ",
    "truncated": lambda code: code[: len(code) // 2],
    "tampered": lambda code: flipped(code, len(code) // 2),
    "lengthened": lambda code: code + "A",
    "control characters": lambda code: f"{code}\r\nX: y",
    "far too long": lambda code: code * 200,
    "made up": lambda code: "0" * len(code),
}
STATES: dict[str, Callable[[str], str | None]] = {
    "empty": lambda state: "",
    "absent": lambda state: None,
    "truncated": lambda state: state[:-1],
    "lengthened": lambda state: state + "0",
    "its time changed": lambda state: flipped(state, 11),
    "its nonce changed": lambda state: flipped(state, 20),
    "its mark changed": lambda state: flipped(state, 50),
    "made up": lambda state: "0" * len(state),
    "full-width digits": lambda state: state.translate({48: "０"}) + "０",
}


@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.id.value)
async def test_no_forged_credential_signs_in(world: World, kind: type[Channel]) -> None:
    citizen = world.front_end("active", kind.id.value)
    before = await world.rows(*WRITTEN)

    answers = {
        name: await sign_in(citizen, change(await code_of(citizen)), await state_of(citizen))
        for name, change in CREDENTIALS.items()
    }

    codes = {name: answer["code"] for name, answer in answers.items()}
    assert codes == dict.fromkeys(CREDENTIALS, "SIGN_IN_EXPIRED") | {"empty": "REQUIRED"}
    assert await world.rows(*WRITTEN) == before


@pytest.mark.parametrize("others", CHANNELS, ids=lambda kind: f"of {kind.id.value}")
@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.id.value)
async def test_a_credential_of_another_channel_signs_nobody_in(
    world: World, kind: type[Channel], others: type[Channel]
) -> None:
    if kind is others:
        return
    citizen = world.front_end("active", kind.id.value)
    foreign = await code_of(world.front_end("active", others.id.value))
    before = await world.rows(*WRITTEN)

    answer = await sign_in(citizen, foreign, await state_of(citizen))

    assert answer["code"] == "SIGN_IN_EXPIRED"
    assert await world.rows(*WRITTEN) == before


@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.id.value)
async def test_a_credential_that_was_used_signs_nobody_in_again(
    world: World, kind: type[Channel]
) -> None:
    citizen = world.front_end("active", kind.id.value)
    code = await code_of(citizen)
    first = await sign_in(citizen, code, await state_of(citizen))
    await world.application.worker.drained()
    before = await world.rows(*WRITTEN)

    second = await sign_in(citizen, code, await state_of(citizen))

    assert first["__typename"] == "SignedIn"
    assert second["__typename"] == "Refusal"
    assert await world.rows(*WRITTEN) == before


@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.id.value)
async def test_a_credential_that_is_too_old_signs_nobody_in(
    world: World, kind: type[Channel]
) -> None:
    citizen = world.front_end("active", kind.id.value)
    code = await code_of(citizen)
    before = await world.rows(*WRITTEN)

    with later(minutes=5, seconds=2):
        answer = await sign_in(citizen, code, await state_of(citizen))

    assert answer["code"] == "SIGN_IN_EXPIRED"
    assert await world.rows(*WRITTEN) == before


@pytest.mark.parametrize(
    "kind", [kind for kind in CHANNELS if kind.uses_state], ids=lambda kind: kind.id.value
)
async def test_no_forged_state_signs_in(world: World, kind: type[Channel]) -> None:
    citizen = world.front_end("active", kind.id.value)
    before = await world.rows(*WRITTEN)

    answers = {}
    for name, change in STATES.items():
        state = await state_of(citizen)
        assert state is not None
        answers[name] = await sign_in(citizen, await code_of(citizen), change(state))

    faults = {name: (answer["code"], answer["field"]) for name, answer in answers.items()}
    assert faults == dict.fromkeys(STATES, ("SIGN_IN_STATE_INVALID", "state"))
    assert await world.rows(*WRITTEN) == before
