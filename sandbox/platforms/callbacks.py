"""Callbacks of the platforms to the gateway, with retries (消息推送 · 5 秒规则)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from core.kernel.settings import Settings
from sandbox.keys import unionpay_key
from sandbox.platforms import unionpay, wechat
from sandbox.world import World

ATTEMPTS = 3
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How often the platform called, and the last response; None after a timeout."""

    attempts: int
    response: httpx.Response | None

    @property
    def acknowledged(self) -> bool:
        return self.response is not None and self.response.status_code == httpx.codes.OK


class CallbackSender:
    def __init__(self, settings: Settings, http: httpx.AsyncClient, world: World) -> None:
        self._settings = settings
        self._http = http
        self._world = world

    async def push(self, message: Mapping[str, str]) -> Delivery:
        """A message of WeChat. A retry has the same MsgId or time, and a new nonce."""
        url = f"{self._settings.address}/channels/wechat/callback"

        def request() -> httpx.Request:
            query, body = wechat.callback(self._settings, message, self._world.seconds())
            return self._http.build_request(
                "POST",
                url,
                params=query,
                content=body,
                headers={"Content-Type": "text/xml"},
                timeout=TIMEOUT_SECONDS,
            )

        return await self._with_retries(request)

    async def notify(self, fields: Mapping[str, str]) -> Delivery:
        """A notification of UnionPay. Its retries are not published: modelled like WeChat's."""
        url = f"{self._settings.address}/channels/unionpay/callback"
        key = unionpay_key(self._settings)

        def request() -> httpx.Request:
            return self._http.build_request(
                "POST",
                url,
                content=unionpay.notification(self._settings, fields, key, self._world.seconds()),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                timeout=TIMEOUT_SECONDS,
            )

        return await self._with_retries(request)

    async def _with_retries(self, request: Callable[[], httpx.Request]) -> Delivery:
        delivery = Delivery(0, None)
        while delivery.attempts < ATTEMPTS and not delivery.acknowledged:
            delivery = Delivery(delivery.attempts + 1, await self._send(request()))
        return delivery

    async def _send(self, request: httpx.Request) -> httpx.Response | None:
        try:
            return await self._http.send(request)
        except httpx.HTTPError:
            return None
