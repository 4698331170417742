"""Baselines of `bench.compare`: the same operations, written by hand.

    python -m bench.baselines starlette      a hand-written Starlette endpoint for each operation
    python -m bench.baselines strawberry     the same schema through strawberry's own view

Both read and write through SQLAlchemy's asyncio (on aiosqlite, or on asyncpg), one transaction
per mutation. They check the session, decrypt, mask and record the access. The strawberry baseline
runs the same functions of the core as the gateway; so does the Starlette one, except where it can
read less. What differs is everything around them.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import uvicorn
from sqlalchemy import BigInteger, BindParameter, bindparam, event, make_url, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from core.audit import AccessLogWriter, Action
from core.cards import STATE_NAMES, CardHolder, ways_out
from core.cards.holders import find
from core.citizens import citizens as people
from core.citizens import citizens_table, sessions
from core.db import Database, Limits, LostRace, Query, Row, Writes, connect
from core.db.query import Job, T
from core.kernel.callers import ChannelId
from core.kernel.card_services import CardService
from core.kernel.clock import moment
from core.kernel.masking import mask_name, mask_number, mask_phone
from core.kernel.refusals import Refusal
from core.kernel.settings import Settings
from core.kernel.texts import Language
from core.production import NODES, production_nodes_table, production_orders_table
from core.production.orders import newest_of
from core.services.cancel_loss import CancelLoss, cancel_loss
from core.services.card_status import card_status
from core.services.report_loss import ReportLoss, report_loss
from core.unit_of_work import Preparation, UnitOfWork
from gateway.app import assemble
from gateway.channels.contract import Entry
from gateway.resolvers.context import Application, Context
from gateway.resolvers.service_port import ChannelServicePort
from gateway.schema import Schema, build_schema
from sandbox.settings import sandbox_settings


class _Connection:
    """The core's `Transaction`, on a SQLAlchemy connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        statement = query.statement(self._connection.dialect)
        result = await self._connection.execute(statement, values)
        return list(result.mappings().all()) if result.returns_rows else []

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        statement = query.statement(self._connection.dialect)
        await self._connection.execute(statement, [dict(row) for row in rows])


class AlchemyDatabase:
    """The core's `Database`, on SQLAlchemy's asyncio engine with its pool."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.dialect = engine.dialect

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        async with self.engine.connect() as connection:
            return await _Connection(connection).fetch(query, **values)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def apply(self, writes: Writes) -> None:
        async with _change(self.engine) as connection:
            await _apply(connection, writes)

    async def write(self, job: Job[T]) -> T:
        async with _change(self.engine) as connection:
            return await job(_Connection(connection))

    async def close(self) -> None:
        await self.engine.dispose()


async def _apply(connection: AsyncConnection, writes: Writes) -> None:
    """One statement after the other, in the connection's transaction."""
    try:
        for query, values, must_change in writes:
            statement = query.statement(connection.dialect)
            result = await connection.execute(statement, dict(values))
            if must_change and not result.rowcount:
                raise LostRace
    except IntegrityError as error:
        raise LostRace from error


def open_engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        asynchronous = parsed.set(drivername="postgresql+asyncpg")
        return create_async_engine(asynchronous, pool_size=Limits().pool_size, max_overflow=0)
    engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"))

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


# --- Starlette by hand ---------------------------------------------------------------------


_citizen_id: BindParameter[int] = bindparam("citizen_id", type_=BigInteger)
_ORDER = Query(
    select(
        *people.identity_columns("citizen_"),
        *(
            production_orders_table.c[name]
            for name in ("id", "bank_code", "batch_number", "card_number")
        ),
    )
    .join_from(
        production_orders_table,
        citizens_table,
        citizens_table.c.subject_id == production_orders_table.c.subject_id,
    )
    .where(
        production_orders_table.c.subject_id == _citizen_id,
        production_orders_table.c.id == newest_of(_citizen_id),
    )
)
_NODES = Query(
    select(
        production_nodes_table.c.node, production_nodes_table.c.result, production_nodes_table.c.at
    )
    .where(
        production_nodes_table.c.subject_id == _citizen_id,
        production_nodes_table.c.order_id == bindparam("order_id"),
    )
    .order_by(production_nodes_table.c.node)
)
"""A hand-written endpoint reads the nodes after the order, and only the columns it shows."""


class ByHand:
    def __init__(self, application: Application, engine: AsyncEngine) -> None:
        self._application = application
        self._engine = engine

    def routes(self) -> list[Route]:
        paths = {
            "/cardStatus": self.card_status,
            "/productionProgress": self.production_progress,
            "/viewer": self.viewer,
            "/changeLoss": self.change_loss,
            "/signIn": self.sign_in,
        }
        return [Route(path, endpoint, methods=["POST"]) for path, endpoint in paths.items()]

    @contextlib.asynccontextmanager
    async def _preparation(self, request: Request) -> AsyncIterator[Preparation]:
        application = self._application
        token = request.headers["authorization"].removeprefix("Bearer ")
        await request.json()
        async with self._engine.connect() as connection:
            db, now = _Connection(connection), application.clock()
            vault = application.dependencies.vault
            caller = await sessions.find_caller(db, vault, token, now, "127.0.0.1")
            yield Preparation(db, now, caller, application.dependencies)

    def _noted(self, preparation: Preparation, action: Action) -> None:
        self._application.access_log.record(preparation.session, preparation.now, action, "DONE")

    async def card_status(self, request: Request) -> Response:
        async with self._preparation(request) as preparation:
            holder = await card_status(preparation, None)
        self._noted(preparation, Action.CARD_STATUS)
        return JSONResponse({"data": {"cardStatus": self._card(holder)}})

    def _card(self, holder: CardHolder[Any]) -> dict[str, Any]:
        card, reference = holder.card, self._application.dependencies.reference
        bank, region = reference.bank(card.bank_code), reference.regions.get(card.region_code)
        return {
            "__typename": "CardStatus",
            "name": mask_name(holder.citizen.name.reveal()),
            "socialSecurityNumber": mask_number(holder.citizen.social_security_number.reveal()),
            "cardNumber": card.number.reveal(),
            "issueDate": card.issue_date,
            "bank": bank.name if bank else card.bank_code,
            "homeRegion": region.name if region else card.region_code,
            "state": card.state.name,
            "stateName": STATE_NAMES[card.state].zh,
        }

    async def production_progress(self, request: Request) -> Response:
        async with self._preparation(request) as preparation:
            (order,) = await preparation.db.fetch(_ORDER, citizen_id=preparation.citizen_id)
            nodes = await preparation.db.fetch(
                _NODES, citizen_id=preparation.citizen_id, order_id=order["id"]
            )
        self._noted(preparation, Action.PRODUCTION_PROGRESS)
        vault, number = preparation.dependencies.vault, order["card_number"]
        citizen = people.identity_of(order, vault, "citizen_")
        bank = self._application.dependencies.reference.bank(order["bank_code"])
        answer = {
            "__typename": "ProductionProgress",
            "socialSecurityNumber": mask_number(citizen.social_security_number.reveal()),
            "name": mask_name(citizen.name.reveal()),
            "batchNumber": order["batch_number"],
            "cardNumber": number
            and vault.open(number, "production_orders.card_number", order["id"]),
            "bank": bank.name if bank else order["bank_code"],
            "nodes": [
                {
                    "node": NODES[row["node"] - 1].value,
                    "result": row["result"],
                    "at": moment(row["at"]).isoformat() if row["at"] is not None else None,
                }
                for row in nodes
            ],
        }
        return JSONResponse({"data": {"productionProgress": answer}})

    async def viewer(self, request: Request) -> Response:
        async with self._preparation(request) as preparation:
            holder = await find(
                preparation.db,
                preparation.dependencies.vault,
                preparation.now,
                preparation.citizen_id,
            )
        self._noted(preparation, Action.VIEWER)
        citizen = holder.citizen
        services = []
        for service in CardService:
            refusal = ways_out.eligibility(service, holder)
            if refusal is not None:
                refusal = ways_out.show_way(refusal, service, holder)
            reason = None if refusal is None else {"message": refusal.message(Language.ZH)}
            services.append(
                {
                    "service": service.value,
                    "title": service.text.zh,
                    "available": refusal is None,
                    "reason": reason,
                }
            )
        answer = {
            "channel": preparation.session.channel.value,
            "bound": True,
            "name": mask_name(citizen.name.reveal()),
            "socialSecurityNumber": mask_number(citizen.social_security_number.reveal()),
            "phone": mask_phone(citizen.phone.reveal()) if citizen.phone else None,
            "services": services,
        }
        return JSONResponse({"data": {"viewer": answer}})

    async def sign_in(self, request: Request) -> Response:
        given = (await request.json())["variables"]["i"]
        application = self._application
        context = Context(application, Language.ZH, "127.0.0.1", None)
        entry = Entry(given["credential"], given["state"], "", None, "127.0.0.1")
        channel = application.channels[ChannelId(given["channel"])]
        found = await channel.sign_in(entry, ChannelServicePort(context))
        answer = {
            "__typename": "SignedIn",
            "token": found.session.token,
            "expiresAt": moment(found.session.expires_at).isoformat(),
        }
        return JSONResponse({"data": {"signIn": answer}})

    async def change_loss(self, request: Request) -> Response:
        """One URL for both mutations, so that the load can alternate between them."""
        given = (await request.json())["variables"]["i"]
        if "cardNumber" in given:
            command = CancelLoss(given["phone"], given["cardNumber"], given["code"])
            return await self._change(request, cancel_loss, command, "cancelLoss")
        return await self._change(request, report_loss, ReportLoss(**given), "reportLoss")

    async def _change(self, request: Request, service: Any, command: Any, name: str) -> Response:
        application = self._application
        token = request.headers["authorization"].removeprefix("Bearer ")
        now = application.clock()
        async with self._engine.connect() as connection:
            vault = application.dependencies.vault
            caller = await sessions.find_caller(
                _Connection(connection), vault, token, now, "127.0.0.1"
            )
        try:
            async with _change(self._engine) as connection:
                unit = UnitOfWork(_Connection(connection), now, caller, application.dependencies)
                holder = await service(unit, command)
                await _apply(connection, unit.writes)
        except Refusal as refusal:
            return JSONResponse({"data": {name: {"code": refusal.code.value}}})
        card = {"state": holder.card.state.name, "cardNumber": holder.card.number.reveal()}
        return JSONResponse({"data": {name: {"__typename": "Done", "card": card}}})


@contextlib.asynccontextmanager
async def _change(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """As the core does on SQLite: the write lock is taken at the start."""
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                await connection.exec_driver_sql("ROLLBACK")
                raise
            await connection.exec_driver_sql("COMMIT")
            return
        async with connection.begin():
            yield connection


# --- strawberry as it comes ----------------------------------------------------------------


class StockSchema(Schema):
    """Without plans: graphql-core executes."""

    def _get_execute_function(self) -> Any:
        return super(Schema, self)._get_execute_function()


class StockView(GraphQL[Context, None]):
    def __init__(self, schema: Any, application: Application) -> None:
        super().__init__(schema)
        self._application = application

    async def get_context(self, request: Request | WebSocket, response: Any) -> Context:
        context = Context(self._application, Language.ZH, "127.0.0.1", None)
        if "authorization" not in request.headers:
            return context
        token = request.headers["authorization"].removeprefix("Bearer ")
        application = self._application
        context.caller = await sessions.find_caller(
            application.database,
            application.dependencies.vault,
            token,
            context.now(),
            context.address,
        )
        return context


def build(kind: str, settings: Settings) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        engine = open_engine(settings.database_url)
        async with httpx.AsyncClient() as http:
            own = await connect(settings.database_url)
            database: Database = AlchemyDatabase(engine)
            application = assemble(settings, database, http)
            access_log = AccessLogWriter(  # written as the gateway's
                own,
                application.dependencies.seals,
                application.clock,
                settings.audit_anchor_seconds,
            )
            application = replace(application, access_log=access_log)
            application.access_log.start()
            if kind == "starlette":
                app.router.routes.extend(ByHand(application, engine).routes())
            else:
                schema = build_schema(ParserCache, ValidationCache)
                schema.__class__ = StockSchema
                app.router.routes.append(Route("/graphql", StockView(schema, application)))
            yield
            await application.access_log.stop()
            await own.close()
            await engine.dispose()

    async def ready(_: Request) -> Response:
        return Response(b"ok")

    return Starlette(lifespan=lifespan, routes=[Route("/readyz", ready)])


def main() -> None:
    settings = sandbox_settings(Settings.read())
    app = build(sys.argv[1], settings)
    uvicorn.run(app, port=settings.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
