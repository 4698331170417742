"""The wire to one outside system: time-outs, repeats, and errors in our own terms.

    PartnerFailed
    ├── NotTaken         it certainly did nothing: asking again is safe
    ├── Rejected         it understood and will never take this, by its own `code`
    └── OutcomeUnknown   it may have acted: its `outcome` must be asked before anything else

Every call posts JSON under the partner's bearer token and expects a JSON object, whose shape
is in `docs/partners/`. Names and numbers travel in bodies alone, so that no address that a
log may show holds any.
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
from core.kernel.refusals import Text
from core.kernel.settings import Secret
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
    """`reason` names what happened in a few words and holds nothing personal."""

    def __init__(self, partner: Text, reason: str) -> None:
        super().__init__(f"{partner.en}: {reason}")
        self.partner = partner
        self.reason = reason


class NotTaken(PartnerFailed):
    """Never connected, or the partner said that it was busy or did not know our token."""


class Rejected(PartnerFailed):
    """The partner will not take this, however often it is asked; `code` is its own."""

    def __init__(self, partner: Text, code: str) -> None:
        super().__init__(partner, code)
        self.code = code


class OutcomeUnknown(PartnerFailed):
    """No answer after the request was sent, or one that could not be understood."""


class Accountable(Protocol):
    """A partner that takes effects, each under an idempotency key, and can be asked for it."""

    async def outcome(self, idempotency_key: str) -> bool:
        """Whether the partner took the effect with this key. Raises `PartnerFailed`."""


class Taken(msgspec.Struct):
    taken: bool


class _Rejection(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(pattern=rf"^[A-Z0-9_]{{1,{lengths.PARTNER_CODE}}}\Z")]


class _Breaker(Breaker):
    failure = PartnerFailed
    answer = Rejected


class Connection:
    """One partner's address and token, and how its calls went.

    After five calls in a row that failed, the partner is left alone for a while: a call is then
    `NotTaken` at once.
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
        """Asks for something that asking does not change, again where that may help.

        Raises `PartnerFailed`.
        """
        request = self._request(path, body, {})
        return await self._watched(path, self._attempts(request, reply))

    async def bring_about(self, path: str, body: Mapping[str, Any], idempotency_key: str) -> None:
        """Has the partner do something, at most once: only the caller may repeat it, by its key.

        Raises `PartnerFailed`.
        """
        request = self._request(path, body, {"Idempotency-Key": idempotency_key})
        answer = await self._watched(path, self._once(request, Taken))
        if not answer.taken:
            raise NotTaken(self._partner, "not taken")

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
                **headers,
            },
            timeout=_TIMEOUT,
        )

    async def _watched(self, path: str, work: Coroutine[Any, Any, ReplyT]) -> ReplyT:
        begin = asyncio.get_running_loop().time()
        result = CallResult.UNKNOWN
        try:
            with self._breaker.passage(int(begin * SECOND)):
                answer = await self._in_time(work)
            result = CallResult.DONE
            return answer
        except CircuitOpen as cause:
            work.close()
            result = CallResult.LEFT_ALONE
            raise NotTaken(self._partner, "left alone") from cause
        except PartnerFailed as failure:
            result = _result(failure)
            _log.warning(
                "partner failed", partner=self._partner.en, call=path, reason=failure.reason
            )
            raise
        finally:
            self.health.note(path, result, asyncio.get_running_loop().time() - begin)

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
            except (NotTaken, OutcomeUnknown):
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
            raise NotTaken(self._partner, type(cause).__name__) from cause
        except httpx.HTTPError as cause:
            raise OutcomeUnknown(self._partner, type(cause).__name__) from cause

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise OutcomeUnknown(self._partner, "reply too large")
        return bytes(body)

    def _failure(self, status: int, body: bytes) -> PartnerFailed:
        """A status alone may be a proxy's word; with the JSON object it is the partner's own."""
        code = self._read(status, body, _Rejection).code
        if status in _BUSY or status in _OUR_FAULT:
            return NotTaken(self._partner, f"HTTP {status}")
        if httpx.codes.is_client_error(status):
            return Rejected(self._partner, code)
        return OutcomeUnknown(self._partner, f"HTTP {status}")

    def _read(self, status: int, body: bytes, reply: type[ReplyT]) -> ReplyT:
        try:
            return msgspec.json.decode(body, type=reply)
        except msgspec.DecodeError as cause:
            raise OutcomeUnknown(
                self._partner, f"HTTP {status} with an unreadable reply"
            ) from cause


def _result(failure: PartnerFailed) -> CallResult:
    if isinstance(failure, Rejected):
        return CallResult.REJECTED
    return CallResult.NOT_TAKEN if isinstance(failure, NotTaken) else CallResult.UNKNOWN


def _pause() -> float:
    """Jitter keeps callers that failed together from coming back together."""
    return MIN_PAUSE_SECONDS + secrets.randbelow(JITTER_MILLISECONDS) / 1000
