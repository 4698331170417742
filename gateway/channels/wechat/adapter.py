"""WeChat official account 成都人社局 (微信公众平台 · 微信公众号开发文档).

The platform proves nobody's name, so citizens bind once. Errors come as `{errcode, errmsg}`
with HTTP 200.
"""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urldefrag, urlencode

import httpx

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import MINUTE, SECOND, Instant
from core.kernel.refusals import Refusal, VirtualAccount
from core.kernel.settings import Settings, split
from core.kernel.texts import Text
from core.services.channel_events import ChannelEventType
from gateway.channels.contract import (
    CallbackResponse,
    Channel,
    ForgedCallback,
    Identity,
    Message,
    Notification,
    Undeliverable,
    numbered_steps,
)
from gateway.channels.platform_client import (
    AppToken,
    Issued,
    PlatformClient,
    PlatformRefused,
    Reply,
    ReplyPart,
    SafeToRetry,
    SingleFlight,
    TtlCache,
    check_address,
    checked_state,
    parser,
    token_store,
)
from gateway.channels.wechat.callback import Callback
from gateway.channels.wechat.menu import check_menu

R = TypeVar("R", bound=ReplyPart)

CODE_LIFETIME = 5 * MINUTE
QUOTA_WAIT_SECONDS = 60

BUSY = "-1"
QUOTA = "45009"
EXPIRED_TOKEN = frozenset({"40001", "40014", "42001"})
CODE_INVALID = "40029"
CODE_USED = "40163"
UNREACHABLE_USER = frozenset({"40003", "43004", "43101", "45015"})
"""Unknown openid; no longer a follower; message declined; no recent interaction."""
EVENTS = {
    "unsubscribe": ChannelEventType.LEFT,
    "TEMPLATESENDJOBFINISH": ChannelEventType.MESSAGE_DELIVERED,
}
NONCE = "nonce"
"""In lower case: no field of a WeChat message is."""


class _CodeExchanged(ReplyPart, frozen=True):
    openid: str
    expires_in: int
    is_snapshotuser: int = 0


class _TokenIssued(ReplyPart, frozen=True):
    access_token: str
    expires_in: int


class _TicketIssued(ReplyPart, frozen=True):
    ticket: str
    expires_in: int


class _MessageSent(ReplyPart, frozen=True):
    msgid: int


class _Done(ReplyPart, frozen=True):
    pass


class WeChat(Channel):
    id = ChannelId.WECHAT
    name = Text("“成都人社局”官方微信", "Chengdu Human Resources and Social Security on WeChat")
    app_name = Text("微信", "WeChat")
    entry_steps = numbered_steps(
        Text('关注"成都人社局"官方微信', "Follow the WeChat official account 成都人社局"),
        Text(
            '首次使用, 一定要进行"绑卡"操作; 公众号菜单栏—微服务—社保查询',
            "The first time, be sure to bind your card (绑卡): account menu — 微服务 — 社保查询",
        ),
        Text("公众号菜单栏—微服务—新社保卡", "Account menu — 微服务 — 新社保卡"),
    )
    level = RealNameLevel.NONE
    uses_state = True
    code_already_used_error = CODE_USED
    callback_timeout_seconds = 2.0

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        super().__init__(settings, http)
        self._platform = PlatformClient(http, settings.wechat_url, self.app_name, unwrap=_unwrap)
        app_id = settings.wechat_app_id
        self._token = AppToken(self._fetch_token, token_store(settings, "wechat", app_id))
        self._ticket = AppToken(
            self._fetch_ticket, token_store(settings, "wechat", app_id, "ticket")
        )
        self._single_flight: SingleFlight[_CodeExchanged] = SingleFlight()
        self._exchanged: TtlCache[_CodeExchanged] = TtlCache(CODE_LIFETIME)
        self._callback = Callback(
            settings.wechat_token.reveal(),
            settings.wechat_aes_key.reveal(),
            settings.wechat_app_id,
        )

    # --- signing in -----------------------------------------------------------------------

    def authorize_url(self, redirect_uri: str, state: str) -> str:
        """Silent authorization (`snsapi_base`): the openid is all that is needed."""
        check_address(redirect_uri, self._hosts(), "redirectUri")
        query = urlencode(
            {
                "appid": self._settings.wechat_app_id,
                "redirect_uri": redirect_uri,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": checked_state(state),
            }
        )
        return f"{self._settings.wechat_authorize_url}?{query}#wechat_redirect"

    async def identify(self, credential: str, now: Instant) -> Identity:
        """WeChat's browser calls back twice with one code: the second call reuses the result.

        That both calls come from the same browser is ensured by the state, which is bound to
        the browser and valid once.
        """
        code = self._sent_by_app(credential)
        key = hashlib.sha256(code.encode()).hexdigest()
        exchanged = self._exchanged.get(key)
        if exchanged is None:
            exchanged = await self._single_flight.join(key, lambda: self._exchange(code, key, now))
        if exchanged.is_snapshotuser == 1:
            raise VirtualAccount
        return Identity(exchanged.openid, RealNameLevel.NONE, exchanged.expires_in)

    async def _exchange(self, code: str, key: str, now: Instant) -> _CodeExchanged:
        try:
            exchanged = await self._platform.get(
                "/sns/oauth2/access_token",
                {
                    "appid": self._settings.wechat_app_id,
                    "secret": self._settings.wechat_secret.reveal(),
                    "code": code,
                    "grant_type": "authorization_code",
                },
                parser(_CodeExchanged),
                repeatable=False,
            )
        except PlatformRefused as refusal:
            if refusal.code in (CODE_INVALID, CODE_USED):
                raise self._sign_in_expired() from refusal
            raise self._as_refusal("sns/oauth2/access_token", refusal) from refusal
        self._exchanged.put(key, exchanged)
        return exchanged

    # --- the page -------------------------------------------------------------------------

    async def bridge(self, page_url: str, now: Instant) -> dict[str, str]:
        """The parameters of `wx.config` (JS-SDK 使用权限签名算法)."""
        check_address(urldefrag(page_url).url, self._hosts(), "pageUrl")
        try:
            ticket = await self._ticket.current(now)
        except PlatformRefused as refusal:
            raise self._as_refusal("cgi-bin/ticket/getticket", refusal) from refusal
        nonce, timestamp = secrets.token_hex(8), str(now // SECOND)
        return {
            "appId": self._settings.wechat_app_id,
            "timestamp": timestamp,
            "nonceStr": nonce,
            "signature": js_sdk_signature(ticket, nonce, timestamp, page_url),
        }

    # --- messages and menu ----------------------------------------------------------------

    async def send(self, account: str, message: Message, now: Instant) -> str:
        return await self.send_template(
            account, message.template_id, message.values, message.url, now
        )

    async def send_template(
        self, openid: str, template_id: str, values: Mapping[str, str], url: str, now: Instant
    ) -> str:
        """模板消息. A later `TEMPLATESENDJOBFINISH` event with the same number reports the delivery."""
        body = {
            "touser": openid,
            "template_id": template_id,
            "url": url,
            "data": {key: {"value": value} for key, value in values.items()},
        }
        sent = await self._post(
            "/cgi-bin/message/template/send", body, now, _MessageSent, repeatable=False
        )
        return str(sent.msgid)

    async def push_menu(self, menu: Mapping[str, Any], now: Instant) -> None:
        """Replaces the account's menu. Raises `MenuInvalid` or `ChannelUnavailable`."""
        check_menu(menu)
        await self._post("/cgi-bin/menu/create", menu, now, _Done, repeatable=True)

    # --- callbacks ------------------------------------------------------------------------

    def check_url(self, query: Mapping[str, str], now: Instant) -> str:
        """The `echostr` that proves that the URL is ours. Raises `ForgedCallback`."""
        return self._callback.check_url(query, now)

    def verify_callback_signature(
        self, query: Mapping[str, str], body: bytes, now: Instant
    ) -> dict[str, str]:
        """The fields of the message, and the nonce, which is in the query only."""
        sent = self._callback.read(query, body, now)
        if not (sent.get("FromUserName") and sent.get("MsgType")):
            raise ForgedCallback
        return {**sent, NONCE: query["nonce"]}

    def identify_sender(self, sent: Mapping[str, str]) -> str:
        return sent["FromUserName"]

    def notification(self, sent: Mapping[str, str], account: str) -> Notification:
        """Messages are deduplicated by MsgId, events by sender and time (消息排重).

        Delivery reports of two messages may share a second, so their MsgID is part of the key.
        """
        kind, event = sent["MsgType"], sent.get("Event", "")
        return Notification(
            event=event if kind == "event" else kind,
            account=account,
            key=sent.get("MsgId") or _event_key(sent),
            nonce=sent[NONCE],
            fields=sent,
            type=EVENTS.get(event, ChannelEventType.OTHER),
            message_number=sent.get("MsgID", ""),
            delivery=sent.get("Status", ""),
        )

    def reply(self, notification: Notification, now: Instant) -> CallbackResponse:
        """In the same mode, plain or secure, as the callback; `success` ends the retries (被动回复)."""
        text = self._reply_text(notification.event)
        if text is None:
            return CallbackResponse(b"success")
        return CallbackResponse(
            self._callback.reply_text(notification.fields, text, now), "application/xml"
        )

    def _reply_text(self, event: str) -> str | None:
        """The text that the official account sends in the conversation; None for no message."""
        if event == "subscribe":
            return (
                "欢迎关注成都人社局。首次使用请先绑卡（微服务 → 社保查询）："
                f"{self._settings.wechat_query_url}"
            )
        if event in ("CLICK", "text"):
            return (
                "社会保障卡线上服务：公众号菜单栏 → 微服务 → 新社保卡。"
                f"{self._settings.wechat_card_url} 首次使用请先绑卡（微服务 → 社保查询）。"
            )
        return None

    # --- the platform ---------------------------------------------------------------------

    async def _post(
        self, path: str, body: Mapping[str, Any], now: Instant, kind: type[R], *, repeatable: bool
    ) -> R:
        async def call(token: str) -> R:
            return await self._platform.post(
                path,
                body,
                parser(kind),
                repeatable=repeatable,
                query={"access_token": token},
            )

        try:
            return await self._token.use(call, now, EXPIRED_TOKEN.__contains__)
        except PlatformRefused as refusal:
            if refusal.code in UNREACHABLE_USER:
                raise Undeliverable(refusal.code) from refusal
            raise self._as_refusal(path, refusal) from refusal

    async def _fetch_token(self, now: Instant, force_new: bool) -> Issued:
        body = {
            "grant_type": "client_credential",
            "appid": self._settings.wechat_app_id,
            "secret": self._settings.wechat_secret.reveal(),
            "force_refresh": force_new,
        }
        issued = await self._platform.post(
            "/cgi-bin/stable_token", body, parser(_TokenIssued), repeatable=not force_new
        )
        return Issued(issued.access_token, issued.expires_in)

    async def _fetch_ticket(self, now: Instant, force_new: bool) -> Issued:
        async def call(token: str) -> _TicketIssued:
            return await self._platform.get(
                "/cgi-bin/ticket/getticket",
                {"access_token": token, "type": "jsapi"},
                parser(_TicketIssued),
                repeatable=True,
            )

        issued = await self._token.use(call, now, EXPIRED_TOKEN.__contains__)
        return Issued(issued.ticket, issued.expires_in)

    def _as_refusal(self, call: str, refusal: PlatformRefused) -> Refusal:
        if refusal.code == QUOTA:
            return self._platform.refused(call, refusal, QUOTA_WAIT_SECONDS)
        return self._platform.refused(call, refusal)

    def _hosts(self) -> list[str]:
        return split(self._settings.wechat_redirect_domains)


def _event_key(event: Mapping[str, str]) -> str:
    return ":".join(
        event.get(name, "") for name in ("FromUserName", "CreateTime", "Event", "MsgID")
    )


def js_sdk_signature(ticket: str, nonce: str, timestamp: str, page_url: str) -> str:
    """Raw values in this order, the address without its fragment."""
    address = urldefrag(page_url).url
    signed = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={address}"
    return hashlib.sha1(signed.encode()).hexdigest()  # noqa: S324 - the platform's algorithm


def _unwrap(reply: Reply) -> Reply:
    code = str(reply.get("errcode", 0))
    if code == BUSY:
        raise SafeToRetry("busy")
    if code != "0":
        raise PlatformRefused(code)
    return reply
