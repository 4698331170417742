"""Client of one platform: timeouts, retries, circuit breaker, and errors as refusals.

A platform that hangs occupies at most its own `SLOTS` connections of the shared HTTP client,
so it cannot slow down the others.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import httpx
import orjson
import structlog

from core.kernel.clock import Monotonic, monotonic_clock, seconds_until
from core.kernel.refusals import ChannelUnavailable, Refusal
from core.kernel.texts import Text
from gateway.channels.platform_client.breaker import (
    Breaker,
    CircuitOpen,
    PlatformFailed,
    PlatformRefused,
    SafeToRetry,
)

T = TypeVar("T")
Reply: TypeAlias = dict[str, Any]

CONNECT_SECONDS = 2.0
TOTAL_SECONDS = 5.0
QUEUE_SECONDS = 1.0
"""Longest wait for a free slot, so that calls to a hanging platform fail early."""
SLOTS = 24
ATTEMPTS = 2
MAX_BYTES = 1_048_576
WAIT_SECONDS = 5
"""How long a citizen is asked to wait after a failure."""

_UNCOMPRESSED = {"Accept-Encoding": "identity"}
_TIMEOUT = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
_log = structlog.get_logger("gateway.channels")


class _WithoutQuery(logging.Filter):
    """Removes queries from the URLs that httpx logs: WeChat's API puts secrets and codes there."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(arg) for arg in record.args)
        return True


def _without_query(arg: object) -> object:
    return arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg


logging.getLogger("httpx").addFilter(_WithoutQuery())


class PlatformClient:
    """`root` is the path below which all calls lie.

    `unwrap` takes the payload out of the envelope that all replies of the platform share. It
    raises `PlatformRefused` for an error code, `SafeToRetry` if the platform says it is busy.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        app_name: Text,
        *,
        root: str = "",
        unwrap: Callable[[Reply], Any] = lambda reply: reply,
        monotonic: Monotonic = monotonic_clock,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/") + root
        self._app_name = app_name
        self._unwrap = unwrap
        self._breaker = Breaker()
        self._monotonic = monotonic
        self._slots = asyncio.Semaphore(SLOTS)

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        parse: Callable[[Any], T],
        *,
        repeatable: bool,
    ) -> T:
        """`parse` converts the payload of the reply; it raises `PlatformFailed`.

        `repeatable` says that the call is idempotent. Raises `ChannelUnavailable`, or the
        `PlatformRefused` of `unwrap`.
        """
        request = self._http.build_request(
            "GET", self._base_url + path, params=query, headers=_UNCOMPRESSED, timeout=_TIMEOUT
        )
        return await self._call(path, request, parse, repeatable)

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        parse: Callable[[Any], T],
        *,
        repeatable: bool,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """Like `get`, with a JSON body in raw UTF-8: WeChat would store `\\u` escapes literally."""
        request = self._http.build_request(
            "POST",
            self._base_url + path,
            params=query,
            content=orjson.dumps(body),
            headers={"Content-Type": "application/json; charset=utf-8", **_UNCOMPRESSED},
            timeout=_TIMEOUT,
        )
        return await self._call(path, request, parse, repeatable)

    def refused(self, call: str, refusal: PlatformRefused, wait: int = WAIT_SECONDS) -> Refusal:
        """For an error that citizens cannot resolve: its code is logged for the operator."""
        _log.error("platform refused", app=self._app_name.en, call=call, code=refusal.code)
        return self._unavailable(wait)

    async def _call(
        self,
        path: str,
        request: httpx.Request,
        parse: Callable[[Any], T],
        repeatable: bool,
    ) -> T:
        with self._as_refusals(path):
            started = asyncio.get_running_loop().time()
            self._breaker.check(self._monotonic())
            await _in_time(self._slots.acquire(), started + QUEUE_SECONDS)
            try:
                with self._breaker.passage(self._monotonic()):
                    return await _in_time(
                        self._attempts(request, parse, repeatable), started + TOTAL_SECONDS
                    )
            finally:
                self._slots.release()

    async def _attempts(
        self, request: httpx.Request, parse: Callable[[Any], T], repeatable: bool
    ) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return parse(self._unwrap(await self._once(request)))
            except PlatformFailed as failure:
                if not (repeatable or isinstance(failure, SafeToRetry)):
                    raise
            await asyncio.sleep(0.05 + secrets.randbelow(200) / 1000)
        return parse(self._unwrap(await self._once(request)))

    async def _once(self, request: httpx.Request) -> Reply:
        try:
            response = await self._http.send(request, stream=True)
            try:
                return _json(response.status_code, await _body(response))
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as cause:
            raise SafeToRetry(type(cause).__name__) from cause
        except httpx.HTTPError as cause:
            raise PlatformFailed(type(cause).__name__) from cause

    @contextmanager
    def _as_refusals(self, path: str) -> Iterator[None]:
        try:
            yield
        except CircuitOpen as cause:
            raise self._unavailable(
                max(1, seconds_until(cause.until, self._monotonic()))
            ) from cause
        except PlatformFailed as cause:
            _log.warning("platform failed", app=self._app_name.en, call=path, reason=str(cause))
            raise self._unavailable(WAIT_SECONDS) from cause

    def _unavailable(self, wait: int) -> ChannelUnavailable:
        return ChannelUnavailable(app=self._app_name, retry_after=wait)


async def _in_time(work: Awaitable[T], deadline: float) -> T:
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError as cause:
        raise PlatformFailed("timeout") from cause


async def _body(response: httpx.Response) -> bytes:
    """Compressed ones are refused: a few bytes may unpack to more than the memory holds."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PlatformFailed("compressed reply")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise PlatformFailed("reply too large")
    return bytes(body)


def _json(status: int, body: bytes) -> Reply:
    if status != httpx.codes.OK:
        raise PlatformFailed(f"HTTP {status}")
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise PlatformFailed("not JSON") from cause
    if not isinstance(reply, dict):
        raise PlatformFailed("not a JSON object")
    return reply
