"""制卡进度查询 productionProgress: as a query, and live as a subscription."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from core import sessions
from core.errors import NoApplication
from core.production import Progress
from core.services.production_progress import production_progress
from gateway.resolvers.context import Context
from gateway.resolvers.run import read
from gateway.schema.errors import Refusal
from gateway.schema.info import Info
from gateway.schema.types import ProductionProgress

LOOK_AGAIN_SECONDS = 2.0

ProductionProgressResult = Annotated[
    ProductionProgress | Refusal,
    strawberry.union(
        "ProductionProgressResult", description="制卡进度查询结果 · The progress or a refusal."
    ),
]


@strawberry.type
class ProductionProgressQuery:
    @strawberry.field(description="制卡进度查询 · The six nodes of the viewer's newest card.")
    async def production_progress(self, info: Info) -> ProductionProgressResult:
        info.context.must_be_signed_in()
        return ProductionProgress(progress=await read(info.context, production_progress, None))


@strawberry.type
class ProductionProgressSubscription:
    @strawberry.subscription(
        description="制卡进度实时查询 · The progress now, and again whenever a node moves. "
        "Over `graphql-transport-ws` or SSE."
    )
    async def production_progress(self, info: Info) -> AsyncIterator[ProductionProgress]:
        context = info.context
        caller = context.must_be_signed_in()
        last: Progress | None = None
        with context.application.live.watch(caller.citizen_id or 0) as moved:
            while await sessions.is_open(
                context.application.database, caller.session_id, context.now()
            ):
                moved.clear()
                progress = await _progress(context)
                if progress is not None and _differs(progress, last):
                    last = progress
                    yield ProductionProgress(progress=progress)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                        await moved.wait()


async def _progress(context: Context) -> Progress | None:
    try:
        return await read(context, production_progress, None)
    except NoApplication:
        return None


def _differs(progress: Progress, last: Progress | None) -> bool:
    return last is None or (
        (progress.order.id, progress.order.nodes) != (last.order.id, last.order.nodes)
    )
