"""Liveness with the version, readiness, and metrics in the Prometheus text format.

A server is ready if its database can be written and the access log keeps up. A partner that is down
is reported but does not make a server unready, since no other server could reach it either. Counters
of partners are those of one process; with several workers, a scrape reaches one of them.
"""

from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from core.db import Database, DatabaseUnavailable, Query, Readiness
from core.issuer import Outcome, issuer_events_table
from core.messaging import MessageKind, outbox_table
from core.partners import PartnerHealth
from gateway.resolvers.context import Application

_MESSAGES = Query(
    select(
        outbox_table.c.kind,
        func.count().filter(outbox_table.c.dead_at.is_(None)).label("waiting"),
        func.count().filter(outbox_table.c.dead_at.is_not(None)).label("dead"),
        func.count().filter(outbox_table.c.unknown_since.is_not(None)).label("unknown"),
        func.min(outbox_table.c.created_at)
        .filter(outbox_table.c.dead_at.is_(None))
        .label("oldest"),
    )
    .where(outbox_table.c.settled_at.is_(None))
    .group_by(outbox_table.c.kind)
)
_EVENTS = Query(
    select(issuer_events_table.c.outcome, func.count().label("events"))
    .where(issuer_events_table.c.outcome != Outcome.TAKEN.value)
    .group_by(issuer_events_table.c.outcome)
)


_ALIVE = f"ok {version('card-gateway')}\n"


async def healthz(_: Request) -> Response:
    return PlainTextResponse(_ALIVE)


def readyz_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    """With the state of the database and of each partner."""
    partners = application.dependencies.partners.health
    readiness = Readiness(application.database)

    async def readyz(_: Request) -> Response:
        is_writable, is_behind = await readiness.is_writable(), application.access_log.is_behind
        states = {
            "database": "ok" if is_writable else "unavailable",
            "accessLog": "behind" if is_behind else "ok",
            "partners": {health.name: health.state for health in partners},
        }
        return JSONResponse(states, status_code=200 if is_writable and not is_behind else 503)

    return readyz


def bare_readyz_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    """For everybody: whether this server is ready, and nothing else."""
    detailed = readyz_endpoint(application)

    async def readyz(request: Request) -> Response:
        status = (await detailed(request)).status_code
        return PlainTextResponse("ok\n" if status == 200 else "unavailable\n", status)

    return readyz


def metrics_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(_: Request) -> Response:
        lines = [
            *_of_partners(application.dependencies.partners.health),
            "# TYPE card_gateway_subscriptions gauge",
            f"card_gateway_subscriptions {application.live.watching}",
        ]
        try:
            lines += await _of_database(application.database, application.clock())
        except DatabaseUnavailable:
            lines.append("# the database is unavailable")
            return PlainTextResponse("\n".join(lines) + "\n", status_code=503)
        return PlainTextResponse("\n".join(lines) + "\n")

    return metrics


def _of_partners(partners: Iterable[PartnerHealth]) -> Iterable[str]:
    partners = list(partners)
    yield "# HELP card_gateway_partner_up 0 while the circuit breaker of the partner is open."
    yield "# TYPE card_gateway_partner_up gauge"
    for health in partners:
        yield f'card_gateway_partner_up{{partner="{health.name}"}} {int(not health.breaker.is_open)}'
    yield "# TYPE card_gateway_partner_calls_total counter"
    for health in partners:
        for (path, result), count in sorted(health.calls.items()):
            labels = f'partner="{health.name}",call="{path}",result="{result.value}"'
            yield f"card_gateway_partner_calls_total{{{labels}}} {count}"
    yield "# TYPE card_gateway_partner_seconds_total counter"
    for health in partners:
        yield f'card_gateway_partner_seconds_total{{partner="{health.name}"}} {health.seconds:.3f}'


async def _of_database(database: Database, now: int) -> list[str]:
    effects = {row["kind"]: row for row in await database.fetch(_MESSAGES)}
    events = {row["outcome"]: row["events"] for row in await database.fetch(_EVENTS)}
    waiting = sum(row["waiting"] for row in effects.values())
    dead = sum(row["dead"] for row in effects.values())
    lines = [
        "# TYPE card_gateway_outbox gauge",
        f'card_gateway_outbox{{state="waiting"}} {waiting}',
        f'card_gateway_outbox{{state="dead"}} {dead}',
        "# HELP card_gateway_effects Undelivered outbox messages; unknown ones may have been processed.",
        "# TYPE card_gateway_effects gauge",
    ]
    for kind in MessageKind:
        row = effects.get(kind.value)
        for state in ("waiting", "dead", "unknown"):
            count = 0 if row is None else row[state]
            lines.append(f'card_gateway_effects{{kind="{kind.value}",state="{state}"}} {count}')
    lines += [
        "# HELP card_gateway_oldest_effect_seconds Age of the oldest undelivered outbox message.",
        "# TYPE card_gateway_oldest_effect_seconds gauge",
    ]
    for kind in MessageKind:
        row = effects.get(kind.value)
        since = None if row is None else row["oldest"]
        age = 0 if since is None else max(0, now - since) / 1000
        lines.append(f'card_gateway_oldest_effect_seconds{{kind="{kind.value}"}} {age:.3f}')
    lines.append("# TYPE card_gateway_issuer_events gauge")
    for outcome in (Outcome.WAITING, Outcome.CONTRADICTION, Outcome.UNKNOWN_SUBJECT):
        count = events.get(outcome.value, 0)
        lines.append(f'card_gateway_issuer_events{{outcome="{outcome.value}"}} {count}')
    return lines
