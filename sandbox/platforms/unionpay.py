"""UnionPay's open platform (云闪付开放平台): tokens, real name, mobile, status, messages."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.keys import unionpay_key
from sandbox.personas import Persona
from sandbox.platforms.authorize_page import answer_page
from sandbox.platforms.inbox import deliver
from sandbox.platforms.platform import Platform
from sandbox.platforms.server import Body, Server, json_endpoint
from sandbox.world import World

CODE_SECONDS = 300
BACKEND_SECONDS = 7200
ACCESS_SECONDS = 3600
MAX_SKEW_SECONDS = 300
SCOPES = ["upapi_auth", "upapi_mobile"]
CODES, USERS = "unionpay.codes", "unionpay.users"
_NOBODY: Body = {"name": "", "number": "", "phone": "", "certificate": ""}
BACKEND_TOKENS, ACCESS_TOKENS = "unionpay.backend-tokens", "unionpay.access-tokens"


def authorize(world: World, persona: Persona) -> str:
    """URL-encoded base64 that always contains a `+`, the character that decoding may break."""
    code = "+" + base64.b64encode(secrets.token_bytes(32)).decode()
    open_id = persona.account(ChannelId.UNIONPAY)
    user = {
        "name": persona.name,
        "number": persona.social_security_number,
        "phone": persona.phone,
        "certificate": "01",
    }
    world.put(USERS, open_id, user)
    world.put(CODES, code, {"openId": open_id, "until": world.seconds() + CODE_SECONDS})
    return quote(code, safe="")


def routes(settings: Settings, world: World) -> list[BaseRoute]:
    platform = _Platform(settings, world)
    calls: dict[str, Callable[[Body], Response]] = {
        "backendToken": platform.backend_token,
        "token": platform.with_backend_token(platform.token),
        "user.mobile": platform.with_backend_token(platform.mobile),
        "user.auth": platform.with_backend_token(platform.real_name),
        "user.status": platform.with_backend_token(platform.status),
        "applet.msg": platform.with_backend_token(platform.message),
    }
    return [
        Route("/s/open/html/oauth.html", platform.authorize_page),
        *(
            Route(f"/open/access/1.0/{name}", json_endpoint(call), methods=["POST"])
            for name, call in calls.items()
        ),
    ]


class _Platform(Server):
    async def authorize_page(self, request: Request) -> Response:
        return answer_page(
            request,
            title="云闪付",
            app_id=("appId", self._settings.unionpay_app_id),
            redirect="redirectUri",
            domains=self._settings.unionpay_redirect_domains,
            authorize=lambda persona: unquote(authorize(self._world, persona)),
        )

    def backend_token(self, body: Body) -> Response:
        if body.get("appId") != self._settings.unionpay_app_id:
            return _refused("BC2126", "appId不存在")
        if abs(self._world.seconds() - int(body["timestamp"])) > MAX_SKEW_SECONDS:
            return _refused("BC0024", "非法请求")
        if not hmac.compare_digest(str(body.get("signature")), self._signature(body)):
            return _refused("BC0025", "签名错误")
        token = secrets.token_hex(16)
        self._world.put(BACKEND_TOKENS, token, {"until": self._world.seconds() + BACKEND_SECONDS})
        return _done(backendToken=token, expiresIn=BACKEND_SECONDS)

    def with_backend_token(self, call: Callable[[Body], Response]) -> Callable[[Body], Response]:
        def checked(body: Body) -> Response:
            token = self._world.get(BACKEND_TOKENS, str(body.get("backendToken")))
            if token is None or token["until"] < self._world.seconds():
                return _refused("a10", "backendToken不合法")
            if body.get("appId") != self._settings.unionpay_app_id:
                return _refused("BC2126", "appId不存在")
            return call(body)

        return checked

    def token(self, body: Body) -> Response:
        authorized = self._world.take(CODES, str(body.get("code")))
        wrong_grant = body.get("grantType") != "authorization_code"
        if authorized is None or wrong_grant or authorized["until"] < self._world.seconds():
            return _refused("a31", "code不合法或已过期")
        token = secrets.token_hex(16)
        granted = {
            "openId": authorized["openId"],
            "scopes": authorized.get("scopes", SCOPES),
            "until": self._world.seconds() + ACCESS_SECONDS,
        }
        self._world.put(ACCESS_TOKENS, token, granted)
        return _done(
            accessToken=token,
            expiresIn=ACCESS_SECONDS,
            openId=granted["openId"],
            unionId="u" + hashlib.sha256(granted["openId"].encode()).hexdigest()[:31],
            scope=",".join(granted["scopes"]),
            refreshToken=secrets.token_hex(16),
        )

    def mobile(self, body: Body) -> Response:
        refused = self._not_granted(body, "upapi_mobile")
        if refused:
            return refused
        phone = self._user(body)["phone"]
        if not phone:
            return _refused("N62135", "用户手机号不存在")
        return _done(mobile=self._encrypted(phone), cntryPhoneCd="86")

    def real_name(self, body: Body) -> Response:
        refused = self._not_granted(body, "upapi_auth")
        if refused:
            return refused
        user = self._user(body)
        return _done(
            realName=self._encrypted(user["name"]),
            certTp=self._encrypted(user["certificate"]),
            certId=self._encrypted(user["number"]),
        )

    def status(self, body: Body) -> Response:
        user = self._world.get(USERS, str(body.get("openId")))
        if user is None:
            return _refused("BC2209", "openId错误")
        return _done(isRegister="1", isAuth="1", certType=user["certificate"])

    def message(self, body: Body) -> Response:
        open_id = str(body.get("openId"))
        if self._world.get(USERS, open_id) is None:
            return _refused("BC2209", "openId错误")
        if len(body["desc"]) > 200:
            return _refused("BC0024", "非法请求")
        values = {part["key"]: part["value"] for part in body["valueList"]}
        number = deliver(
            self._world,
            ChannelId.UNIONPAY,
            open_id,
            body["templateId"],
            values,
            body["destInfo"],
            text=body["desc"],
        )
        return _done(nid=number, notificationNo=number)

    def _not_granted(self, body: Body, scope: str) -> Response | None:
        granted = self._world.get(ACCESS_TOKENS, str(body.get("accessToken")))
        if granted is None or granted["until"] < self._world.seconds():
            return _refused("a31", "accessToken不合法或已过期")
        if granted["openId"] != body.get("openId"):
            return _refused("BC2209", "openId错误")
        if scope not in granted["scopes"]:
            return _refused("N62197", "scope未授权")
        return None

    def _user(self, body: Body) -> Body:
        return self._world.get(USERS, body["openId"]) or _NOBODY

    def _signature(self, body: Body) -> str:
        signed = {
            "appId": body["appId"],
            "nonceStr": body["nonceStr"],
            "secret": self._settings.unionpay_secret.reveal(),
            "timestamp": body["timestamp"],
        }
        joined = "&".join(f"{key}={value}" for key, value in sorted(signed.items()))
        return hashlib.sha256(joined.encode()).hexdigest()

    def _encrypted(self, value: str) -> str:
        key = bytes.fromhex(self._settings.unionpay_symmetric_key.reveal())
        padder = PKCS7(64).padder()
        padded = padder.update(value.encode()) + padder.finalize()
        encryptor = Cipher(TripleDES(key), ECB()).encryptor()  # noqa: S305 - the platform's choice
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def notification(
    settings: Settings, fields: Mapping[str, str], key: RSAPrivateKey, at: int
) -> bytes:
    """The signed form of a notification sent at `at` (seconds)."""
    sent = {
        "appId": settings.unionpay_app_id,
        "nonceStr": secrets.token_hex(8),
        "timestamp": str(at),
        **fields,
    }
    signed = "&".join(f"{name}={value}" for name, value in sorted(sent.items()))
    signature = key.sign(signed.encode(), PKCS1v15(), SHA256())
    return urlencode({**sent, "signature": base64.b64encode(signature).decode()}).encode()


def _refused(code: str, text: str) -> Response:
    return JSONResponse({"resp": code, "msg": text})


def _done(**params: str | int) -> Response:
    return JSONResponse({"resp": "00", "msg": "成功", "params": params})


def _settings(settings: Settings) -> dict[str, Any]:
    key = unionpay_key(settings).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "unionpay_public_key": pem,
        "unionpay_leaving_types": "AUTH_CANCELLED",
        "unionpay_mini_program_id": "mp-sandbox",
    }


PLATFORM = Platform(ChannelId.UNIONPAY, routes, authorize, _settings)
