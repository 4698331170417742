"""The platforms call the gateway, and call again what it did not take (消息推送 · 5 秒规则)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from core.kernel.settings import Settings
from sandbox.platforms import unionpay, wechat
from sandbox.platforms.clock import seconds
from sandbox.settings import unionpay_key

ATTEMPTS = 3
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Called:
    """How often the platform called, and the last answer: None where there was none in time."""

    attempts: int
    response: httpx.Response | None

    @property
    def taken(self) -> bool:
        return self.response is not None and self.response.status_code == httpx.codes.OK


class Caller:
    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    async def push(self, message: Mapping[str, str]) -> Called:
        """WeChat's message: a repeated one has the same MsgId or time, and another nonce."""
        url = f"{self._settings.address}/channels/wechat/callback"

        def request() -> httpx.Request:
            query, body = wechat.callback(self._settings, message, seconds())
            return self._http.build_request(
                "POST",
                url,
                params=query,
                content=body,
                headers={"Content-Type": "text/xml"},
                timeout=PATIENCE_SECONDS,
            )

        return await self._until_taken(request)

    async def notify(self, fields: Mapping[str, str]) -> Called:
        """UnionPay's notification. How often it repeats is not published: modelled like WeChat."""
        url = f"{self._settings.address}/channels/unionpay/callback"
        key = unionpay_key(self._settings)

        def request() -> httpx.Request:
            return self._http.build_request(
                "POST",
                url,
                content=unionpay.notification(self._settings, fields, key, seconds()),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                timeout=PATIENCE_SECONDS,
            )

        return await self._until_taken(request)

    async def _until_taken(self, request: Callable[[], httpx.Request]) -> Called:
        called = Called(0, None)
        while called.attempts < ATTEMPTS and not called.taken:
            called = Called(called.attempts + 1, await self._answer(request()))
        return called

    async def _answer(self, request: httpx.Request) -> httpx.Response | None:
        try:
            return await self._http.send(request)
        except httpx.HTTPError:
            return None
