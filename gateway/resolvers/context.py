"""The context of a request (caller, clock, language), and the application's components."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
from graphql import GraphQLError
from msgspec import Struct

from core.audit import AccessLogWriter
from core.db import Database, Reader
from core.jobs import Scheduler
from core.kernel.callers import Caller, ChannelId
from core.kernel.clock import Instant
from core.kernel.refusals import NotOfferedHere
from core.kernel.texts import Language
from core.live import Live
from core.messaging import OutboxWorker
from core.production import ProductionHistory
from core.unit_of_work import Dependencies, IdempotencyKey, require_citizen_id
from gateway.channels.contract import Channel


def system_clock() -> Instant:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Application:
    """The components that all requests share, built in `gateway/app/factory.py`."""

    database: Database
    dependencies: Dependencies
    channels: Mapping[ChannelId, Channel]
    worker: OutboxWorker
    scheduler: Scheduler
    live: Live
    history: ProductionHistory
    access_log: AccessLogWriter
    http: httpx.AsyncClient
    clock: Callable[[], Instant] = system_clock


class Unauthenticated(GraphQLError):
    """The operation needs a session: sign in, and send `Authorization: Bearer <token>`."""

    def __init__(self, message: str, code: str = "UNAUTHENTICATED") -> None:
        super().__init__(message, extensions={"code": code})


_SIGN_IN_FIRST = {
    Language.ZH: "请先登录：登录已失效或未登录，请从渠道 App 重新进入。",
    Language.EN: "Please sign in: there is no session, or it has ended.",
}


class Context(Struct):
    application: Application
    language: Language
    address: str
    caller: Caller | None
    idempotency: IdempotencyKey | None = None
    token: str | None = None
    device_key: str | None = None
    claimed_channel: str | None = None
    connection_params: object = None
    channels: frozenset[ChannelId] | None = None
    """The channels that the origin of the request may use; None for all."""
    reader: Reader | None = None
    """A reader with the prefetched rows of the operation; None without prefetch."""
    last_event_id: str | None = None
    """`Last-Event-ID` of a resumed event stream: the cursor of the last event received."""
    may_run_untrusted: bool = False
    """Whether untrusted documents are permitted, as in the playground."""

    def __repr__(self) -> str:
        """Without personal data."""
        return f"Context({self.caller!r}, {self.language})"

    @property
    def dependencies(self) -> Dependencies:
        return self.application.dependencies

    def now(self) -> Instant:
        return self.application.clock()

    def may_use(self, channel: ChannelId) -> bool:
        return self.channels is None or channel in self.channels

    def require_channel(self, channel: ChannelId) -> None:
        """Raises `NotOfferedHere`: a channel's page may start sessions of that channel only."""
        if not self.may_use(channel):
            raise NotOfferedHere

    def require_session(self) -> Caller:
        if self.caller is None:
            raise Unauthenticated(_SIGN_IN_FIRST[self.language])
        return self.caller

    def require_citizen(self) -> Caller:
        """Raises `NotBound` while no citizen is known, before anything else is checked."""
        caller = self.require_session()
        require_citizen_id(caller)
        return caller
