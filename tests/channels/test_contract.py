"""What every channel keeps, tested on all of them alike; the wire is the only thing faked."""

import asyncio
import gzip
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import orjson
import pytest
import respx
from structlog.testing import capture_logs

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.refusals import (
    ChannelUnavailable,
    InvalidFormat,
    NotOfferedHere,
    Refusal,
    SignInExpired,
)
from core.kernel.texts import Language, Text
from gateway.channels import CHANNELS, build_channels
from gateway.channels.contract import Channel, EntryStep, Identity, Message
from gateway.channels.platform_client import client
from gateway.channels.platform_client.breaker import FAILURES_TO_OPEN, REST
from tests.clock import Clock

from .parts import NAME, NOW, NUMBER, PHONE, samples_of, settings
from .samples.shape import Call, Samples

EVERY_CALL = [
    pytest.param(kind, call, id=f"{kind.id.value}-{call.name}")
    for kind in CHANNELS
    for call in samples_of(kind).calls
]
EVERY_REFUSAL = [
    pytest.param(kind, refused, id=f"{kind.id.value}-{number}-{refused.call}")
    for kind in CHANNELS
    for number, refused in enumerate(samples_of(kind).refusals)
]
WITH_STATE = [pytest.param(kind, id=kind.id.value) for kind in CHANNELS if kind.uses_state]
HTML = "<html><body>系统维护中</body></html>"
BROKEN: dict[str, Callable[[Call], Any]] = {
    "read time-out": lambda _: httpx.ReadTimeout("slow"),
    "connect time-out": lambda _: httpx.ConnectTimeout("slow"),
    "no connection": lambda _: httpx.ConnectError("refused"),
    "cut off": lambda _: httpx.RemoteProtocolError("cut"),
    "500": lambda _: httpx.Response(500, text="oops"),
    "502 with a good body": lambda call: httpx.Response(502, json=call.reply),
    "redirect": lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.test/"}),
    "HTML": lambda _: httpx.Response(200, html=HTML),
    "garbage": lambda _: httpx.Response(200, content=b"\x00\xff\xfe garbage"),
    "empty": lambda _: httpx.Response(200, content=b""),
    "null": lambda _: httpx.Response(200, content=b"null"),
    "a list": lambda _: httpx.Response(200, json=[1]),
    "too large": lambda call: httpx.Response(
        200, content=orjson.dumps(call.reply) + b" " * 1_100_000
    ),
    "compressed": lambda call: httpx.Response(
        200, content=gzip.compress(orjson.dumps(call.reply)), headers={"Content-Encoding": "gzip"}
    ),
}
FORGED = ["", " ", "\x00", "code\r\nX: y", "码", "x" * 10_000, "a b\tc", "\u202ecode", "😀"]


def answer(wire: respx.Router, samples: Samples, **replies: Any) -> dict[str, respx.Route]:
    """Every call goes well, save those named."""
    calls = (*samples.calls, *samples.others)
    return {call.name: _route(wire, call, replies.get(call.name)) for call in calls}


def _route(wire: respx.Router, call: Call, reply: Any) -> respx.Route:
    route = wire.request(call.method, url__startswith=call.url)
    if reply is None:
        return route.respond(json=dict(call.reply))
    if isinstance(reply, Mapping):
        return route.respond(json=dict(reply))
    return route.mock(
        side_effect=reply if isinstance(reply, Exception) or callable(reply) else None,
        return_value=reply if isinstance(reply, httpx.Response) else None,
    )


# --- identity ------------------------------------------------------------------------------


async def test_tells_who_signed_in(channel: Channel, samples: Samples, wire: respx.Router) -> None:
    answer(wire, samples)

    identity = await channel.identify(samples.credential, NOW)

    assert identity == samples.identity


async def test_vouches_for_a_person_unless_the_person_must_bind(
    channel: Channel, samples: Samples
) -> None:
    known = samples.identity.level is RealNameLevel.PLATFORM

    assert known is not channel.binding_required
    assert known is bool(samples.identity.name and samples.identity.social_security_number)


async def test_refuses_a_used_credential(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    answer(wire, samples, **{samples.used.call: samples.used.reply})

    with pytest.raises(SignInExpired):
        await channel.identify(samples.credential, NOW)


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: ascii(forged)[:20])
async def test_asks_nobody_about_what_no_app_could_have_sent(
    channel: Channel, wire: respx.Router, forged: str
) -> None:
    with pytest.raises(SignInExpired):
        await channel.identify(forged, NOW)

    assert wire.calls.call_count == 0


@pytest.mark.parametrize(("kind", "refused"), EVERY_REFUSAL)
async def test_says_what_a_citizen_can_do_about_a_refusal(
    kind: type[Channel], refused: Any, http: httpx.AsyncClient, wire: respx.Router
) -> None:
    samples = samples_of(kind)
    answer(wire, samples, **{refused.call: refused.reply})

    with pytest.raises(Refusal) as caught:
        await kind(settings(), http).identify(samples.credential, NOW)

    assert type(caught.value) is refused.refusal
    assert all(caught.value.message(language) for language in Language)


# --- a platform that fails -----------------------------------------------------------------


@pytest.mark.parametrize("failure", BROKEN)
@pytest.mark.parametrize(("kind", "call"), EVERY_CALL)
async def test_a_failing_platform_is_unavailable(
    kind: type[Channel], call: Call, failure: str, http: httpx.AsyncClient, wire: respx.Router
) -> None:
    samples = samples_of(kind)
    answer(wire, samples, **{call.name: BROKEN[failure](call)})

    with pytest.raises(ChannelUnavailable) as caught:
        await kind(settings(), http).identify(samples.credential, NOW)

    assert caught.value.retry_after == 5
    assert kind.app_name.zh in caught.value.message(Language.ZH)
    assert caught.value.__cause__ is not None


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "call"), EVERY_CALL)
async def test_a_reply_with_any_field_missing_or_of_another_kind_never_escapes_as_an_error(
    kind: type[Channel], call: Call, http: httpx.AsyncClient, wire: respx.Router
) -> None:
    samples = samples_of(kind)
    routes = answer(wire, samples)
    outcomes: list[Identity | Refusal] = []

    for changed in _damaged(dict(call.reply)):
        routes[call.name].respond(json=changed)
        try:
            outcomes.append(await kind(settings(), http).identify(samples.credential, NOW))
        except Refusal as refusal:
            outcomes.append(refusal)

    assert len(outcomes) > 10
    assert all(
        outcome.account == samples.identity.account
        for outcome in outcomes
        if isinstance(outcome, Identity)
    )


def _damaged(reply: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inner = next((key for key in ("params", "data") if isinstance(reply.get(key), dict)), None)
    fields = reply[inner] if inner else reply
    values: tuple[Any, ...] = (None, [], {}, [{"a": 1}], -1.5)
    for key in fields:
        damaged = [{k: v for k, v in fields.items() if k != key}]
        damaged += [{**fields, key: value} for value in values]
        yield from ({**reply, inner: each} if inner else each for each in damaged)
    for value in values:
        yield {**reply, (inner or "errcode"): value}


@pytest.mark.parametrize(("kind", "call"), EVERY_CALL)
async def test_repeats_a_call_only_where_that_cannot_do_more(
    kind: type[Channel], call: Call, http: httpx.AsyncClient, wire: respx.Router
) -> None:
    samples = samples_of(kind)
    good = httpx.Response(200, json=dict(call.reply))
    routes = answer(wire, samples)
    routes[call.name].mock(side_effect=[httpx.ReadTimeout("slow"), good])

    outcome = await _outcome(kind(settings(), http).identify(samples.credential, NOW))

    assert routes[call.name].call_count == (2 if call.repeatable else 1)
    assert outcome == (samples.identity if call.repeatable else ChannelUnavailable)


async def test_tries_again_when_the_platform_was_never_reached(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    routes = answer(wire, samples)
    for call in samples.calls:
        good = httpx.Response(200, json=dict(call.reply))
        routes[call.name].mock(side_effect=[httpx.ConnectError("refused"), good])

    identity = await channel.identify(samples.credential, NOW)

    assert identity == samples.identity
    assert {routes[call.name].call_count for call in samples.calls} == {2}


async def test_asks_for_the_time_outs_agreed(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    answer(wire, samples)

    await channel.identify(samples.credential, NOW)

    for call in wire.calls:
        timeout = call.request.extensions["timeout"]
        assert (timeout["connect"], timeout["read"]) == (2.0, 5.0)


PATIENCE = {CHANNELS[0]: 5.0} | dict.fromkeys(CHANNELS[1:], 2.0)
"""Five seconds for real with the first one; less with the others, to save time."""


@pytest.mark.slow
async def test_gives_up_a_hanging_platform_in_time_and_serves_the_others_meanwhile(
    kind: type[Channel],
    wire: respx.Router,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert PATIENCE[CHANNELS[0]] == client.TOTAL_SECONDS
    monkeypatch.setattr(client, "TOTAL_SECONDS", PATIENCE[kind])
    channels = build_channels(settings(), http)
    for each in CHANNELS:
        answer(wire, samples_of(each))
    hanging, others = kind, [each for each in CHANNELS if each is not kind]
    first = samples_of(hanging).calls[0]
    wire.request(first.method, url__startswith=first.url).mock(side_effect=_hang)

    started = time.monotonic()
    waiting = [
        asyncio.create_task(_outcome(channels[hanging.id].identify(f"code{n}", NOW)))
        for n in range(300)
    ]
    await asyncio.sleep(0.1)
    for each in others:
        credential = samples_of(each).credential
        assert await channels[each.id].identify(credential, NOW) == samples_of(each).identity
    still_waiting = sum(not task.done() for task in waiting)
    outcomes = await asyncio.gather(*waiting)
    given_up = time.monotonic() - started

    assert set(outcomes) == {ChannelUnavailable}
    assert still_waiting > 0
    assert PATIENCE[kind] - 0.5 < given_up < PATIENCE[kind] + 10


async def _hang(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(30)
    return httpx.Response(200, json={})


async def _outcome(work: Awaitable[Identity]) -> Identity | type[Refusal]:
    try:
        return await work
    except Refusal as refusal:
        return type(refusal)


# --- the breaker ---------------------------------------------------------------------------


async def test_leaves_a_broken_platform_alone_and_lets_one_probe_through(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    first = samples.calls[0]
    routes = answer(wire, samples, **{first.name: httpx.Response(500)})
    clock = channel._platform._monotonic = Clock()  # type: ignore[attr-defined]
    for number in range(FAILURES_TO_OPEN):
        await _outcome(channel.identify(f"code{number}", NOW))
    asked = routes[first.name].call_count

    clock.now += 4_000
    with pytest.raises(ChannelUnavailable) as caught:
        await channel.identify(samples.credential, NOW)

    assert routes[first.name].call_count == asked
    assert caught.value.retry_after == (REST - 4_000) // 1000

    async def recovering(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return httpx.Response(200, json=dict(first.reply))

    routes[first.name].mock(side_effect=recovering)
    clock.now += REST - 4_000
    await asyncio.gather(
        *(_outcome(channel.identify(f"probe{number}", NOW)) for number in range(10))
    )
    probes = routes[first.name].call_count - asked

    assert probes == 1
    assert await channel.identify(samples.credential, NOW) == samples.identity


async def test_refused_citizens_never_open_the_breaker(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    routes = answer(wire, samples, **{samples.used.call: samples.used.reply})
    for number in range(FAILURES_TO_OPEN * 4):
        assert await _outcome(channel.identify(f"used{number}", NOW)) is samples.used.refusal
    used = next(call for call in samples.calls if call.name == samples.used.call)
    routes[used.name].respond(json=dict(used.reply))

    identity = await channel.identify(samples.credential, NOW)

    assert identity == samples.identity


# --- secrets -------------------------------------------------------------------------------


async def test_shows_no_secret_when_all_goes_well(
    channel: Channel,
    samples: Samples,
    wire: respx.Router,
    all_logs: pytest.LogCaptureFixture,
) -> None:
    answer(wire, samples)

    with capture_logs() as structured:
        identity = await channel.identify(samples.credential, NOW)

    shown = [all_logs.text, str(structured), repr(identity), repr(channel), str(vars(channel))]
    assert _leaks(samples, shown) == []
    assert "HTTP Request" in all_logs.text


@pytest.mark.parametrize("failure", BROKEN)
@pytest.mark.parametrize(("kind", "call"), EVERY_CALL)
async def test_shows_no_secret_when_a_call_fails(
    kind: type[Channel],
    call: Call,
    failure: str,
    http: httpx.AsyncClient,
    wire: respx.Router,
    all_logs: pytest.LogCaptureFixture,
) -> None:
    samples = samples_of(kind)
    answer(wire, samples, **{call.name: BROKEN[failure](call)})

    with capture_logs() as structured, pytest.raises(Refusal) as caught:
        await kind(settings(), http).identify(samples.credential, NOW)

    told = "".join(traceback.format_exception(caught.value))
    assert _leaks(samples, [all_logs.text, str(structured), told, *_chain(caught.value)]) == []


@pytest.mark.parametrize(("kind", "refused"), EVERY_REFUSAL)
async def test_shows_no_secret_when_the_platform_refuses(
    kind: type[Channel],
    refused: Any,
    http: httpx.AsyncClient,
    wire: respx.Router,
    all_logs: pytest.LogCaptureFixture,
) -> None:
    samples = samples_of(kind)
    told = {**refused.reply, "errmsg": samples.credential, "msg": samples.secrets[0]}
    answer(wire, samples, **{refused.call: told})

    with capture_logs() as structured, pytest.raises(Refusal) as caught:
        await kind(settings(), http).identify(samples.credential, NOW)

    told_in = "".join(traceback.format_exception(caught.value))
    assert _leaks(samples, [all_logs.text, str(structured), told_in, *_chain(caught.value)]) == []


def test_a_leak_would_be_found(samples: Samples) -> None:
    assert _leaks(samples, [f"before {samples.secrets[0]} after"]) == [samples.secrets[0]]


def _leaks(samples: Samples, shown: list[str]) -> list[str]:
    return [secret for secret in samples.secrets if any(secret in text for text in shown)]


def _chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!r} {error} {error.args}"
        error = error.__cause__ or error.__context__


# --- the way in ----------------------------------------------------------------------------


def test_lists_its_entry_steps_in_order_and_in_both_languages(kind: type[Channel]) -> None:
    steps = kind.entry_steps

    assert [step.order for step in steps] == list(range(1, len(steps) + 1))
    assert all(text.zh and text.en for step in steps for text in (step.title, step.instruction))


@pytest.mark.parametrize("kind", WITH_STATE)
def test_sends_citizens_back_to_a_permitted_page(channel: Channel) -> None:
    url = channel.authorize_url("https://card.test/back?a=1", "state1")

    assert url is not None
    assert "https%3A%2F%2Fcard.test%2Fback%3Fa%3D1" in url


@pytest.mark.parametrize(
    "address",
    [
        "",
        "card.test",
        "//card.test/",
        "http://card.test/",
        "https://evil.test/",
        "https://card.test.evil.test/",
        "https://evil-card.test/",
        "https://sub.card.test/",
        "https://card.test@evil.test/",
        "https://evil.test#card.test",
        "https://evil.test\\@card.test/",
        "https://card.test\\.evil.test/",
        "https://card.test/\r\nSet-Cookie: a=b",
        "https://card.test/ x",
        "https://[card.test/",
        "https://card.test:bad/",
        "javascript:alert(1)//card.test",
        "https://cаrd.test/",
        "https://card.test/" + "a" * 1100,
    ],
    ids=lambda address: ascii(address)[:40],
)
@pytest.mark.parametrize("kind", WITH_STATE)
def test_refuses_to_send_citizens_elsewhere(channel: Channel, address: str) -> None:
    with pytest.raises(InvalidFormat) as caught:
        channel.authorize_url(address, "state1")

    assert caught.value.field == "redirectUri"
    assert all(caught.value.message(language) for language in Language)


@pytest.mark.parametrize("kind", WITH_STATE)
@pytest.mark.parametrize("state", ["", "a-b", "a&b=c", "状态", "a" * 129, "a\n"])
def test_takes_no_state_that_the_platform_would_change(channel: Channel, state: str) -> None:
    with pytest.raises(ValueError, match="state"):
        channel.authorize_url("https://card.test/", state)

    assert "a" * 128 in str(channel.authorize_url("https://card.test/", "a" * 128))


# --- the registry --------------------------------------------------------------------------


class Bare(Channel):
    """A made-up platform with the least that a channel may have."""

    id = ChannelId.further("BARE")
    name = app_name = Text("最简渠道", "The barest channel")
    entry_steps = (EntryStep(1, Text("第一步", "Step 1"), Text("进入", "Enter")),)
    level = RealNameLevel.NONE
    uses_state = False

    def authorize_url(self, redirect_uri: str, state: str) -> None:
        return None

    async def identify(self, credential: str, now: int) -> Identity:
        return Identity(self._sent_by_app(credential), self.level, 60)


async def test_what_a_platform_lacks_is_refused_loudly(http: httpx.AsyncClient) -> None:
    bare = Bare(settings(), http)

    with pytest.raises(NotOfferedHere):
        await bare.bridge("https://card.test/", NOW)
    with pytest.raises(NotOfferedHere):
        await bare.send("account", Message("template", "text", {}), NOW)
    with pytest.raises(NotOfferedHere):
        bare.check_url({}, NOW)
    with pytest.raises(NotOfferedHere):
        bare.verify_callback({}, b"", NOW)


def test_no_adapter_changes_the_sequence(kind: type[Channel]) -> None:
    own = {name for each in kind.__mro__[: kind.__mro__.index(Channel)] for name in vars(each)}

    assert own.isdisjoint({"sign_in", "take_callback", "verify_callback"})


async def test_an_adapter_keeps_nothing_of_a_request(
    channel: Channel, samples: Samples, wire: respx.Router
) -> None:
    before = set(vars(channel))
    answer(wire, samples)

    await channel.identify(samples.credential, NOW)

    assert set(vars(channel)) == before
    shown = str([vars(part) for part in vars(channel).values() if hasattr(part, "__dict__")])
    assert not [text for text in (NAME, NUMBER, PHONE) if text in shown]


def test_every_channel_has_its_own_id_and_samples() -> None:
    assert [kind.id for kind in CHANNELS] == list(ChannelId)
    assert all(samples_of(kind) for kind in CHANNELS)


def test_a_missing_samples_file_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="has no samples"):
        samples_of(Bare)


@pytest.mark.parametrize("name", ["", "wechat", "WECHAT", "TOO_LONG_FOR_THE_COLUMN", "A-B"])
def test_a_further_channel_needs_an_id_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="id"):
        ChannelId.further(name)
    with pytest.raises(ValueError, match="ELSEWHERE"):
        ChannelId("ELSEWHERE")
    assert ChannelId("BARE") is Bare.id is ChannelId.further("BARE")
