"""Ping An's open platform, MODELLED as `gateway/channels/ping_an/adapter.py` describes it.

It supports both variants of signature, md5 with the app's key and RSA over the message, each
with its own envelope of replies.

App tokens are signed instead of stored, so they survive a reset of the sandbox.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.kernel.callers import ChannelId
from core.kernel.clock import CHINA
from core.kernel.settings import Secret, Settings
from sandbox.keys import stored_key
from sandbox.personas import Persona
from sandbox.platforms.inbox import deliver
from sandbox.platforms.platform import Platform
from sandbox.platforms.server import Body, Server, json_endpoint
from sandbox.world import World

CODE_SECONDS = 300
TOKEN_SECONDS = 7200
MAX_SKEW_MILLISECONDS = 300_000
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
    world.put(REQUEST_CODES, code, {"openId": open_id, "until": world.seconds() + CODE_SECONDS})
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
        Route(f"/openPlatform/{name}.do", json_endpoint(call), methods=["POST"])
        for name, call in calls.items()
    ]


class _Platform(Server):
    def init_code(self, body: Body) -> Response:
        return self._badly_signed(body) or self._done(
            initCode=secrets.token_hex(16), expiresIn=TOKEN_SECONDS
        )

    def auth_code(self, body: Body) -> Response:
        wrong = self._badly_signed(body)
        if wrong:
            return wrong
        code = secrets.token_hex(16)
        self._world.put(AUTH_CODES, code, {"until": self._world.seconds() + CODE_SECONDS})
        return self._done(authCode=code)

    def access_token(self, body: Body) -> Response:
        code = self._world.take(AUTH_CODES, str(body.get("authCode")))
        if body.get("appId") != self._settings.ping_an_app_id:
            return self._refused(BAD_APP, "应用不存在")
        if code is None or code["until"] < self._world.seconds():
            return self._refused(BAD_CODE, "授权码无效")
        return self._done(
            accessToken=self._signed_token(str(self._world.seconds() + TOKEN_SECONDS)),
            refreshToken=secrets.token_hex(16),
            expiresIn=TOKEN_SECONDS,
        )

    def check_request_code(self, body: Body) -> Response:
        wrong = self._bad_token(body)
        if wrong:
            return wrong
        code = self._world.take(REQUEST_CODES, str(body.get("requestCode")))
        if code is None or code["until"] < self._world.seconds():
            return self._refused(BAD_CODE, "请求码无效")
        token = secrets.token_hex(16)
        self._world.put(USER_TOKENS, token, {"openId": code["openId"]})
        return self._done(userAccessToken=token, verifyResult="1", expiresIn=TOKEN_SECONDS)

    def user_info(self, body: Body) -> Response:
        wrong = self._signs_with_rsa and self._badly_signed(body)
        if wrong:
            return wrong
        asked = body["message"]["userToken"] if self._signs_with_rsa else body["userAccessToken"]
        token = self._world.get(USER_TOKENS, str(asked))
        user = token and self._world.get(USERS, token["openId"])
        return self._done(**user) if user else self._refused(BAD_TOKEN, "用户令牌无效")

    def message(self, body: Body) -> Response:
        wrong = self._bad_token(body)
        if wrong:
            return wrong
        open_id = str(body.get("openId"))
        if self._world.get(USERS, open_id) is None:
            return self._refused(BAD_USER, "用户不存在")
        number = deliver(
            self._world,
            ChannelId.PING_AN,
            open_id,
            body["templateId"],
            {},
            body["url"],
            text=body["content"],
        )
        return self._done(messageId=number)

    @property
    def _signs_with_rsa(self) -> bool:
        return self._settings.ping_an_signer == "rsa"

    def _badly_signed(self, body: Body) -> Response | None:
        if body.get("appId") != self._settings.ping_an_app_id:
            return self._refused(BAD_APP, "应用不存在")
        signed = body.get("message", {}) if self._signs_with_rsa else body
        if re.fullmatch("[0-9]{10}", str(signed.get("randomSeries"))) is None:
            return self._refused(BAD_SIGNATURE, "随机序列错误")
        if abs(self._world.clock() - self._sent_at(signed)) > MAX_SKEW_MILLISECONDS:
            return self._refused(BAD_SIGNATURE, "请求已过期")
        genuine = self._is_by_rsa(body) if self._signs_with_rsa else self._is_by_md5(body)
        return None if genuine else self._refused(BAD_SIGNATURE, "签名错误")

    def _sent_at(self, signed: Body) -> int:
        """In milliseconds; 0 for an invalid timestamp."""
        text = str(signed.get("timestamp"))
        if re.fullmatch("[0-9]{13,14}", text) is None:
            return 0
        if not self._signs_with_rsa:
            return int(text)
        at = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
        return int(at.timestamp() * 1000)

    def _is_by_md5(self, body: Body) -> bool:
        key = self._settings.ping_an_app_key.reveal()
        signed = (
            f"appId{body['appId']}appKey{key}"
            f"randomSeries{body['randomSeries']}timestamp{body['timestamp']}"
        )
        expected = hashlib.md5(signed.encode()).hexdigest()  # noqa: S324 - the platform's algorithm
        return hmac.compare_digest(expected, str(body.get("cipherText")))

    def _is_by_rsa(self, body: Body) -> bool:
        pem = self._settings.ping_an_private_key.reveal().encode()
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, RSAPrivateKey)
        try:
            key.public_key().verify(
                base64.b64decode(str(body.get("sign"))),
                orjson.dumps(body["message"]),
                PKCS1v15(),
                SHA1(),  # noqa: S303 - the platform's algorithm
            )
        except (InvalidSignature, ValueError):
            return False
        return True

    def _bad_token(self, body: Body) -> Response | None:
        if body.get("appId") != self._settings.ping_an_app_id:
            return self._refused(BAD_APP, "应用不存在")
        until, _, _ = str(body.get("accessToken")).partition(".")
        genuine = hmac.compare_digest(self._signed_token(until), str(body.get("accessToken")))
        if not genuine or int(until) < self._world.seconds():
            return self._refused(BAD_TOKEN, "令牌无效或已过期")
        return None

    def _signed_token(self, until: str) -> str:
        key = self._settings.ping_an_app_key.reveal().encode()
        return f"{until}.{hmac.new(key, until.encode(), 'sha256').hexdigest()}"

    def _refused(self, code: int, text: str) -> Response:
        if self._signs_with_rsa:
            return JSONResponse(
                {"code": str(code), "success": False, "message": text, "data": None}
            )
        return JSONResponse({"code": code, "msg": text, "data": None})

    def _done(self, **data: Any) -> Response:
        if self._signs_with_rsa:
            return JSONResponse({"code": "0", "success": True, "message": "成功", "data": data})
        return JSONResponse({"code": 200, "msg": "成功", "data": data})


def _settings(settings: Settings) -> dict[str, Any]:
    """A private key only if the gateway is configured to sign with one."""
    if settings.ping_an_signer != "rsa":
        return {}
    return {"ping_an_private_key": Secret(stored_key(settings, "ping-an").decode())}


PLATFORM = Platform(ChannelId.PING_AN, routes, authorize, _settings)
