"""制卡进度查询 productionProgress: as a query, and live as a subscription."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import strawberry
from graphql import GraphQLError

from core.audit import Action
from core.cards import ASKS, PROGRESS
from core.citizens import sessions
from core.db import DatabaseUnavailable
from core.kernel.callers import Caller
from core.kernel.refusals import NoApplication, TryAgainLater
from core.kernel.texts import Language
from core.live import Watcher
from core.production import Progress, ProgressCursor
from core.services.production_progress import production_progress
from gateway.resolvers.context import Context
from gateway.resolvers.run import read, record_access
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress

ProductionProgressResult = Annotated[
    ProductionProgress | RefusalPayload,
    strawberry.union(
        "ProductionProgressResult", description="制卡进度查询结果 · The progress or a refusal."
    ),
]
AFTER = strawberry.argument(
    description="续传位置 · `cursor` of the last message received, to resume after a lost connection: "
    "the first message then lists in `changes` all that was missed."
)
_WAIT_FOR_DATABASE_SECONDS = 1.0
_BAD_CURSOR = {
    Language.ZH: "续传位置 after 无效：请传入上一条消息的 cursor，或不传。",
    Language.EN: "`after` is not a cursor: send the `cursor` of the last message, or nothing.",
}


@strawberry.type
class ProductionProgressQuery:
    @strawberry.field(
        directives=[NEEDS_PERSON],
        metadata={ASKS: PROGRESS},
        description="制卡进度查询 · The six nodes of the viewer's newest card.",
    )
    async def production_progress(self, info: Info) -> ProductionProgressResult:
        info.context.require_citizen()
        return ProductionProgress(
            progress=await read(
                info.context, production_progress, None, action=Action.PRODUCTION_PROGRESS
            )
        )


@strawberry.type
class ProductionProgressSubscription:
    @strawberry.subscription(
        directives=[NEEDS_PERSON],
        description="制卡进度实时查询 · Over `graphql-transport-ws` or SSE. The first message is "
        "the current progress (without an application, it is sent once there is one); then one "
        "within half a second of each change, also of `confirmation`. Simultaneous changes may "
        "share a message: `changes` lists each of them, in order, exactly "
        "once. The stream ends with its session. After a lost connection, subscribe again with `after`.",
    )
    async def production_progress(
        self, info: Info, after: Annotated[str | None, AFTER] = None
    ) -> AsyncIterator[ProductionProgress]:
        context = info.context
        caller = context.require_session()
        seen = _position(context.last_event_id or after, context.language)
        live = context.application.live
        with live.watch(caller.subject_id, caller.session_id) as watcher:
            while await watcher.changed():
                is_open, progress = await _look(context, caller, watcher)
                if not is_open:
                    return
                if progress is not None and progress.order.snapshot != watcher.seen:
                    watcher.seen = progress.order.snapshot
                    record_access(context, Action.PRODUCTION_PROGRESS)
                    yield ProductionProgress(progress=progress, seen=seen)
                    seen = progress.order.position


def _position(after: str | None, language: Language) -> ProgressCursor | None:
    if after is None:
        return None
    position = ProgressCursor.from_cursor(after)
    if position is None:
        raise GraphQLError(_BAD_CURSOR[language], extensions={"code": "BAD_USER_INPUT"})
    return position


async def _look(context: Context, caller: Caller, watcher: Watcher) -> tuple[bool, Progress | None]:
    """Whether the session is open, and the progress. Waits during a short database outage."""
    database = context.application.database
    try:
        return await asyncio.gather(
            sessions.is_open(database, caller.subject_id, caller.session_id, context.now()),
            _progress(context),
        )
    except (DatabaseUnavailable, TryAgainLater):
        if watcher.seen is None:
            raise
        await asyncio.sleep(_WAIT_FOR_DATABASE_SECONDS)
        watcher.wake()
        return True, None


async def _progress(context: Context) -> Progress | None:
    try:
        return await read(context, production_progress, None, action=None)
    except NoApplication:
        return None
