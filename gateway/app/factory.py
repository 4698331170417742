"""Puts the parts together. Nothing else does."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import httpx
import strawberry
from graphql import GraphQLSchema
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from core.audit import AuditKeeper
from core.citizens import Hasher
from core.db import Database, connect
from core.imaging import MEGABYTE, Bounds, Studio, can_read
from core.jobs import JOBS, Scheduler
from core.kernel.clock import Instant
from core.kernel.settings import Settings, SettingsError, variable
from core.live import Live, build_relay
from core.messaging import Worker
from core.partners import build_partners
from core.production import ProductionHistory
from core.reference import Reference
from core.storage import Objects
from core.unit_of_work import Tools
from gateway.app.keys import keys_from
from gateway.channels import CHANNELS, build_channels
from gateway.channels.contract import Channel, build_messengers
from gateway.http.admission import (
    Budgets,
    Documents,
    Gate,
    LimitDocuments,
    PreparedDocuments,
    limit_tokens,
    read_manifest,
)
from gateway.http.edge import FrontDoor, Origins, headers_for_data
from gateway.http.endpoints import (
    callback_routes,
    healthz,
    issuer_events_endpoint,
    metrics_endpoint,
    picture_endpoint,
    readyz_endpoint,
    receipt_endpoint,
    upload_endpoint,
)
from gateway.http.graphql import GraphQLView, SignInAgain, playground_routes
from gateway.http.server import LANE_KEY, FastLane, leads_here
from gateway.resolvers.context import Application, system_clock
from gateway.schema import build_schema
from gateway.schema.masking import shown, told

if TYPE_CHECKING:
    from gateway.http.admission import SharedBudgets

_PRINTER = Bounds(workers=1, memory_bytes=384 * MEGABYTE, seconds=10)
"""Receipts never share a process with the files that citizens send."""

_READER = Bounds(workers=1, memory_bytes=1_200 * MEGABYTE, seconds=20, waiting=4)
"""Reading takes long and much; portraits do not wait for it."""


class Gateway(Starlette):
    """What is plain takes the fast lane, past routing and middleware, once the gateway is up."""

    fast_lane: FastLane | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.fast_lane is not None and leads_here(scope):
            await self.fast_lane.by_asgi(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def go_the_whole_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def build_tools(settings: Settings, http: httpx.AsyncClient) -> Tools:
    vault, seals = keys_from(settings)
    return Tools(
        settings=settings,
        vault=vault,
        seals=seals,
        reference=Reference.load(settings.outlets_csv),
        partners=build_partners(settings, http),
        hasher=Hasher(),
        objects=Objects(settings, vault),
        studio=Studio(),
        printer=Studio(_PRINTER),
        reader=Studio(_READER) if can_read() else None,
    )


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], Instant] = system_clock,
    transport: httpx.AsyncBaseTransport | None = None,
    channels: Sequence[type[Channel]] = CHANNELS,
) -> Starlette:
    """The ASGI application. `transport` carries its calls to platforms and partners."""
    prepared = PreparedDocuments(introspection=bool(settings.introspection), told=told)
    schema = build_schema(
        limit_tokens, lambda: LimitDocuments(prepared), SignInAgain, channels=channels
    )
    gate = _gate(settings, schema, prepared, clock)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, FastLane]]:
        async with contextlib.AsyncExitStack() as stack:
            application = await stack.enter_async_context(
                assembled(settings, clock=clock, transport=transport, channels=channels)
            )
            app.state.application = application
            view = GraphQLView(schema, application, gate)
            app.router.routes.extend(_routes(application, view))
            gateway.fast_lane = FastLane(
                application,
                gate,
                Origins.of(settings),
                schema.plans,
                view,
                gateway.go_the_whole_way,
                headers_for_data(settings),
                shown,
            )
            if settings.sandbox:
                app.router.routes.append(await _sandbox(application, gate.budgets))
            if settings.worker:
                application.worker.start()
                application.scheduler.start()
            application.live.start()
            application.audit.start()
            shared = _share_budgets(settings, gate.budgets, clock)
            if shared is not None:
                stack.push_async_callback(shared.stop)
            yield {LANE_KEY: gateway.fast_lane}

    gateway = Gateway(lifespan=lifespan, middleware=[Middleware(FrontDoor, settings=settings)])
    return gateway


def _gate(
    settings: Settings,
    schema: strawberry.Schema,
    prepared: PreparedDocuments,
    clock: Callable[[], Instant],
) -> Gate:
    """A manifest with a document that may not run stops the start."""
    core_schema: GraphQLSchema = schema._schema  # noqa: SLF001
    manifest = read_manifest(settings.operation_manifest)
    if settings.only_trusted_documents and not manifest:
        raise SettingsError(
            f"{variable('only_trusted_documents')} runs nothing without documents in "
            f"{variable('operation_manifest')}."
        )
    for identifier, text in manifest.items():
        errors = prepared.prepare(core_schema, text)[0].errors
        if errors:
            raise SettingsError(f"The operation manifest's {identifier}: {errors[0].message}")
    documents = Documents(manifest, only_trusted=settings.only_trusted_documents)
    return Gate(core_schema, documents, prepared, Budgets(settings, clock))


def _share_budgets(
    settings: Settings, budgets: Budgets, clock: Callable[[], Instant]
) -> "SharedBudgets | None":
    """Redis' client is loaded only where it is used."""
    url = settings.redis_url.reveal()
    if not url:
        return None
    from gateway.http.admission import SharedBudgets

    shared = SharedBudgets(url, budgets, clock)
    shared.start()
    return shared


@contextlib.asynccontextmanager
async def assembled(
    settings: Settings,
    *,
    clock: Callable[[], Instant] = system_clock,
    transport: httpx.AsyncBaseTransport | None = None,
    channels: Sequence[type[Channel]] = CHANNELS,
    poll_seconds: float = 1.0,
) -> AsyncIterator[Application]:
    """The parts put together, with nothing started; whatever was started is stopped at the end.

    `poll_seconds`: after which the worker looks for messages that nobody told it of.
    """
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        database = await connect(settings.database_url)
        try:
            application = assemble(settings, database, http, clock, channels, poll_seconds)
            try:
                yield application
            finally:
                await _stop(application)
        finally:
            await database.close()


async def _stop(application: Application) -> None:
    """Threads that are left would keep the process from ending, also where a start failed."""
    await application.scheduler.stop()
    await application.live.stop()
    await application.worker.stop()
    await application.audit.stop()
    application.tools.close()


def assemble(
    settings: Settings,
    database: Database,
    http: httpx.AsyncClient,
    clock: Callable[[], Instant] = system_clock,
    kinds: Sequence[type[Channel]] = CHANNELS,
    poll_seconds: float = 1.0,
) -> Application:
    tools = build_tools(settings, http)
    channels = build_channels(settings, http, kinds)
    live = Live(database, clock, build_relay(settings))
    worker = Worker(
        database, tools, build_messengers(settings, channels), clock, live.publish, poll_seconds
    )
    return Application(
        database=database,
        tools=tools,
        channels=channels,
        worker=worker,
        scheduler=Scheduler(JOBS, database, tools, clock, worker.wake),
        live=live,
        history=ProductionHistory(database, clock),
        audit=AuditKeeper(database, tools.seals, clock, settings.audit_anchor_seconds),
        clock=clock,
        http=http,
    )


def _routes(application: Application, view: GraphQLView) -> Sequence[BaseRoute]:
    return [
        Route("/graphql", view),
        WebSocketRoute("/graphql", view),
        *callback_routes(application),
        Route("/issuer/events", issuer_events_endpoint(application), methods=["POST"]),
        Route("/pictures/{picture_id:int}", picture_endpoint(application)),
        Route("/receipts/{application_id:int}.pdf", receipt_endpoint(application)),
        Route("/uploads/{upload_id:int}", upload_endpoint(application), methods=["PUT", "HEAD"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz_endpoint(application)),
        Route("/metrics", metrics_endpoint(application)),
        *(playground_routes() if application.tools.settings.introspection else ()),
    ]


async def _sandbox(application: Application, budgets: Budgets) -> BaseRoute:
    """The outside world for development. Imported only here, and only when it is on."""
    from sandbox.app import sandbox_routes
    from sandbox.seed import reset, seed

    await seed(application.database, application.tools, application.clock())

    async def reset_gateway() -> None:
        await reset(application.database, application.tools, application.clock())
        budgets.clear()

    routes = sandbox_routes(
        application.tools.settings, application.http, reset_gateway, application.worker.caught_up
    )
    return Mount("/sandbox", routes=routes)
