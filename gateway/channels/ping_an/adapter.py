"""Ping An 城市一账通.

MODELLED: no specification of this app is public. The calls follow public integrations with
the same company's smart-city platform; what those do not show is marked "Modelled".
Before going live, compare every constant below with the operator's contract.
"""

import re
from typing import Any

import httpx

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import MINUTE, Instant
from core.kernel.refusals import RealNameRequired
from core.kernel.settings import Settings
from core.kernel.texts import Text
from gateway.channels.contract import Channel, Identity, Message, numbered_steps
from gateway.channels.ping_an.signers import Signer, build_signer
from gateway.channels.platform_client import (
    AppToken,
    Issued,
    PlatformClient,
    PlatformRefused,
    Reply,
    ReplyPart,
    parser,
    token_store,
)

ROOT = "/openPlatform"
REAL_NAMED = frozenset({"1", "true"})
"""Modelled: values of `realNameStatus` for a person whose name was verified."""
RESIDENT_ID = frozenset({"1", "01"})
"""Modelled: values of `cardType` for a resident ID card."""
VERIFIED = frozenset({"1", "true"})
"""Modelled: values of `verifyResult` for a genuine request code."""
NEW_TOKEN_AGE = MINUTE
MOBILE = re.compile(r"1[0-9]{10}")


class _InitCode(ReplyPart, frozen=True, rename="camel"):
    init_code: str


class _AuthCode(ReplyPart, frozen=True, rename="camel"):
    auth_code: str


class _AccessToken(ReplyPart, frozen=True, rename="camel"):
    access_token: str
    expires_in: int


class _RequestChecked(ReplyPart, frozen=True, rename="camel"):
    verify_result: str | int | bool
    expires_in: int
    user_access_token: str = ""


class _UserInfo(ReplyPart, frozen=True, rename="camel"):
    open_id: str
    real_name_status: str | int | bool = ""
    card_type: str | int = ""
    user_name: str = ""
    idcard: str = ""
    mobile_no: str = ""


class _MessageSent(ReplyPart, frozen=True, rename="camel"):
    message_id: str


class PingAn(Channel):
    id = ChannelId.PING_AN
    name = Text("中国平安“城市一账通”APP", "Ping An app 城市一账通")
    app_name = Text("城市一账通", "the Ping An app 城市一账通")
    entry_steps = numbered_steps(
        Text('下载"城市一账通"并安装', "Download and install the Ping An app 城市一账通"),
        Text('首页服务大厅选择点击"社保卡服务"', "Home page, 服务大厅: choose 社保卡服务"),
    )
    level = RealNameLevel.PLATFORM
    uses_state = False

    def __init__(
        self, settings: Settings, http: httpx.AsyncClient, *, signer: Signer | None = None
    ) -> None:
        super().__init__(settings, http)
        self._signer = signer or build_signer(settings)
        self._platform = PlatformClient(
            http, settings.ping_an_url, self.app_name, root=ROOT, unwrap=self._unwrap
        )
        self._token = AppToken(
            self._fetch_token, token_store(settings, "ping-an", settings.ping_an_app_id)
        )

    def authorize_url(self, redirect_uri: str, state: str) -> None:
        """None: the app asks the citizen over its bridge, not on a page."""
        return None

    async def bridge(self, page_url: str, now: Instant) -> dict[str, str]:
        """The `initCode` that the page passes to `sc.config` before it calls `sc.userAuth`."""
        body = self._signer.body(now)
        try:
            reply = await self._platform.post(
                "/initCode/getInitCode.do", body, parser(_InitCode), repeatable=True
            )
        except PlatformRefused as refusal:
            raise self._platform.refused("getInitCode", refusal) from refusal
        return {"appId": self._settings.ping_an_app_id, "initCode": reply.init_code}

    async def identify(self, credential: str, now: Instant) -> Identity:
        """`credential` is the `requestCode`; an openId that the page claims is never used."""
        checked = await self._check_request_code(self._sent_by_app(credential), now)
        if not (_says(checked.verify_result, VERIFIED) and checked.user_access_token):
            raise self._sign_in_expired()
        user = await self._user_info(checked.user_access_token, now)
        real_named = _says(user.real_name_status, REAL_NAMED)
        if not (real_named and _says(user.card_type, RESIDENT_ID)):
            raise RealNameRequired(app=self.app_name)
        if not (user.user_name and user.idcard):
            raise RealNameRequired(app=self.app_name)
        return Identity(
            account=user.open_id,
            level=RealNameLevel.PLATFORM,
            lifetime_seconds=checked.expires_in,
            name=user.user_name,
            social_security_number=user.idcard.upper(),
            phone=user.mobile_no if MOBILE.fullmatch(user.mobile_no) else None,
        )

    async def send(self, account: str, message: Message, now: Instant) -> str:
        """Modelled: the body of this call is not public."""
        token = await self._token.current(now)
        body = {
            "appId": self._settings.ping_an_app_id,
            "accessToken": token,
            "openId": account,
            "templateId": message.template_id,
            "content": message.text,
            "url": message.url,
        }
        try:
            sent = await self._platform.post(
                "/message/sendMessage.do", body, parser(_MessageSent), repeatable=False
            )
        except PlatformRefused as refusal:
            raise self._platform.refused("sendMessage", refusal) from refusal
        return sent.message_id

    async def _check_request_code(self, code: str, now: Instant) -> _RequestChecked:
        """The platform's error code for an expired access token is not public.

        Therefore any refusal is retried once with a new token, unless the token was new.
        """

        async def call(token: str) -> _RequestChecked:
            body = {
                "appId": self._settings.ping_an_app_id,
                "requestCode": code,
                "accessToken": token,
            }
            return await self._platform.post(
                "/request/checkRequestCode.do",
                body,
                parser(_RequestChecked),
                repeatable=False,
            )

        try:
            return await self._token.use(
                call, now, stale=lambda _: self._token.is_older_than(NEW_TOKEN_AGE, now)
            )
        except PlatformRefused as refusal:
            raise self._sign_in_expired() from refusal

    async def _user_info(self, user_access_token: str, now: Instant) -> _UserInfo:
        body = self._signer.user_info_body(user_access_token, now)
        try:
            return await self._platform.post(
                "/userInfo/getUserInfo.do", body, parser(_UserInfo), repeatable=True
            )
        except PlatformRefused as refusal:
            raise self._platform.refused("getUserInfo", refusal) from refusal

    async def _fetch_token(self, now: Instant, force_new: bool) -> Issued:
        """Every call returns a new token, so `force_new` has no effect."""
        try:
            auth = await self._platform.post(
                "/authCode/getAuthCode.do",
                self._signer.body(now),
                parser(_AuthCode),
                repeatable=True,
            )
            body = {"appId": self._settings.ping_an_app_id, "authCode": auth.auth_code}
            token = await self._platform.post(
                "/accessToken/getAccessToken.do",
                body,
                parser(_AccessToken),
                repeatable=False,
            )
        except PlatformRefused as refusal:
            raise self._platform.refused("getAccessToken", refusal) from refusal
        return Issued(token.access_token, token.expires_in)

    def _unwrap(self, reply: Reply) -> Any:
        if not self._signer.accepted(reply):
            raise PlatformRefused(str(reply.get("code")))
        return reply.get("data")


def _says(flag: str | int | bool, meaning: frozenset[str]) -> bool:
    return str(flag).lower() in meaning
