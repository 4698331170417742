"""What the platforms post to us, over HTTP: accepted once when genuine, or nothing is written."""

import asyncio
import logging
import re
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from starlette.applications import Starlette
from structlog.testing import capture_logs

from core.db import Query
from core.kernel.callers import ChannelId
from core.kernel.settings import Secret
from core.messaging import MessageKind, channel_messages, outbox
from core.unit_of_work import UnitOfWork
from sandbox.personas import PERSONAS
from sandbox.platforms import unionpay, wechat
from sandbox.platforms.wechat import Form
from tests.front_end import FrontEnd, World
from tests.services.parts import history, later, person_id
from tests.units import change, perform_in

from .parts import (
    OPEN_ID,
    UNIONPAY,
    WECHAT,
    event,
    everything,
    notification,
    push,
    sandbox_post,
    seconds,
    settings_of,
    signed,
)

OTHER_KEY = generate_private_key(public_exponent=65537, key_size=2048)
Forge = Callable[[World, dict[str, str]], Form]


def _query(form: Form, **changed: str | None) -> Form:
    query = {name: value for name, value in (form[0] | changed).items() if value is not None}
    return query, form[1]


def _body(form: Form, change: Callable[[bytes], bytes]) -> Form:
    return form[0], change(form[1])


def _tampered(form: Form) -> Form:
    query, body = form
    at = body.index(b"<Encrypt>") + 40
    return query, body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]


FORGERIES: dict[str, Forge] = {
    "another token": lambda world, sent: signed(world, sent, wechat_token=Secret("other")),
    "no token": lambda world, sent: signed(world, sent, wechat_token=Secret("")),
    "another key": lambda world, sent: signed(world, sent, wechat_aes_key=Secret("A" * 43)),
    "another account": lambda world, sent: signed(world, sent, wechat_app_id="wx-other"),
    "plain": lambda world, sent: signed(world, sent, wechat_aes_key=Secret("")),
    "tampered body": lambda world, sent: _tampered(signed(world, sent)),
    "truncated body": lambda world, sent: _body(signed(world, sent), lambda body: body[:-9]),
    "empty body": lambda world, sent: _body(signed(world, sent), lambda _: b""),
    "garbage": lambda world, sent: _body(signed(world, sent), lambda _: b"\x00\xff<xml"),
    "entities": lambda world, sent: _body(
        signed(world, sent), lambda body: b'<!DOCTYPE x [<!ENTITY a "b">]>' + body
    ),
    "body of another": lambda world, sent: (signed(world, sent)[0], signed(world, sent)[1]),
    "another time": lambda world, sent: _query(
        signed(world, sent, seconds() - 9), timestamp=str(seconds())
    ),
    "another nonce": lambda world, sent: _query(signed(world, sent), nonce="1"),
    "no signature": lambda world, sent: _query(signed(world, sent), msg_signature=None),
    "signature of the plain mode": lambda world, sent: _query(
        signed(world, sent), msg_signature=signed(world, sent)[0]["signature"]
    ),
    "no query": lambda world, sent: ({}, signed(world, sent)[1]),
    "too old": lambda world, sent: signed(world, sent, seconds() - 301),
    "too new": lambda world, sent: signed(world, sent, seconds() + 310),
}


async def _bound(world: World) -> list[tuple[Any, ...]]:
    """The open bindings in WeChat."""
    rows = (await world.rows("bindings"))["bindings"]
    return [row for row in rows if row.channel == "WECHAT" and row.ended_at is None]


# --- the address check of WeChat -----------------------------------------------------------


async def test_proves_that_the_address_is_ours(world: World) -> None:
    query = wechat.url_check(settings_of(world), seconds())

    answer = await world.http.get(WECHAT, params=query)
    forged = await world.http.get(WECHAT, params=query | {"nonce": "1"})
    old = await world.http.get(WECHAT, params=wechat.url_check(settings_of(world), seconds() - 301))

    assert (answer.status_code, answer.text) == (200, query["echostr"])
    assert (forged.status_code, old.status_code) == (403, 403)
    assert query["echostr"] not in forged.text


# --- forged, stale, replayed, repeated -----------------------------------------------------


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_refuses_what_wechat_did_not_send(world: World, forgery: str) -> None:
    await world.enter("active", "WECHAT")
    before = await everything(world)

    answer = await push(world, FORGERIES[forgery](world, event("unsubscribe")))

    assert (answer.status_code, answer.text) == (403, "forbidden\n")
    assert await everything(world) == before


@pytest.mark.parametrize(("minutes", "status", "bindings"), [(4, 200, 0), (6, 403, 1)])
async def test_takes_a_callback_for_five_minutes(
    world: World, minutes: int, status: int, bindings: int
) -> None:
    await world.enter("active", "WECHAT")
    form = signed(world, event("unsubscribe"))

    with later(minutes=minutes):
        answer = await push(world, form)

    assert answer.status_code == status
    assert len(await _bound(world)) == bindings


async def test_a_replayed_callback_does_nothing_again(world: World) -> None:
    await world.enter("active", "WECHAT")
    form = signed(world, event("unsubscribe"))
    await push(world, form)

    with later(seconds=61):
        await world.enter("active", "WECHAT")
        before = await everything(world)
        for _ in range(1_000):
            await push(world, form)

        assert await everything(world) == before
    assert len(await _bound(world)) == 1


async def test_a_repeated_event_takes_effect_once(world: World) -> None:
    await world.enter("active", "WECHAT")
    left = event("unsubscribe")
    await push(world, signed(world, left))

    with later(seconds=61):
        await world.enter("active", "WECHAT")
        for _ in range(3):
            await push(world, signed(world, left))

        assert len(await _bound(world)) == 1
        await push(world, signed(world, event("unsubscribe")))
    assert await _bound(world) == []


async def test_a_nonce_is_good_for_one_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.enter("active", "WECHAT")
    monkeypatch.setattr(secrets, "randbelow", lambda _: 7)
    first = signed(world, event("unsubscribe"))
    second = signed(world, event("unsubscribe", CreateTime=str(seconds() - 1)))
    monkeypatch.undo()
    await push(world, first)

    with later(seconds=61):
        await world.enter("active", "WECHAT")
        before = await everything(world)
        await push(world, second)

        assert await everything(world) == before
    assert first[0]["nonce"] == second[0]["nonce"]


async def test_of_many_at_once_one_takes_effect(world: World) -> None:
    await world.enter("active", "WECHAT")
    left = event("unsubscribe")

    await asyncio.gather(*(push(world, signed(world, left)) for _ in range(20)))

    assert (await history(world, PERSONAS["active"])).count("UNBOUND") == 1


# --- events of WeChat ----------------------------------------------------------------------


async def test_greets_a_follower_with_the_way_to_bind(world: World) -> None:
    answer = await sandbox_post(world, "wechat/follow")

    page = settings_of(world).wechat_query_url
    assert (answer["attempts"], answer["status"]) == (1, 200)
    assert answer["reply"] == (f"欢迎关注成都人社局。首次使用请先绑卡（微服务 → 社保查询）：{page}")


@pytest.mark.parametrize(
    ("path", "given"), [("wechat/menu", {}), ("wechat/text", {"text": "社保卡 <&>"})]
)
async def test_answers_a_click_and_a_message(
    world: World, path: str, given: dict[str, str]
) -> None:
    answer = await sandbox_post(world, path, **given)

    assert answer["reply"].startswith("社会保障卡线上服务：公众号菜单栏 → 微服务 → 新社保卡。")


async def test_the_reply_is_encrypted_and_goes_back_to_the_sender(world: World) -> None:
    answer = await push(world, signed(world, event("subscribe")))

    reply = wechat.read_reply(settings_of(world), answer.content)
    assert b"Content" not in answer.content
    assert (reply["ToUserName"], reply["FromUserName"]) == (OPEN_ID, "gh_sandbox")
    assert reply["MsgType"] == "text"


async def test_who_leaves_takes_their_data_along(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")
    elsewhere = await world.enter("active", "UNIONPAY")
    account = world.application.dependencies.vault.index(f"WECHAT|{OPEN_ID}", "account")
    held = await world.rows("sessions", "bindings")

    answer = await sandbox_post(world, "wechat/unfollow")
    refused = await citizen.post("{ cardStatus { __typename } }")

    assert answer == {"attempts": 1, "status": 200, "reply": None}
    assert refused.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    rows = await world.rows("sessions", "bindings")
    assert str(account) in str(held)
    assert str(account) not in str(rows)
    assert await _bound(world) == []
    ended = [row for row in rows["sessions"] if row.channel == "WECHAT"]
    assert {(row.account_index, row.account) for row in ended} == {(b"", b"")}
    assert (await history(world, citizen.person))[-1] == "UNBOUND"
    assert (await elsewhere.status())["__typename"] == "CardStatus"


async def test_who_leaves_leaves_no_message_and_no_answer_behind(world: World) -> None:
    citizen, neighbour = await world.enter("active", "WECHAT"), await world.enter("lost", "WECHAT")
    await world.enter("active", "UNIONPAY")
    for each in (citizen, neighbour):
        await _change_password(each)
    await world.http.get("/sandbox/messages")
    waiting = await _put_messages(world, citizen)
    sent_before = {row[2] for row in (await world.rows("channel_messages"))["channel_messages"]}

    await sandbox_post(world, "wechat/unfollow")

    held = await world.rows("channel_messages", "code_exchanges", "outbox")
    of_person = await person_id(world, citizen.person)
    assert sent_before == {"WECHAT", "UNIONPAY"}
    of_citizen = [row[2:4] for row in held["channel_messages"] if row.subject_id == of_person]
    assert sorted(of_citizen) == [("UNIONPAY", "FIRST_SIGN_IN"), ("UNIONPAY", "PASSWORD_CHANGED")]
    of_neighbour = [row[3] for row in held["channel_messages"] if row.subject_id != of_person]
    assert sorted(of_neighbour) == ["NEW_BINDING", "PASSWORD_CHANGED"]
    assert len(held["code_exchanges"]) == 1
    payloads = {row.id: row.payload for row in held["outbox"]}
    assert [payloads[effect] is None for effect in waiting] == [True, False]


async def _change_password(citizen: FrontEnd) -> None:
    old, new = citizen.person.service_password, "60318527"
    assert old is not None
    given = {"oldPassword": old, "newPassword": new, "confirmPassword": new}
    answer = await citizen.do("changePassword", **given)
    assert answer["__typename"] == "PasswordChanged", answer


async def _put_messages(world: World, citizen: FrontEnd) -> list[int]:
    """Two that are due tomorrow, into WeChat and into UnionPay; returns their ids in this order."""
    application, now = world.application, world.application.clock()
    person = await person_id(world, citizen.person)

    def put(unit: UnitOfWork) -> None:
        for channel in ("WECHAT", "UNIONPAY"):
            payload = {"channel": channel, "account": "a", "template": "T", "text": "t"}
            outbox.put(unit, subject_id=person, kind=MessageKind.CHANNEL_MESSAGE, payload=payload)

    tomorrow = now + 86_400_000
    await perform_in(application.database, application.dependencies, tomorrow, put)
    rows = await application.database.fetch(Query(outbox.outbox_table.select()))
    return sorted(row["id"] for row in rows if row["created_at"] == tomorrow)


async def test_who_comes_back_binds_again(world: World) -> None:
    await world.enter("active", "WECHAT")
    await sandbox_post(world, "wechat/unfollow")

    answer = await world.front_end("active", "WECHAT").sign_in()

    assert answer["viewer"]["bound"] is False


async def test_notes_what_became_of_a_template_message(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")
    await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    message = (await world.http.get("/sandbox/messages")).json()[0]
    (sent,) = await _sent(world, "LOSS_REPORTED")

    await sandbox_post(world, "wechat/delivered", status="failed:user block")
    (noted,) = await _sent(world, "LOSS_REPORTED")

    assert (message["persona"], message["template"]) == ("active", "sandbox-loss_reported")
    assert "您的社会保障卡已正式挂失。" in message["text"]
    assert sent[2:5] == ("WECHAT", "LOSS_REPORTED", message["number"])
    assert sent[6:] == (None, None)
    assert noted[:6] == sent[:6]
    assert noted[6] == "failed:user block"
    assert abs(noted[7] - time.time() * 1000) < 5_000


async def test_notes_a_delivery_that_is_reported_before_our_own_note(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")
    report = event("TEMPLATESENDJOBFINISH", MsgID="4711", Status="success")
    early = asyncio.create_task(push(world, signed(world, report)))
    await asyncio.sleep(0.1)

    await _note_sent(world, "4711")
    await early

    (noted,) = await _sent(world, "CARD_READY")
    assert noted[6] == "success"
    assert citizen.channel == "WECHAT"


async def test_two_deliveries_in_one_second_are_both_noted(world: World) -> None:
    await _note_sent(world, "1")
    await _note_sent(world, "2")

    for number in ("1", "2"):
        report = event("TEMPLATESENDJOBFINISH", MsgID=number, Status="success")
        await push(world, signed(world, report | {"CreateTime": "1790000000"}))

    rows = (await world.rows("channel_messages"))["channel_messages"]
    assert [row[6] for row in rows] == ["success", "success"]


async def _sent(world: World, notice: str) -> list[tuple[Any, ...]]:
    rows = (await world.rows("channel_messages"))["channel_messages"]
    return [row for row in rows if row[3] == notice]


async def _note_sent(world: World, number: str) -> None:
    now = world.application.clock()

    await change(
        world,
        lambda unit: channel_messages.record_sent(
            unit.writes, 1, ChannelId.WECHAT, "CARD_READY", number, now
        ),
    )


# --- in time -------------------------------------------------------------------------------


async def test_what_is_acknowledged_is_written(world: World, app: Starlette) -> None:
    """A process that dies after its answer has lost nothing: the platform would not call again."""
    await world.enter("active", "WECHAT")
    bound_at_the_answer: list[Any] = []

    async def look() -> None:
        bound_at_the_answer.append(await _bound(world))

    await _post(app, signed(world, event("unsubscribe")), look)

    assert bound_at_the_answer == [[]]


@pytest.mark.slow
async def test_answers_in_time_even_when_the_database_is_busy(
    world: World, app: Starlette, database_url: str
) -> None:
    await world.enter("active", "WECHAT")
    unlock = await _lock(database_url)
    answered = asyncio.Event()

    async def note() -> None:
        answered.set()

    whole = asyncio.create_task(_post(app, signed(world, event("unsubscribe")), note))
    await asyncio.wait_for(answered.wait(), 4.5)
    unfinished = not whole.done()
    await unlock()
    await whole

    assert unfinished
    assert await _bound(world) == []


async def _post(app: Starlette, form: Form, on_answer: Callable[[], Awaitable[None]]) -> None:
    """As a server runs the application: the answer is out before the application is done."""
    query, body = form

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await on_answer()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": WECHAT,
        "raw_path": WECHAT.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": urlencode(query).encode(),
        "headers": [(b"host", b"gateway")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)


async def _lock(database_url: str) -> Callable[[], Any]:
    """Nobody else can write until the returned function is called."""
    if database_url.startswith("sqlite"):
        writer = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")

        async def release() -> None:
            writer.execute("ROLLBACK")
            writer.close()

        return release
    connection = await asyncpg.connect(database_url)
    await connection.execute("BEGIN")
    await connection.execute("LOCK TABLE nonces IN ACCESS EXCLUSIVE MODE")
    return connection.close


# --- UnionPay and Ping An ------------------------------------------------------------------


async def test_takes_a_notification_of_unionpay_once(world: World) -> None:
    first = await world.http.post(UNIONPAY, content=notification(world))
    after_first = await everything(world)

    replayed = await world.http.post(UNIONPAY, content=notification(world))

    assert (first.status_code, first.json()) == (200, {"resp": "00"})
    assert len(after_first["nonces"]) == 2
    assert (replayed.status_code, replayed.json()) == (200, {"resp": "00"})
    new = set(map(str, (await everything(world))["nonces"])) - set(map(str, after_first["nonces"]))
    assert all("callback-nonce" in row for row in new)


async def test_a_notification_sent_again_byte_for_byte_writes_nothing(world: World) -> None:
    sent = notification(world)
    await world.http.post(UNIONPAY, content=sent)
    before = await everything(world)

    answer = await world.http.post(UNIONPAY, content=sent)

    assert answer.json() == {"resp": "00"}
    assert await everything(world) == before


@pytest.mark.parametrize(("type", "leaves"), [("USER_CHANGED", False), ("AUTH_CANCELLED", True)])
async def test_a_notification_acts_for_its_user(world: World, type: str, leaves: bool) -> None:
    citizen, neighbour = await world.enter("active"), await world.enter("lost")

    answer = await sandbox_post(world, "unionpay/notify", type=type)

    status = (await citizen.post("{ cardStatus { __typename } }")).json()
    assert answer == {"attempts": 1, "status": 200, "reply": '{"resp":"00"}'}
    assert ("errors" in status) is leaves
    assert (await neighbour.status())["__typename"] == "CardStatus"


async def test_who_withdraws_in_unionpay_signs_in_again(world: World) -> None:
    await world.enter("active")
    await sandbox_post(world, "unionpay/notify", type="AUTH_CANCELLED")

    citizen = await world.enter("active")

    assert (await citizen.status())["__typename"] == "CardStatus"


FALSE_NOTIFICATIONS: dict[str, Callable[[World], bytes]] = {
    "another key": lambda world: unionpay.notification(
        settings_of(world), {"type": "x"}, OTHER_KEY, seconds()
    ),
    "tampered": lambda world: notification(world).replace(b"traceId=trace-1", b"traceId=trace-2"),
    "a field more": lambda world: notification(world) + b"&more=1",
    "a field less": lambda world: urlencode(
        [pair for pair in parse_qsl(notification(world).decode()) if pair[0] != "traceId"]
    ).encode(),
    "no signature": lambda world: re.sub(rb"&signature=[^&]*", b"", notification(world)),
    "another app": lambda world: notification(world, appId="other"),
    "too old": lambda world: notification(world, seconds() - 301),
    "too new": lambda world: notification(world, seconds() + 310),
    "truncated": lambda world: notification(world)[:-20],
    "empty": lambda world: b"",
    "garbage": lambda world: b"\x00\xff=&&==",
}


@pytest.mark.parametrize("forgery", FALSE_NOTIFICATIONS)
async def test_refuses_what_unionpay_did_not_send(world: World, forgery: str) -> None:
    before = await everything(world)

    answer = await world.http.post(UNIONPAY, content=FALSE_NOTIFICATIONS[forgery](world))

    assert (answer.status_code, answer.text) == (403, "forbidden\n")
    assert await everything(world) == before


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_does_not_acknowledge_what_it_could_not_write(
    world: World, database_url: str
) -> None:
    """PostgreSQL would wait for the lock."""
    sent = notification(world)
    unlock = await _lock(database_url)

    refused = await world.http.post(UNIONPAY, content=sent)
    await unlock()
    again = await world.http.post(UNIONPAY, content=sent)

    assert refused.status_code == 503
    assert again.json() == {"resp": "00"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_ping_an_calls_nothing_here(world: World, method: str) -> None:
    before = await everything(world)

    answer = await world.http.request(method, "/channels/ping-an/callback", content=b"{}")

    assert answer.status_code == 404
    assert await everything(world) == before


async def test_unionpay_checks_no_address(world: World) -> None:
    assert (await world.http.get(UNIONPAY)).status_code == 404


# --- the platform's own repeats, and what is logged ----------------------------------------


async def test_wechat_calls_three_times_when_it_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.world.World.seconds", lambda _: int(time.time()) - 400)

    answer = await sandbox_post(world, "wechat/follow")

    assert answer == {"attempts": 3, "status": 403, "reply": None}


async def test_logs_of_callbacks_hold_no_secret(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = settings_of(world)
    form = signed(world, event("subscribe"))
    sent = notification(world, openId="marked-open-id")

    with capture_logs() as structured:
        await push(world, form)
        await push(world, _tampered(signed(world, event("subscribe"))))
        await push(world, signed(world, event("unsubscribe")))
        await world.http.post(UNIONPAY, content=sent)
        await world.http.post(UNIONPAY, content=sent[:-9])

    shown = caplog.text + str(structured)
    secrets = [
        OPEN_ID,
        "marked-open-id",
        form[0]["msg_signature"],
        settings.wechat_token.reveal(),
        settings.wechat_aes_key.reveal(),
        settings.wechat_secret.reveal(),
    ]
    assert [secret for secret in secrets if secret in shown] == []
    assert [entry["event"] for entry in structured] == [
        "callback.taken",
        "callback.forged",
        "callback.taken",
        "callback.taken",
        "callback.forged",
    ]
