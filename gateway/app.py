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

from core.audit_keeper import AuditKeeper
from core.clock import Instant
from core.database import Database, connect
from core.delivery import Worker
from core.encryption import Vault
from core.id_documents import can_read
from core.live import Live
from core.objects import Objects
from core.partners import build_partners
from core.passwords import Hasher
from core.production_history import ProductionHistory
from core.reference import Reference
from core.relays import build_relay
from core.schedule import Scheduler
from core.seals import Seals
from core.settings import Settings, SettingsError, key_ring, variable
from core.studio import Bounds, Studio
from core.studio_worker import MEGABYTE
from core.unit import Tools
from core.upkeep import JOBS
from gateway.channels import CHANNELS, build_channels
from gateway.channels.base import Channel
from gateway.channels.messengers import build_messengers
from gateway.http.budgets import Budgets
from gateway.http.callbacks import callback_routes
from gateway.http.documents import Documents, read_manifest
from gateway.http.fast_lane import FastLane, leads_here
from gateway.http.front_door import FrontDoor, headers_for_data
from gateway.http.gate import Gate
from gateway.http.graphql import GraphQLView, SignInAgain
from gateway.http.health import healthz, metrics_endpoint, readyz_endpoint
from gateway.http.issuer_events import issuer_events_endpoint
from gateway.http.lane_protocol import LANE_KEY
from gateway.http.limits import LimitDocuments, PreparedDocuments, limit_tokens
from gateway.http.origins import Origins
from gateway.http.pictures import picture_endpoint
from gateway.http.playground import playground_routes
from gateway.http.receipts import receipt_endpoint
from gateway.http.uploads import upload_endpoint
from gateway.resolvers.context import Application, system_clock
from gateway.schema import build_schema
from gateway.schema.masking import shown, told

if TYPE_CHECKING:
    from gateway.http.shared_budgets import SharedBudgets

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
    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    seals = Seals(
        key_ring(settings.peppers, "peppers"), key_ring(settings.audit_keys, "audit_keys")
    )
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
            http = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, trust_env=False)
            )
            database = await connect(settings.database_url)
            stack.push_async_callback(database.close)
            application = assemble(settings, database, http, clock, channels)
            stack.push_async_callback(_stop, application)
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
                app.router.routes.append(await _sandbox(application, http, gate.budgets))
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


async def _stop(application: Application) -> None:
    """Threads that are left would keep the process from ending, also where a start failed."""
    await application.scheduler.stop()
    await application.live.stop()
    await application.worker.stop()
    await application.audit.stop()
    tools = application.tools
    tools.hasher.close()
    for studio in (tools.studio, tools.printer, tools.reader):
        if studio is not None:
            studio.close()


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
    from gateway.http.shared_budgets import SharedBudgets

    shared = SharedBudgets(url, budgets, clock)
    shared.start()
    return shared


def assemble(
    settings: Settings,
    database: Database,
    http: httpx.AsyncClient,
    clock: Callable[[], Instant] = system_clock,
    kinds: Sequence[type[Channel]] = CHANNELS,
    look_every: float = 1.0,
) -> Application:
    """`look_every`: seconds after which the worker looks for work that nobody told it of."""
    tools = build_tools(settings, http)
    channels = build_channels(settings, http, kinds)
    live = Live(database, clock, build_relay(settings))
    worker = Worker(
        database, tools, build_messengers(settings, channels), clock, live.publish, look_every
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


async def _sandbox(
    application: Application, http: httpx.AsyncClient, budgets: Budgets
) -> BaseRoute:
    """The outside world for development. Imported only here, and only when it is on."""
    from sandbox.app import sandbox_routes
    from sandbox.seed import reset, seed

    await seed(application)

    async def reset_gateway() -> None:
        await reset(application)
        budgets.clear()

    routes = sandbox_routes(
        application.tools.settings, http, reset_gateway, application.worker.caught_up
    )
    return Mount("/sandbox", routes=routes)
