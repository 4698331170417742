"""HTTP client for partners: timeouts, retries, circuit breaker, and translated errors.

    PartnerFailed
    ├── NotAccepted      the request had no effect: it is safe to repeat
    ├── Rejected         the partner rejects the request for good, with its own `code`
    └── OutcomeUnknown   it may have had an effect: query `outcome` before repeating it

Every call posts JSON with the partner's bearer token and expects a JSON object, specified in
`docs/partners/`. Personal data is sent in bodies only, never in URLs, which end up in access logs.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import httpx
import msgspec
import structlog

from core.kernel import lengths
from core.kernel.breaker import Breaker, CircuitOpen
from core.kernel.clock import SECOND
from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.health import CallResult, PartnerHealth

ReplyT = TypeVar("ReplyT")

CONNECT_SECONDS = 2.0
TOTAL_SECONDS = 5.0
LOOKUP_ATTEMPTS = 2
MIN_PAUSE_SECONDS = 0.05
JITTER_MILLISECONDS = 200
MAX_BYTES = 1_048_576

_TIMEOUT = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
_BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_OUR_FAULT = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
_log = structlog.get_logger("core.partners")


class PartnerFailed(Exception):
    """`reason` says in a few words what happened, without personal data."""

    def __init__(self, partner: Text, reason: str) -> None:
        super().__init__(f"{partner.en}: {reason}")
        self.partner = partner
        self.reason = reason


class NotAccepted(PartnerFailed):
    """No connection, an open circuit breaker, or the partner was busy or refused our token."""


class Rejected(PartnerFailed):
    """Permanent rejection; `code` is the partner's own."""

    def __init__(self, partner: Text, code: str) -> None:
        super().__init__(partner, code)
        self.code = code


class OutcomeUnknown(PartnerFailed):
    """No response after the request was sent, or one that cannot be parsed."""


class IdempotentPartner(Protocol):
    """A partner that accepts commands with an idempotency key and can be queried for the outcome."""

    async def outcome(self, idempotency_key: str) -> bool:
        """Whether the command with this key was accepted. Raises `PartnerFailed`."""


class Taken(msgspec.Struct):
    taken: bool


class _Rejection(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(pattern=rf"^[A-Z0-9_]{{1,{lengths.PARTNER_CODE}}}\Z")]


class _Breaker(Breaker):
    failure = PartnerFailed
    answer = Rejected


class PartnerClient:
    """Client of one partner, with its circuit breaker and health counters.

    After five consecutive failures the breaker opens for a while: calls then raise `NotAccepted`
    immediately.
    """

    name: ClassVar[str]

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret, partner: Text) -> None:
        self._breaker = _Breaker()
        self.health = PartnerHealth(self.name, self._breaker)
        self._http = http
        self._url = url.rstrip("/")
        self._token = token
        self._partner = partner

    async def look_up(self, path: str, body: Mapping[str, Any], reply: type[ReplyT]) -> ReplyT:
        """Sends a query, which may be repeated safely: once more after a transient failure.

        Raises `PartnerFailed`.
        """
        request = self._request(path, body, {})
        return await self._measured(path, self._attempts(request, reply))

    async def execute(self, path: str, body: Mapping[str, Any], idempotency_key: str) -> None:
        """Sends a command once; only the caller may repeat it, with the same key.

        Raises `PartnerFailed`.
        """
        request = self._request(path, body, {"Idempotency-Key": idempotency_key})
        answer = await self._measured(path, self._once(request, Taken))
        if not answer.taken:
            raise NotAccepted(self._partner, "not accepted")

    async def outcome(self, idempotency_key: str) -> bool:
        answer = await self.look_up("/outcome", {"idempotencyKey": idempotency_key}, Taken)
        return answer.taken

    def _request(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Request:
        return self._http.build_request(
            "POST",
            self._url + path,
            content=msgspec.json.encode(body),
            headers={
                "Authorization": f"Bearer {self._token.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                **headers,
            },
            timeout=_TIMEOUT,
        )

    async def _measured(self, path: str, work: Coroutine[Any, Any, ReplyT]) -> ReplyT:
        begin = asyncio.get_running_loop().time()
        result = CallResult.UNKNOWN
        try:
            with self._breaker.passage(int(begin * SECOND)):
                answer = await self._in_time(work)
            result = CallResult.DONE
            return answer
        except CircuitOpen as cause:
            work.close()
            result = CallResult.CIRCUIT_OPEN
            raise NotAccepted(self._partner, "circuit open") from cause
        except PartnerFailed as failure:
            result = _result(failure)
            _log.warning(
                "partner.failed", partner=self._partner.en, call=path, reason=failure.reason
            )
            raise
        finally:
            self.health.record(path, result, asyncio.get_running_loop().time() - begin)

    async def _in_time(self, work: Awaitable[ReplyT]) -> ReplyT:
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await work
        except TimeoutError as cause:
            raise OutcomeUnknown(self._partner, "time-out") from cause

    async def _attempts(self, request: httpx.Request, reply: type[ReplyT]) -> ReplyT:
        for _ in range(LOOKUP_ATTEMPTS - 1):
            try:
                return await self._once(request, reply)
            except (NotAccepted, OutcomeUnknown):
                await asyncio.sleep(_pause())
        return await self._once(request, reply)

    async def _once(self, request: httpx.Request, reply: type[ReplyT]) -> ReplyT:
        status, body = await self._send(request)
        if status in (httpx.codes.OK, httpx.codes.ACCEPTED):
            return self._read(status, body, reply)
        raise self._failure(status, body)

    async def _send(self, request: httpx.Request) -> tuple[int, bytes]:
        try:
            response = await self._http.send(request, stream=True)
            try:
                return response.status_code, await self._body(response)
            finally:
                await response.aclose()
        except _NEVER_SENT as cause:
            raise NotAccepted(self._partner, type(cause).__name__) from cause
        except httpx.HTTPError as cause:
            raise OutcomeUnknown(self._partner, type(cause).__name__) from cause

    async def _body(self, response: httpx.Response) -> bytes:
        """Compressed ones are refused: a few bytes may unpack to more than the memory holds."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise OutcomeUnknown(self._partner, "compressed reply")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise OutcomeUnknown(self._partner, "reply too large")
        return bytes(body)

    def _failure(self, status: int, body: bytes) -> PartnerFailed:
        """A status without the partner's JSON object may come from a proxy: the outcome is unknown."""
        code = self._read(status, body, _Rejection).code
        if status in _BUSY or status in _OUR_FAULT:
            return NotAccepted(self._partner, f"HTTP {status}")
        if httpx.codes.is_client_error(status):
            return Rejected(self._partner, code)
        return OutcomeUnknown(self._partner, f"HTTP {status}")

    def _read(self, status: int, body: bytes, reply: type[ReplyT]) -> ReplyT:
        try:
            return msgspec.json.decode(body, type=reply)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise OutcomeUnknown(
                self._partner, f"HTTP {status} with an unreadable reply"
            ) from cause


def _result(failure: PartnerFailed) -> CallResult:
    if isinstance(failure, Rejected):
        return CallResult.REJECTED
    return CallResult.NOT_ACCEPTED if isinstance(failure, NotAccepted) else CallResult.UNKNOWN


def _pause() -> float:
    """Seconds before a retry; the jitter spreads callers that failed at the same time."""
    return MIN_PAUSE_SECONDS + secrets.randbelow(JITTER_MILLISECONDS) / 1000
