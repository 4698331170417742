"""The composition root: the only module that builds and connects the components."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import strawberry
from graphql import GraphQLSchema
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from core.audit import AccessLogWriter, anchors
from core.citizens import Hasher
from core.db import Database, DatabaseUnavailable, connect
from core.imaging import can_read
from core.isolation import MEGABYTE, Bounds, IsolatedPool
from core.jobs import JOBS, Scheduler
from core.kernel.clock import Instant, Monotonic, monotonic_clock
from core.kernel.settings import Settings, SettingsError, variable
from core.live import Live, build_relay
from core.messaging import OutboxWorker
from core.partners import build_partners
from core.production import ProductionHistory
from core.reference import Reference
from core.storage import Objects
from core.unit_of_work import Dependencies
from gateway.app.keys import keys_from
from gateway.channels import CHANNELS, build_channels
from gateway.channels.contract import Channel, build_messengers
from gateway.http.admission import (
    Admission,
    Budgets,
    Documents,
    LimitDocuments,
    PreparedDocuments,
    limit_tokens,
    read_manifest,
    share_budgets,
)
from gateway.http.edge import EdgeMiddleware, Origins, headers_for_data
from gateway.http.endpoints import (
    bare_readyz_endpoint,
    callback_routes,
    healthz,
    issuer_events_endpoint,
    metrics_endpoint,
    picture_endpoint,
    readyz_endpoint,
    receipt_check_endpoint,
    receipt_endpoint,
    sample_routes,
    unavailable,
    upload_endpoint,
)
from gateway.http.graphql import GraphQLView, playground_routes
from gateway.http.server import FAST_PATH_KEY, FastPath, is_candidate, serving_operations
from gateway.resolvers.context import Application, system_clock
from gateway.schema import build_schema
from gateway.schema.masking import sanitize_execution_error, sanitize_validation_error

_RECEIPTS_POOL = Bounds(workers=1, memory_bytes=384 * MEGABYTE, seconds=10)
"""Receipts are rendered in processes that never decode files of citizens."""

_READING_POOL = Bounds(workers=1, memory_bytes=1_200 * MEGABYTE, seconds=20, waiting=4)
"""OCR is slow and needs much memory, so it has a pool apart from portraits."""


class Gateway(Starlette):
    """Passes eligible requests to the fast path, past routing and middleware."""

    fast_path: FastPath | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.fast_path is not None and is_candidate(scope):
            await self.fast_path.by_asgi(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def by_asgi_path(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def build_dependencies(settings: Settings, http: httpx.AsyncClient) -> Dependencies:
    vault, seals = keys_from(settings)
    return Dependencies(
        settings=settings,
        vault=vault,
        seals=seals,
        reference=Reference.load(settings.outlets_csv),
        partners=build_partners(settings, http),
        hasher=Hasher(),
        objects=Objects(settings, vault),
        pictures_pool=IsolatedPool(),
        receipts_pool=IsolatedPool(_RECEIPTS_POOL),
        reading_pool=IsolatedPool(_READING_POOL) if can_read() else None,
    )


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], Instant] = system_clock,
    monotonic: Monotonic = monotonic_clock,
    transport: httpx.AsyncBaseTransport | None = None,
    channels: Sequence[type[Channel]] = CHANNELS,
) -> Starlette:
    """The ASGI application. `transport` replaces the HTTP transport to platforms and partners."""
    prepared = PreparedDocuments(
        introspection=bool(settings.introspection), sanitize=sanitize_validation_error
    )
    schema = build_schema(limit_tokens, lambda: LimitDocuments(prepared), channels=channels)
    admission = _admission(settings, schema, prepared, monotonic)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, FastPath]]:
        async with contextlib.AsyncExitStack() as stack:
            application = await stack.enter_async_context(
                assembled(
                    settings,
                    clock=clock,
                    monotonic=monotonic,
                    transport=transport,
                    channels=channels,
                )
            )
            app.state.application = application
            view = GraphQLView(schema, application, admission)
            app.router.routes.extend(_routes(application, view))
            gateway.fast_path = FastPath(
                application,
                admission,
                Origins.of(settings),
                schema.plans,
                gateway.by_asgi_path,
                headers_for_data(settings),
                sanitize_execution_error,
            )
            if settings.sandbox:
                app.router.routes.extend(await _sandbox(application, admission.budgets))
            if settings.worker:
                application.worker.start()
                application.scheduler.start()
            application.live.start()
            application.access_log.start()
            if settings.operations_port:
                operations = Starlette(routes=_operations_routes(application))
                await stack.enter_async_context(serving_operations(operations, settings))
            shared = share_budgets(settings, admission.budgets, monotonic)
            if shared is not None:
                stack.push_async_callback(shared.stop)
            yield {FAST_PATH_KEY: gateway.fast_path}

    gateway = Gateway(
        lifespan=lifespan,
        middleware=[Middleware(EdgeMiddleware, settings=settings)],
        exception_handlers={DatabaseUnavailable: unavailable},
    )
    # Starlette would redirect to whatever host the request names.
    gateway.router.redirect_slashes = False
    return gateway


def _admission(
    settings: Settings,
    schema: strawberry.Schema,
    prepared: PreparedDocuments,
    monotonic: Monotonic,
) -> Admission:
    """Raises `SettingsError` for an invalid document in the operation manifest."""
    core_schema: GraphQLSchema = schema._schema  # noqa: SLF001
    manifest = read_manifest(settings.operation_manifest)
    if settings.only_trusted_documents and not manifest:
        raise SettingsError(
            f"{variable('only_trusted_documents')} needs documents in "
            f"{variable('operation_manifest')}."
        )
    for identifier, text in manifest.items():
        errors = prepared.trust(core_schema, text).errors
        if errors:
            raise SettingsError(f"The operation manifest's {identifier}: {errors[0].message}")
    documents = Documents(manifest, only_trusted=settings.only_trusted_documents)
    return Admission(core_schema, documents, prepared, Budgets(settings, monotonic))


@contextlib.asynccontextmanager
async def assembled(
    settings: Settings,
    *,
    clock: Callable[[], Instant] = system_clock,
    monotonic: Monotonic = monotonic_clock,
    transport: httpx.AsyncBaseTransport | None = None,
    channels: Sequence[type[Channel]] = CHANNELS,
    poll_seconds: float = 1.0,
) -> AsyncIterator[Application]:
    """Builds the components without starting them; at the end stops those that were started.

    `poll_seconds` is the interval at which the worker polls the outbox without being woken.
    """
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        if settings.sandbox:
            clock = _sandbox_clock(settings, clock)
        database = await connect(settings.database_url, settings.database_limits)
        try:
            application = assemble(
                settings, database, http, clock, channels, poll_seconds, monotonic
            )
            try:
                yield application
            finally:
                await _stop(application)
        finally:
            await database.close()


async def _stop(application: Application) -> None:
    """Also called after a failed start: running threads would keep the process alive."""
    await application.scheduler.stop()
    await application.live.stop()
    await application.worker.stop()
    await application.access_log.stop()
    application.dependencies.close()


def assemble(
    settings: Settings,
    database: Database,
    http: httpx.AsyncClient,
    clock: Callable[[], Instant] = system_clock,
    kinds: Sequence[type[Channel]] = CHANNELS,
    poll_seconds: float = 1.0,
    monotonic: Monotonic = monotonic_clock,
) -> Application:
    dependencies = build_dependencies(settings, http)
    channels = build_channels(settings, http, kinds)
    live = Live(database, clock, build_relay(settings))
    worker = OutboxWorker(
        database,
        dependencies,
        build_messengers(settings, channels),
        clock,
        live.publish,
        poll_seconds,
    )
    return Application(
        database=database,
        dependencies=dependencies,
        channels=channels,
        worker=worker,
        scheduler=Scheduler(JOBS, database, dependencies, clock, worker.wake),
        live=live,
        history=ProductionHistory(database, clock, monotonic),
        access_log=AccessLogWriter(
            database, dependencies.seals, clock, settings.audit_anchor_seconds, monotonic
        ),
        clock=clock,
        http=http,
    )


def _routes(application: Application, view: GraphQLView) -> Sequence[BaseRoute]:
    return [
        Route("/graphql", view),
        WebSocketRoute("/graphql", view),
        *callback_routes(application),
        Route("/issuer/events", issuer_events_endpoint(application), methods=["POST"]),
        Route("/pictures/{picture_id:record_id}", picture_endpoint(application)),
        Route("/receipts/check", receipt_check_endpoint(application), methods=["GET"]),
        Route("/receipts/{application_id:record_id}.pdf", receipt_endpoint(application)),
        Route(
            "/uploads/{upload_id:record_id}", upload_endpoint(application), methods=["PUT", "HEAD"]
        ),
        *sample_routes(),
        *_health_routes(application),
        *(playground_routes() if application.dependencies.settings.introspection else ()),
    ]


def _health_routes(application: Application) -> Sequence[BaseRoute]:
    """On the public port."""
    if application.dependencies.settings.operations_port:
        return [Route("/healthz", healthz), Route("/readyz", bare_readyz_endpoint(application))]
    return _operations_routes(application)


def _operations_routes(application: Application) -> Sequence[BaseRoute]:
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz_endpoint(application)),
        Route("/metrics", metrics_endpoint(application)),
    ]


async def _sandbox(application: Application, budgets: Budgets) -> Sequence[BaseRoute]:
    """The sandbox, imported only here and in `_sandbox_clock`, and only if it is on."""
    from sandbox.app import sandbox_routes
    from sandbox.seed import reset, seed

    await seed(application.database, application.dependencies, application.clock())

    async def reset_gateway() -> None:
        await reset(application.database, application.dependencies, system_clock())
        budgets.clear()

    async def run_due() -> None:
        await application.scheduler.run_due()

    async def anchor() -> None:
        seals = application.dependencies.seals
        await anchors.anchor_all(application.database, seals, application.clock())

    routes = sandbox_routes(
        application.dependencies.settings,
        application.http,
        reset_gateway,
        application.worker.drained,
        run_due,
        anchor,
    )
    return [
        Route("/sandbox", _to_sandbox),
        Mount("/sandbox", Router(routes, redirect_slashes=False)),
    ]


def _sandbox_clock(settings: Settings, clock: Callable[[], Instant]) -> Callable[[], Instant]:
    """The clock, moved on as by `POST /sandbox/clock`."""
    from sandbox.clock import Clock
    from sandbox.paths import clock_file

    return Clock(clock_file(settings), clock)


async def _to_sandbox(_: Request) -> Response:
    return RedirectResponse("/sandbox/")
