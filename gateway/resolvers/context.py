"""The context of one request: the caller, the clock, the language, and what the application is made of."""

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
from core.kernel.refusals import Language, NotOfferedHere
from core.live import Live
from core.messaging import OutboxWorker
from core.production import ProductionHistory
from core.unit_of_work import Dependencies, IdempotencyKey, require_citizen_id
from gateway.channels.contract import Channel


def system_clock() -> Instant:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Application:
    """The parts that every request shares, put together in `gateway/app/factory.py`."""

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
    """Those for which the page that asks may speak; None for every channel."""
    reader: Reader | None = None
    """Has read already what the operation was expected to ask; None where nothing was."""
    last_event_id: str | None = None
    """Of the event stream that is taken up again: the cursor of the last event that arrived."""
    may_run_anything: bool = False
    """Also what is not in the operation manifest: for the playground."""

    def __repr__(self) -> str:
        """Without anything that is the citizen's."""
        return f"Context({self.caller!r}, {self.language})"

    @property
    def dependencies(self) -> Dependencies:
        return self.application.dependencies

    def now(self) -> Instant:
        return self.application.clock()

    def may_speak_for(self, channel: ChannelId) -> bool:
        return self.channels is None or channel in self.channels

    def must_speak_for(self, channel: ChannelId) -> None:
        """A channel's page starts sessions of that channel alone."""
        if not self.may_speak_for(channel):
            raise NotOfferedHere

    def must_be_signed_in(self) -> Caller:
        if self.caller is None:
            raise Unauthenticated(_SIGN_IN_FIRST[self.language])
        return self.caller

    def must_be_known(self) -> Caller:
        """Refuses with `NotBound` before anything else is looked at, until a person is known."""
        caller = self.must_be_signed_in()
        require_citizen_id(caller)
        return caller
