"""The five partners in one faulty process: the sandbox's stand-ins behind an unreliable connection.

Every accepted effect is recorded with its idempotency key, in the same transaction.
"""

import argparse
import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.kernel.settings import Settings
from sandbox.issuer import ORDERS
from sandbox.partners import REGISTRY_CARDS, inbox, partner_routes
from sandbox.settings import sandbox_settings
from sandbox.world import Thing, World

_KEEP = "CREATE TABLE IF NOT EXISTS effects (partner TEXT, key TEXT, digest TEXT)"
_NOTE = "INSERT INTO effects VALUES (?, ?, ?)"
_ENROLMENTS = "/partners/insurance-registry/enrolments"
LATE_SECONDS = 1.0
LATER_THAN_THE_TIME_OUT = 5.5


class NotedWorld(World):
    """Records each effect when it is accepted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._db.execute(_KEEP)

    def put(self, kind: str, key: str, value: Thing) -> None:
        if not kind.startswith("taken."):
            super().put(kind, key, value)
            return
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_NOTE, (kind.removeprefix("taken."), key, value["digest"]))
            self._db.execute(
                "INSERT INTO things (kind, key, value) VALUES (?, ?, ?)",
                (kind, key, json.dumps(value)),
            )
            self._db.execute("COMMIT")


class FaultyWire:
    """Injects faults before and after the partner's own work, at a given rate."""

    def __init__(self, app: ASGIApp, rate: float) -> None:
        self._app = app
        self.rate = rate
        self._kinds = {
            "busy": 2,
            "error": 2,
            "garbage": 1,
            "late": 2,
            "very late": 0.3,
            "answer lost": 4,
            "garbled after": 1,
            "broken off": 2,
            "silence": 0.3,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/partners/"):
            await self._app(scope, receive, send)
            return
        fault = None
        if random.random() < self.rate:
            kinds = self._kinds
            fault = random.choices(list(kinds), list(kinds.values()))[0]
        await self._answer(fault, scope, receive, send)

    async def _answer(self, fault: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        if fault == "busy":
            await JSONResponse({"code": "BUSY"}, 503)(scope, receive, send)
        elif fault == "error":
            await Response("oops", 500)(scope, receive, send)
        elif fault == "garbage":
            await Response("<html>maintenance</html>")(scope, receive, send)
        elif fault == "silence":
            await asyncio.sleep(2 * LATER_THAN_THE_TIME_OUT)
        else:
            if fault == "late":
                await asyncio.sleep(random.random() * LATE_SECONDS)
            elif fault == "very late":
                await asyncio.sleep(LATER_THAN_THE_TIME_OUT)
            await self._act(fault, scope, receive, send)

    async def _act(self, fault: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        if scope["path"] == _ENROLMENTS:
            await JSONResponse({"insurances": ["110", "310"]})(scope, receive, keep)
        else:
            await self._app(scope, receive, keep)
        if fault == "answer lost":
            await Response("oops", 500)(scope, receive, send)
        elif fault == "garbled after":
            await Response('{"taken": tru')(scope, receive, send)
        elif fault == "broken off":
            await send(said[0])
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            raise ConnectionAbortedError
        else:
            for message in said:
                await send(message)


def build(settings: Settings, world: NotedWorld, rate: float) -> ASGIApp:
    async def messages(request: Request) -> Response:
        return JSONResponse(inbox(world, request.query_params["phone"]))

    async def order(request: Request) -> Response:
        return JSONResponse(world.get(ORDERS, request.path_params["number"]))

    async def card(request: Request) -> Response:
        given = await request.json()
        world.put(REGISTRY_CARDS, given["cardNumber"], given)
        return JSONResponse({})

    async def faults(request: Request) -> Response:
        wire.rate = (await request.json())["rate"]
        return JSONResponse({})

    wire = FaultyWire(
        Starlette(
            routes=[
                *partner_routes(settings, world),
                Route("/inbox", messages),
                Route("/orders/{number}", order),
                Route("/cards", card, methods=["POST"]),
                Route("/faults", faults, methods=["POST"]),
            ]
        ),
        rate,
    )
    return wire


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--world", type=Path, required=True)
    options.add_argument("--rate", type=float, required=True)
    given = options.parse_args()
    settings = sandbox_settings(replace(Settings.read(), sandbox=True))
    app = build(settings, NotedWorld(given.world), given.rate)
    uvicorn.run(app, port=given.port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main()
