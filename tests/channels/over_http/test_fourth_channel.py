"""A fourth channel is one class: a toy, added to the registry's tuple, and nothing else touched."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from graphql import GraphQLEnumType
from starlette.applications import Starlette

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import Instant
from core.kernel.settings import Settings
from core.kernel.texts import Text
from core.services.channel_events import ChannelEventType
from gateway.app import create_app
from gateway.channels import CHANNELS
from gateway.channels.contract import (
    CallbackResponse,
    Channel,
    EntryStep,
    ForgedCallback,
    Identity,
    Notification,
)
from gateway.channels.platform_client import (
    PlatformClient,
    PlatformRefused,
    Reply,
    ReplyPart,
    is_current,
    parser,
)
from gateway.schema import build_schema
from sandbox.personas import PERSONAS
from tests.conftest import LateTransport
from tests.front_end import FrontEnd, World

from .parts import everything, seconds

ADDRESS = "https://kiosk.test"
KEY = b"the kiosks' made-up key"


class Swiped(ReplyPart, frozen=True):
    name: str
    number: str


class Kiosk(Channel):
    """A made-up platform that reads ID cards, and tells us when a citizen erases their data."""

    id = ChannelId.further("KIOSK")
    name = Text("自助终端", "Self-service kiosk")
    app_name = Text("自助终端", "the kiosk")
    entry_steps = (EntryStep(1, Text("第一步", "Step 1"), Text("刷身份证", "Swipe your ID card")),)
    level = RealNameLevel.PLATFORM
    uses_state = False

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        super().__init__(settings, http)
        self._platform = PlatformClient(http, ADDRESS, self.app_name, unwrap=unwrap)

    def authorize_url(self, redirect_uri: str, state: str) -> None:
        return None

    async def identify(self, credential: str, now: Instant) -> Identity:
        body = {"swipe": self._sent_by_app(credential)}
        try:
            who = await self._platform.post("/swipes", body, parser(Swiped), repeatable=False)
        except PlatformRefused as refusal:
            raise self._sign_in_expired() from refusal
        return Identity(who.number, self.level, 600, who.name, who.number)

    def verify_callback_signature(
        self, query: Mapping[str, str], body: bytes, now: Instant
    ) -> dict[str, str]:
        if not hmac.compare_digest(mark(body), query.get("mark", "")):
            raise ForgedCallback
        sent = dict(parse_qsl(body.decode()))
        if not is_current(sent.get("at", ""), now):
            raise ForgedCallback
        return sent

    def identify_sender(self, sent: Mapping[str, str]) -> str:
        return sent["number"]

    def notification(self, sent: Mapping[str, str], account: str) -> Notification:
        left = ChannelEventType.LEFT if sent["what"] == "erased" else ChannelEventType.OTHER
        return Notification(sent["what"], account, sent["id"], sent["id"], sent, left)

    def reply(self, notification: Notification, now: Instant) -> CallbackResponse:
        return CallbackResponse(b"thank you")


def unwrap(reply: Reply) -> Reply:
    if "error" in reply:
        raise PlatformRefused(str(reply["error"]))
    return reply


def mark(body: bytes) -> str:
    return hmac.new(KEY, body, hashlib.sha256).hexdigest()


class WithKiosks(LateTransport):
    """The kiosks' own server, beside all that the sandbox plays."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "kiosk.test":
            return await super().handle_async_request(request)
        persona = PERSONAS.get(request.content.decode().split('"')[3])
        if persona is None:
            return httpx.Response(200, json={"error": "no card"})
        return httpx.Response(
            200, json={"name": persona.name, "number": persona.social_security_number}
        )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    transport = WithKiosks()
    app = transport.app = create_app(settings, transport=transport, channels=(*CHANNELS, Kiosk))
    async with app.router.lifespan_context(app):
        yield app
    build_schema()


def erasure(number: str = "1", **changed: str) -> tuple[dict[str, str], bytes]:
    sent = {
        "what": "erased",
        "number": PERSONAS["active"].social_security_number,
        "at": str(seconds()),
        "id": number,
        **changed,
    }
    body = urlencode(sent).encode()
    return {"mark": mark(body)}, body


async def swipe(world: World, persona: str = "active") -> FrontEnd:
    citizen = world.front_end("active", "KIOSK")
    answer = await citizen.do("signIn", "token", channel="KIOSK", credential=persona)
    assert answer["__typename"] == "SignedIn", answer
    citizen.headers = {"Authorization": f"Bearer {answer['token']}"}
    return citizen


async def call(world: World, query: dict[str, str], body: bytes) -> httpx.Response:
    return await world.http.post("/channels/kiosk/callback", params=query, content=body)


async def test_stands_in_the_schema_and_in_the_list(world: World) -> None:
    listed = await world.front_end("active").ask(
        "{ channels { id level bindingRequired entrySteps { instruction } } }"
    )
    enum = build_schema(channels=(*CHANNELS, Kiosk))._schema.type_map["ChannelId"]

    assert [each["id"] for each in listed] == ["WECHAT", "UNIONPAY", "PING_AN", "KIOSK"]
    assert listed[-1] == {
        "id": "KIOSK",
        "level": "PLATFORM",
        "bindingRequired": False,
        "entrySteps": [{"instruction": "刷身份证"}],
    }
    assert isinstance(enum, GraphQLEnumType)
    assert enum.values["KIOSK"].description == "自助终端 · Self-service kiosk"


async def test_a_citizen_uses_the_services_through_it(world: World) -> None:
    citizen = await swipe(world)

    status = await citizen.status()
    loss = await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    (session,) = await citizen.ask("{ sessions { channel current } }")

    assert (status["__typename"], loss["__typename"]) == ("CardStatus", "LossReported")
    assert session == {"channel": "KIOSK", "current": True}


async def test_its_sessions_hold_in_it_alone(world: World) -> None:
    citizen = await swipe(world)

    codes = {
        claimed: (await citizen.post("{ viewer { channel } }", **{"X-Card-Channel": claimed}))
        for claimed in ("KIOSK", "UNIONPAY")
    }

    assert codes["KIOSK"].json()["data"]["viewer"] == {"channel": "KIOSK"}
    assert codes["UNIONPAY"].status_code == 401


async def test_what_it_lacks_and_what_it_refuses_is_said(world: World) -> None:
    citizen = world.front_end("active", "KIOSK")
    before = await everything(world)

    bridge = await citizen.ask(
        '{ channel(id: KIOSK) { bridge(pageUrl: "https://card.test/") { ... on Refusal { code } } } }'
    )
    refused = await citizen.do("signIn", channel="KIOSK", credential="nobody")
    address_check = await world.http.get("/channels/kiosk/callback")

    assert bridge == {"bridge": {"code": "NOT_OFFERED_HERE"}}
    assert refused["code"] == "SIGN_IN_EXPIRED"
    assert refused["message"] == "登录凭证已失效，请退出后从自助终端重新进入。"
    assert address_check.status_code == 404
    assert await everything(world) == before


async def test_its_callbacks_run_through_the_same_sequence(world: World) -> None:
    citizen = await swipe(world)
    query, body = erasure()
    before = await everything(world)

    forged = [
        await call(world, {}, body),
        await call(world, query, body + b"&what=followed"),
        await call(world, *erasure(at=str(seconds() - 301))),
    ]
    unwritten = await everything(world)
    taken, again = await call(world, query, body), await call(world, query, body)

    assert {answer.status_code for answer in forged} == {403}
    assert unwritten == before
    assert (taken.status_code, taken.text, again.text) == (200, "thank you", "thank you")
    assert (await citizen.post("{ cardStatus { __typename } }")).json()["errors"]
    assert "KIOSK" not in str((await world.rows("bindings"))["bindings"])


async def test_the_others_are_as_they_were(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")

    assert (await citizen.status())["__typename"] == "CardStatus"
