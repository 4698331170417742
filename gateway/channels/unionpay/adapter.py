"""UnionPay 云闪付 (云闪付开放平台 · 用户授权与后台接口).

With the scope `upapi_auth` the platform proves name and document number. Replies are
`{"resp": "00", "msg": …, "params": {…}}`; personal fields in them are encrypted.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

import httpx

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import SECOND, Instant
from core.kernel.refusals import AuthorizationRequired, NotOfferedHere, RealNameRequired, Refusal
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
    PlatformFailed,
    PlatformRefused,
    Reply,
    ReplyPart,
    check_address,
    checked_state,
    is_current,
    parser,
    token_store,
)
from gateway.channels.unionpay.crypto import (
    FieldCipher,
    TripleDesFields,
    UnreadableField,
    read_notification,
    token_signature,
)

T = TypeVar("T")

ROOT = "/open/access/1.0/"
DONE = "00"
EXPIRED_TOKEN = frozenset({"a10"})
SIGN_IN_EXPIRED = frozenset({"a31", "3023", "BC2209"})
"""Code wrong or expired, user deleted, openId wrong: the citizen signs in again."""
NO_SCOPE = frozenset({"N62197"})
REAL_NAMED = "1"
"""Modelled: the value of `isAuth` for a user whose name was verified."""
NO_MOBILE = frozenset({"N62135", "N62136"})
UNREACHABLE_USER = frozenset({"3023", "BC2209"})
RESIDENT_ID = "01"
MAX_DESCRIPTION = 200
MOBILE = re.compile(r"1[0-9]{10}")
ACCEPTED = b'{"resp":"00"}'


class _BackendToken(ReplyPart, frozen=True, rename="camel"):
    backend_token: str
    expires_in: int


class _UserToken(ReplyPart, frozen=True, rename="camel"):
    access_token: str
    open_id: str
    expires_in: int


class _Person(ReplyPart, frozen=True, rename="camel"):
    """Each field encrypted as received, or decrypted; empty where nothing is proved."""

    real_name: str = ""
    cert_tp: str = ""
    cert_id: str = ""


class _Mobile(ReplyPart, frozen=True):
    mobile: str


class UserStatus(ReplyPart, frozen=True, rename="camel"):
    """用户状态: whether registered and real-named, as the platform's own flags."""

    is_register: str = ""
    is_auth: str = ""


class _MessageSent(ReplyPart, frozen=True, rename="camel"):
    notification_no: str


class UnionPay(Channel):
    id = ChannelId.UNIONPAY
    name = Text("银联“云闪付”APP", "UnionPay app 云闪付")
    app_name = Text("云闪付", "the UnionPay app 云闪付")
    entry_steps = numbered_steps(
        Text('下载"云闪付"并安装', "Download and install the UnionPay app 云闪付"),
        Text("生活便利—我的社保", "生活便利 — 我的社保"),
        Text('点击"社保卡线上服务"', "Tap 社保卡线上服务"),
    )
    level = RealNameLevel.PLATFORM
    uses_state = True

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        *,
        fields: FieldCipher | None = None,
        mini_program_id: str = "",
    ) -> None:
        super().__init__(settings, http)
        self._platform = PlatformClient(
            http, settings.unionpay_url, self.app_name, root=ROOT, unwrap=_unwrap
        )
        self._token = AppToken(
            self._fetch_token, token_store(settings, "unionpay", settings.unionpay_app_id)
        )
        self._fields = fields or TripleDesFields(settings.unionpay_symmetric_key.reveal())
        self._mini_program_id = mini_program_id or settings.unionpay_mini_program_id

    # --- signing in -----------------------------------------------------------------------

    def authorize_url(self, redirect_uri: str, state: str) -> str:
        check_address(redirect_uri, split(self._settings.unionpay_redirect_domains), "redirectUri")
        query = urlencode(
            {
                "appId": self._settings.unionpay_app_id,
                "redirectUri": redirect_uri,
                "responseType": "code",
                "scope": "upapi_auth",
                "state": checked_state(state),
            }
        )
        return f"{self._settings.unionpay_authorize_url}?{query}"

    async def identify(self, credential: str, now: Instant) -> Identity:
        """Accepts a resident ID card (certTp 01) only: cards are issued to its number."""
        user = await self._user_token(self._code(credential), now)
        person, phone = await asyncio.gather(self._person(user, now), self._phone(user, now))
        if person.cert_tp != RESIDENT_ID or not (person.real_name and person.cert_id):
            raise RealNameRequired(app=self.app_name)
        return Identity(
            account=user.open_id,
            level=RealNameLevel.PLATFORM,
            lifetime_seconds=user.expires_in,
            name=person.real_name,
            social_security_number=person.cert_id.upper(),
            phone=phone,
        )

    def _code(self, credential: str) -> str:
        """The code is URL-encoded base64. It is decoded once, and every `+` is preserved.

        Form decoding may have turned a `+` into a space, which base64 never contains.
        """
        if not credential.strip():
            raise self._sign_in_expired()
        return unquote(self._sent_by_app(credential.replace(" ", "+")))

    async def _user_token(self, code: str, now: Instant) -> _UserToken:
        body = {"code": code, "grantType": "authorization_code"}
        try:
            return await self._call("token", body, now, parser(_UserToken), repeatable=False)
        except PlatformRefused as refusal:
            raise self._as_refusal("token", refusal) from refusal

    async def _person(self, user: _UserToken, now: Instant) -> _Person:
        try:
            return await self._call(
                "user.auth", _of(user), now, self._parse_person, repeatable=True
            )
        except PlatformRefused as refusal:
            if refusal.code in NO_SCOPE:
                raise await self._without_scope(user.open_id, now) from refusal
            raise self._as_refusal("user.auth", refusal) from refusal

    async def _without_scope(self, open_id: str, now: Instant) -> Refusal:
        """The citizen did not grant the scope, or has not verified their name in the app yet."""
        with contextlib.suppress(Refusal):
            if (await self.user_status(open_id, now)).is_auth != REAL_NAMED:
                return RealNameRequired(app=self.app_name)
        return AuthorizationRequired(app=self.app_name)

    async def _phone(self, user: _UserToken, now: Instant) -> str | None:
        """None if the user has no phone number or did not grant the scope."""
        try:
            return await self._call(
                "user.mobile", _of(user), now, self._parse_phone, repeatable=True
            )
        except PlatformRefused as refusal:
            if refusal.code in NO_MOBILE | NO_SCOPE:
                return None
            raise self._as_refusal("user.mobile", refusal) from refusal

    async def user_status(self, open_id: str, now: Instant) -> UserStatus:
        """Raises `SignInExpired` for an unknown openId, or `ChannelUnavailable`."""
        body = {"openId": open_id}
        try:
            return await self._call("user.status", body, now, parser(UserStatus), repeatable=True)
        except PlatformRefused as refusal:
            raise self._as_refusal("user.status", refusal) from refusal

    # --- messages and callbacks -----------------------------------------------------------

    async def send(self, account: str, message: Message, now: Instant) -> str:
        """Needs the mini-program in whose name the message is sent."""
        if not self._mini_program_id:
            raise NotOfferedHere
        body = {
            "openId": account,
            "mpId": self._mini_program_id,
            "templateId": message.template_id,
            "desc": message.text[:MAX_DESCRIPTION],
            "uiType": "1",
            "destType": "html",
            "destInfo": message.url,
            "valueList": [{"key": key, "value": value} for key, value in message.values.items()],
        }
        try:
            sent = await self._call("applet.msg", body, now, parser(_MessageSent), repeatable=False)
        except PlatformRefused as refusal:
            if refusal.code in UNREACHABLE_USER:
                raise Undeliverable(refusal.code) from refusal
            raise self._platform.refused("applet.msg", refusal) from refusal
        return sent.notification_no

    def verify_callback_signature(
        self, query: Mapping[str, str], body: bytes, now: Instant
    ) -> dict[str, str]:
        """The form must be signed by UnionPay, for our appId, within the permitted clock skew."""
        if not self._settings.unionpay_public_key:
            raise NotOfferedHere
        fields = read_notification(body, self._settings.unionpay_public_key)
        ours = fields.get("appId") == self._settings.unionpay_app_id
        if not (ours and fields.get("nonceStr") and is_current(fields.get("timestamp", ""), now)):
            raise ForgedCallback
        return fields

    def identify_sender(self, sent: Mapping[str, str]) -> str:
        """Empty if the notification is not about a single user."""
        return sent.get("openId", "")

    def notification(self, sent: Mapping[str, str], account: str) -> Notification:
        """The types are not published: a setting lists those by which a user withdraws."""
        event = sent.get("type", "")
        leaves = bool(account) and event in split(self._settings.unionpay_leaving_types)
        return Notification(
            event=event,
            account=account,
            key=sent.get("traceId") or sent["nonceStr"],
            nonce=sent["nonceStr"],
            fields=sent,
            type=ChannelEventType.LEFT if leaves else ChannelEventType.OTHER,
        )

    def reply(self, notification: Notification, now: Instant) -> CallbackResponse:
        return CallbackResponse(ACCEPTED, "application/json")

    # --- the platform ---------------------------------------------------------------------

    async def _call(
        self,
        name: str,
        body: Mapping[str, Any],
        now: Instant,
        parse: Callable[[Any], T],
        *,
        repeatable: bool,
    ) -> T:
        async def call(token: str) -> T:
            signed_in = {"appId": self._settings.unionpay_app_id, "backendToken": token}
            return await self._platform.post(
                name, {**body, **signed_in}, parse, repeatable=repeatable
            )

        return await self._token.use(call, now, EXPIRED_TOKEN.__contains__)

    async def _fetch_token(self, now: Instant, force_new: bool) -> Issued:
        """The platform issues a new token at every call, so `force_new` has no effect."""
        app_id, nonce = self._settings.unionpay_app_id, secrets.token_hex(8)
        timestamp = str(now // SECOND)
        secret = self._settings.unionpay_secret.reveal()
        body = {
            "appId": app_id,
            "nonceStr": nonce,
            "timestamp": timestamp,
            "signature": token_signature(app_id, nonce, secret, timestamp),
        }
        try:
            issued = await self._platform.post(
                "backendToken", body, parser(_BackendToken), repeatable=True
            )
        except PlatformRefused as refusal:
            raise self._platform.refused("backendToken", refusal) from refusal
        return Issued(issued.backend_token, issued.expires_in)

    def _as_refusal(self, name: str, refusal: PlatformRefused) -> Refusal:
        if refusal.code in SIGN_IN_EXPIRED:
            return self._sign_in_expired()
        return self._platform.refused(name, refusal)

    def _parse_person(self, params: Any) -> _Person:
        encrypted = parser(_Person)(params)
        plain_type = (
            encrypted.cert_tp if len(encrypted.cert_tp) == 2 else self._plain(encrypted.cert_tp)
        )
        return _Person(self._plain(encrypted.real_name), plain_type, self._plain(encrypted.cert_id))

    def _parse_phone(self, params: Any) -> str | None:
        phone = self._plain(parser(_Mobile)(params).mobile)
        return phone if MOBILE.fullmatch(phone) else None

    def _plain(self, encrypted: str) -> str:
        try:
            return self._fields.decrypt(encrypted) if encrypted else ""
        except UnreadableField as cause:
            raise PlatformFailed("unreadable field") from cause


def _of(user: _UserToken) -> dict[str, str]:
    return {"accessToken": user.access_token, "openId": user.open_id}


def _unwrap(reply: Reply) -> Any:
    code = str(reply.get("resp"))
    if code != DONE:
        raise PlatformRefused(code)
    return reply.get("params")
