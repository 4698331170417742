"""WeChat's server (微信公众号开发文档): codes, app token, ticket, menu, template messages."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.personas import Persona
from sandbox.platforms.authorize_page import answer_page
from sandbox.platforms.inbox import deliver
from sandbox.platforms.platform import Platform
from sandbox.platforms.server import Server
from sandbox.world import World

Form: TypeAlias = tuple[dict[str, str], bytes]

CODE_SECONDS = 300
TOKEN_SECONDS = 7200
RENEWAL_SECONDS = 300
CODES, USED_CODES, USERS = "wechat.codes", "wechat.used-codes", "wechat.users"
TOKENS, STABLE, MENU = "wechat.tokens", "wechat.stable", "wechat.menu"
_ONLY_KEY = "current"


def authorize(world: World, persona: Persona) -> str:
    code = secrets.token_hex(16)
    account = persona.account(ChannelId.WECHAT)
    world.add(USERS, account, {"openid": account})
    world.put(CODES, code, {"openid": account, "until": world.seconds() + CODE_SECONDS})
    return code


def routes(settings: Settings, world: World) -> list[BaseRoute]:
    platform = _Platform(settings, world)
    return [
        Route("/connect/oauth2/authorize", platform.authorize_page),
        Route("/sns/oauth2/access_token", platform.exchange_code),
        Route("/cgi-bin/stable_token", platform.stable_token, methods=["POST"]),
        Route("/cgi-bin/ticket/getticket", platform.ticket),
        Route("/cgi-bin/menu/create", platform.create_menu, methods=["POST"]),
        Route("/cgi-bin/message/template/send", platform.send_template, methods=["POST"]),
    ]


class _Platform(Server):
    async def authorize_page(self, request: Request) -> Response:
        return answer_page(
            request,
            title="微信",
            app_id=("appid", self._settings.wechat_app_id),
            redirect="redirect_uri",
            domains=self._settings.wechat_redirect_domains,
            authorize=lambda persona: authorize(self._world, persona),
        )

    async def exchange_code(self, request: Request) -> Response:
        query = request.query_params
        wrong = self._wrong_app(query)
        if wrong:
            return wrong
        if query.get("grant_type") != "authorization_code":
            return _error(40002, "invalid grant_type")
        code = query.get("code", "")
        if self._world.get(USED_CODES, code):
            return _error(40163, "code been used")
        authorized = self._world.get(CODES, code)
        if authorized is None or authorized["until"] < self._world.seconds():
            return _error(40029, "invalid code")
        if not self._world.add(USED_CODES, code, {"at": self._world.seconds()}):
            return _error(40163, "code been used")
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(64),
                "expires_in": TOKEN_SECONDS,
                "refresh_token": secrets.token_urlsafe(64),
                "openid": authorized["openid"],
                "scope": "snsapi_base",
                **({"is_snapshotuser": 1} if authorized.get("snapshot") else {}),
            }
        )

    async def stable_token(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        wrong = self._wrong_app(body)
        if wrong:
            return wrong
        if body.get("grant_type") != "client_credential":
            return _error(40002, "invalid grant_type")
        now = self._world.seconds()
        current = self._world.get(STABLE, _ONLY_KEY)
        renew = current is None or current["until"] - now <= RENEWAL_SECONDS
        if current is None or renew or body.get("force_refresh"):
            current = self._issue(now, revoked=None if renew else current)
        return JSONResponse(
            {"access_token": current["token"], "expires_in": current["until"] - now}
        )

    def _issue(self, now: int, revoked: dict[str, Any] | None) -> dict[str, Any]:
        """A forced refresh revokes the old token; otherwise both are valid for five minutes."""
        if revoked:
            self._world.take(TOKENS, revoked["token"])
        token = secrets.token_urlsafe(96)
        issued = {"token": token, "until": now + TOKEN_SECONDS}
        self._world.put(TOKENS, token, issued)
        self._world.put(STABLE, _ONLY_KEY, issued)
        return issued

    async def ticket(self, request: Request) -> Response:
        refused = self._refused_token(request)
        if refused:
            return refused
        ticket = hashlib.sha256(request.query_params["access_token"].encode()).hexdigest()
        return JSONResponse(
            {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": TOKEN_SECONDS}
        )

    async def create_menu(self, request: Request) -> Response:
        refused = self._refused_token(request)
        if refused:
            return refused
        menu = orjson.loads(await request.body())
        buttons = menu.get("button", [])
        below = [button["sub_button"] for button in buttons if "sub_button" in button]
        if not 1 <= len(buttons) <= 3 or any(not 1 <= len(level) <= 5 for level in below):
            return _error(40016, "invalid button size")
        self._world.put(MENU, _ONLY_KEY, menu)
        return _ok()

    async def send_template(self, request: Request) -> Response:
        refused = self._refused_token(request)
        if refused:
            return refused
        body = orjson.loads(await request.body())
        user = self._world.get(USERS, body.get("touser", ""))
        if user is None:
            return _error(40003, "invalid openid")
        if not user.get("follows", True):
            return _error(43004, "require subscribe")
        values = {key: part["value"] for key, part in body["data"].items()}
        number = deliver(
            self._world,
            ChannelId.WECHAT,
            body["touser"],
            body["template_id"],
            values,
            body.get("url", ""),
        )
        return _ok(msgid=int(number))

    def _wrong_app(self, sent: Mapping[str, Any]) -> Response | None:
        if sent.get("appid") != self._settings.wechat_app_id:
            return _error(40013, "invalid appid")
        secret = self._settings.wechat_secret.reveal()
        if not hmac.compare_digest(str(sent.get("secret", "")).encode(), secret.encode()):
            return _error(40125, "invalid appsecret")
        return None

    def _refused_token(self, request: Request) -> Response | None:
        token = self._world.get(TOKENS, request.query_params.get("access_token", ""))
        if token is None:
            return _error(40001, "invalid credential, access_token is invalid or not latest")
        if token["until"] < self._world.seconds():
            return _error(42001, "access_token expired")
        return None


def callback(settings: Settings, message: Mapping[str, str], at: int) -> Form:
    """A callback sent at `at` (seconds): query and body, encrypted if a key is set."""
    plain = _xml(message)
    timestamp, nonce = str(at), str(secrets.randbelow(10**9))
    query = {
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": message.get("FromUserName", ""),
        "signature": _signature(settings, timestamp, nonce),
    }
    if not settings.wechat_aes_key.reveal():
        return query, plain
    encrypted = _encrypted(settings, plain)
    query["encrypt_type"] = "aes"
    query["msg_signature"] = _signature(settings, timestamp, nonce, encrypted)
    body = _xml({"ToUserName": message.get("ToUserName", ""), "Encrypt": encrypted})
    return query, body


def read_reply(settings: Settings, body: bytes) -> dict[str, str]:
    """Our reply, as the platform parses it. Raises `ValueError` if it would reject the reply."""
    reply = _fields(body)
    if not settings.wechat_aes_key.reveal():
        return reply
    signed = (reply["TimeStamp"], reply["Nonce"], reply["Encrypt"])
    if reply["MsgSignature"] != _signature(settings, *signed):
        raise ValueError("the reply's signature is wrong")
    return _fields(_decrypted(settings, reply["Encrypt"]))


def url_check(settings: Settings, at: int) -> dict[str, str]:
    """The query with which the platform verifies our URL; it expects `echostr` in return."""
    timestamp, nonce = str(at), str(secrets.randbelow(10**9))
    return {
        "signature": _signature(settings, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "echostr": str(secrets.randbelow(10**18)),
    }


def _signature(settings: Settings, *parts: str) -> str:
    joined = "".join(sorted((settings.wechat_token.reveal(), *parts)))
    return hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the platform's algorithm


def _encrypted(settings: Settings, message: bytes) -> str:
    key = base64.b64decode(settings.wechat_aes_key.reveal() + "=")
    plain = (
        secrets.token_bytes(16)
        + len(message).to_bytes(4, "big")
        + message
        + settings.wechat_app_id.encode()
    )
    missing = 32 - len(plain) % 32
    encryptor = Cipher(AES256(key), CBC(key[:16])).encryptor()
    return base64.b64encode(
        encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
    ).decode()


def _decrypted(settings: Settings, encrypted: str) -> bytes:
    key = base64.b64decode(settings.wechat_aes_key.reveal() + "=")
    decryptor = Cipher(AES256(key), CBC(key[:16])).decryptor()
    padded = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    plain = padded[: -padded[-1]]
    end = 20 + int.from_bytes(plain[16:20], "big")
    if plain[end:] != settings.wechat_app_id.encode():
        raise ValueError("the reply is of another account")
    return plain[20:end]


def _fields(xml: bytes) -> dict[str, str]:
    return {part.tag: part.text or "" for part in fromstring(xml)}


def _xml(fields: Mapping[str, str]) -> bytes:
    inside = "".join(f"<{key}><![CDATA[{value}]]></{key}>" for key, value in fields.items())
    return f"<xml>{inside}</xml>".encode()


def _error(code: int, text: str) -> Response:
    return JSONResponse({"errcode": code, "errmsg": text})


def _ok(**more: int) -> Response:
    return JSONResponse({"errcode": 0, "errmsg": "ok", **more})


PLATFORM = Platform(
    ChannelId.WECHAT, routes, authorize, lambda _settings: {"wechat_app_id": "wx-sandbox"}
)
