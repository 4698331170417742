"""Ping An's open platform, MODELLED as `gateway/channels/ping_an.py` describes it.

App tokens are sealed instead of stored, so they outlive a reset of the world.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.callers import ChannelId
from core.settings import Settings
from sandbox.personas import Persona
from sandbox.platforms.clock import milliseconds, seconds
from sandbox.platforms.inbox import deliver
from sandbox.world import World

Body: TypeAlias = dict[str, Any]

CODE_SECONDS = 300
TOKEN_SECONDS = 7200
MOST_SKEW_MILLISECONDS = 300_000
BAD_SIGNATURE, BAD_APP, BAD_TOKEN, BAD_CODE, BAD_USER = 4001, 4002, 4003, 4004, 4005
"""Modelled: the platform's codes are not public."""
REQUEST_CODES, USER_TOKENS, USERS = "ping-an.codes", "ping-an.user-tokens", "ping-an.users"
AUTH_CODES = "ping-an.auth-codes"


def authorize(world: World, persona: Persona) -> str:
    code = secrets.token_hex(16)
    open_id = persona.account(ChannelId.PING_AN)
    user = {
        "openId": open_id,
        "userName": persona.name,
        "idcard": persona.social_security_number,
        "cardType": "1",
        "mobileNo": persona.phone or "",
        "realNameStatus": "1",
    }
    world.put(USERS, open_id, user)
    world.put(REQUEST_CODES, code, {"openId": open_id, "until": seconds() + CODE_SECONDS})
    return code


def routes(settings: Settings, world: World) -> list[BaseRoute]:
    platform = _Platform(settings, world)
    calls: dict[str, Callable[[Body], Response]] = {
        "initCode/getInitCode": platform.init_code,
        "authCode/getAuthCode": platform.auth_code,
        "accessToken/getAccessToken": platform.access_token,
        "request/checkRequestCode": platform.check_request_code,
        "userInfo/getUserInfo": platform.user_info,
        "message/sendMessage": platform.message,
    }
    return [
        Route(f"/openPlatform/{name}.do", _endpoint(call), methods=["POST"])
        for name, call in calls.items()
    ]


def _endpoint(call: Callable[[Body], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return call(orjson.loads(await request.body()))

    return endpoint


class _Platform:
    def __init__(self, settings: Settings, world: World) -> None:
        self._settings = settings
        self._world = world

    def init_code(self, body: Body) -> Response:
        return self._badly_signed(body) or _done(
            initCode=secrets.token_hex(16), expiresIn=TOKEN_SECONDS
        )

    def auth_code(self, body: Body) -> Response:
        wrong = self._badly_signed(body)
        if wrong:
            return wrong
        code = secrets.token_hex(16)
        self._world.put(AUTH_CODES, code, {"until": seconds() + CODE_SECONDS})
        return _done(authCode=code)

    def access_token(self, body: Body) -> Response:
        code = self._world.take(AUTH_CODES, str(body.get("authCode")))
        if body.get("appId") != self._settings.ping_an_app_id:
            return _refused(BAD_APP, "应用不存在")
        if code is None or code["until"] < seconds():
            return _refused(BAD_CODE, "授权码无效")
        return _done(
            accessToken=self._sealed_token(str(seconds() + TOKEN_SECONDS)),
            refreshToken=secrets.token_hex(16),
            expiresIn=TOKEN_SECONDS,
        )

    def check_request_code(self, body: Body) -> Response:
        wrong = self._bad_token(body)
        if wrong:
            return wrong
        code = self._world.take(REQUEST_CODES, str(body.get("requestCode")))
        if code is None or code["until"] < seconds():
            return _refused(BAD_CODE, "请求码无效")
        token = secrets.token_hex(16)
        self._world.put(USER_TOKENS, token, {"openId": code["openId"]})
        return _done(userAccessToken=token, verifyResult="1", expiresIn=TOKEN_SECONDS)

    def user_info(self, body: Body) -> Response:
        token = self._world.get(USER_TOKENS, str(body.get("userAccessToken")))
        user = token and self._world.get(USERS, token["openId"])
        return _done(**user) if user else _refused(BAD_TOKEN, "用户令牌无效")

    def message(self, body: Body) -> Response:
        wrong = self._bad_token(body)
        if wrong:
            return wrong
        open_id = str(body.get("openId"))
        if self._world.get(USERS, open_id) is None:
            return _refused(BAD_USER, "用户不存在")
        number = deliver(
            self._world,
            ChannelId.PING_AN,
            open_id,
            body["templateId"],
            {},
            body["url"],
            text=body["content"],
        )
        return _done(messageId=number)

    def _badly_signed(self, body: Body) -> Response | None:
        if body.get("appId") != self._settings.ping_an_app_id:
            return _refused(BAD_APP, "应用不存在")
        timestamp, series = str(body.get("timestamp")), str(body.get("randomSeries"))
        if re.fullmatch("[0-9]{10}", series) is None:
            return _refused(BAD_SIGNATURE, "随机序列错误")
        if abs(milliseconds() - int(timestamp)) > MOST_SKEW_MILLISECONDS:
            return _refused(BAD_SIGNATURE, "请求已过期")
        key = self._settings.ping_an_app_key.reveal()
        signed = f"appId{body['appId']}appKey{key}randomSeries{series}timestamp{timestamp}"
        expected = hashlib.md5(signed.encode()).hexdigest()  # noqa: S324 - the platform's algorithm
        if not hmac.compare_digest(expected, str(body.get("cipherText"))):
            return _refused(BAD_SIGNATURE, "签名错误")
        return None

    def _bad_token(self, body: Body) -> Response | None:
        if body.get("appId") != self._settings.ping_an_app_id:
            return _refused(BAD_APP, "应用不存在")
        until, _, _ = str(body.get("accessToken")).partition(".")
        genuine = hmac.compare_digest(self._sealed_token(until), str(body.get("accessToken")))
        if not genuine or int(until) < seconds():
            return _refused(BAD_TOKEN, "令牌无效或已过期")
        return None

    def _sealed_token(self, until: str) -> str:
        key = self._settings.ping_an_app_key.reveal().encode()
        return f"{until}.{hmac.new(key, until.encode(), 'sha256').hexdigest()}"


def _refused(code: int, text: str) -> Response:
    return JSONResponse({"code": code, "msg": text, "data": None})


def _done(**data: Any) -> Response:
    return JSONResponse({"code": 200, "msg": "成功", "data": data})
