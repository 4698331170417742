"""The sandbox over HTTP: its own endpoints, the partners, the platforms and the page."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from core.production import CloseReason, Correction
from sandbox import issuer, partners
from sandbox.answers import SandboxResponse, error_answer, persona_of, read
from sandbox.clock import TooFar
from sandbox.page import page_routes
from sandbox.paths import MOUNT, world_file
from sandbox.personas import PERSONAS
from sandbox.platforms import authorize, platform_routes
from sandbox.platforms.user_actions import user_action_routes
from sandbox.precautions import OtherPeople
from sandbox.world import World

ResetGateway: TypeAlias = Callable[[], Awaitable[None]]
Delivered: TypeAlias = Callable[[], Awaitable[None]]
RunDue: TypeAlias = Callable[[], Awaitable[None]]
Anchor: TypeAlias = Callable[[], Awaitable[None]]

_DURATIONS = (
    "advance must be an ISO 8601 duration of days, hours, minutes and seconds above zero, such as P7D, "
    "PT5M or P1DT12H; the clock can be moved on by ten years in all, and POST /sandbox/reset brings it "
    "back to now."
)
_AUTHORIZE_URL = (
    "query($c: ChannelId!, $r: String!) { channel(id: $c) { authorizeUrl(redirectUri: $r) } }"
)


class _Authorize(msgspec.Struct):
    channel: ChannelId
    persona: str


class _Advance(msgspec.Struct):
    persona: str
    result: Literal["DONE", "FAILED", "NEEDS_CORRECTION"] = "DONE"
    reason: str | None = None
    corrections: list[Correction] = []
    event: (
        Literal["TEMPORARY_LOSS", "LOCK", "UNLOCK", "ACTIVATE", "CANCEL", "ORDER_CLOSED"] | None
    ) = None


class _MoveClock(msgspec.Struct, forbid_unknown_fields=True):
    """An ISO 8601 duration of days, hours, minutes and seconds."""

    advance: timedelta


async def at_once() -> None:
    """The default: nothing is pending."""


def sandbox_routes(
    settings: Settings,
    http: httpx.AsyncClient,
    reset_gateway: ResetGateway,
    delivered: Delivered = at_once,
    run_due: RunDue = at_once,
    anchor: Anchor = at_once,
) -> list[BaseRoute]:
    """For a Mount at `/sandbox`. `reset_gateway` restores the gateway's own data.

    `delivered` waits until the gateway's outbox is empty, so that the effects of a request are
    visible in the inbox and at the issuer right after it. `run_due` runs the gateway's jobs that the
    moved clock has made due; `anchor` anchors its audit log, before entries wait for days in an instant.
    """
    world = World(world_file(settings))
    if world.add("initialised", "done", {}):
        _initialise(world)
    endpoints = _Endpoints(settings, http, world, reset_gateway, delivered, run_due, anchor)
    app = Starlette(
        routes=[
            *endpoints.routes(),
            *user_action_routes(settings, http, world, delivered),
            *partners.partner_routes(settings, world),
            *_relative_to_mount(platform_routes(settings, world)),
            *page_routes(),
        ],
        exception_handlers={HTTPException: error_answer},
    )
    return [Mount("/", app=app)]


def _initialise(world: World) -> None:
    partners.initialise(world)
    issuer.initialise(world)


class _Endpoints:
    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        world: World,
        reset_gateway: ResetGateway,
        delivered: Delivered,
        run_due: RunDue,
        anchor: Anchor,
    ) -> None:
        self._settings = settings
        self._http = http
        self._world = world
        self._reset_gateway = reset_gateway
        self._delivered = delivered
        self._run_due = run_due
        self._anchor = anchor
        self._issuer = issuer.CardIssuer(settings, world, http)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/personas", self.personas),
            Route("/authorize", self.authorize, methods=["POST"]),
            Route("/sms", self.sms),
            Route("/ratings", self.ratings),
            Route("/issuer/advance", self.advance, methods=["POST"]),
            Route("/clock", self.clock),
            Route("/clock", self.move_clock, methods=["POST"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def personas(self, _request: Request) -> Response:
        return SandboxResponse([persona.shown() for persona in PERSONAS.values()])

    async def ratings(self, _request: Request) -> Response:
        """What was forwarded to the partner that collects ratings, newest first."""
        await self._delivered()
        return SandboxResponse(self._world.all(partners.RATINGS)[::-1])

    async def sms(self, request: Request) -> Response:
        await self._delivered()
        return SandboxResponse(partners.inbox(self._world, request.query_params.get("phone")))

    async def authorize(self, request: Request) -> Response:
        asked = await read(request, _Authorize)
        persona = persona_of(asked.persona)
        state = await self._state(asked.channel)
        try:
            credential = authorize(self._world, asked.channel, persona)
        except LookupError as error:
            raise HTTPException(404, f"The sandbox has no platform {asked.channel}.") from error
        return SandboxResponse({"credential": credential, "state": state})

    async def advance(self, request: Request) -> Response:
        asked = await read(request, _Advance)
        await self._delivered()
        persona = persona_of(asked.persona)
        if asked.event == "ORDER_CLOSED":
            reason = asked.reason or CloseReason.CANNOT_BE_MADE
            return SandboxResponse(await self._issuer.close_order(persona, reason))
        if asked.event is not None:
            return SandboxResponse(
                await self._issuer.report_card(persona, asked.event, asked.reason)
            )
        return SandboxResponse(
            await self._issuer.advance(persona, asked.result, asked.reason, asked.corrections)
        )

    async def clock(self, _request: Request) -> Response:
        return self._time()

    async def move_clock(self, request: Request) -> Response:
        """For gateway, platforms and partners, in every process; what has become due is done at once."""
        asked = await read(request, _MoveClock, _DURATIONS)
        await self._delivered()
        await self._anchor()
        try:
            self._world.clock.advance(asked.advance)
        except TooFar as error:
            raise HTTPException(400, f"advance leads too far, or back. {_DURATIONS}") from error
        await self._run_due()
        await self._delivered()
        return self._time()

    def _time(self) -> Response:
        clock = self._world.clock
        moved = msgspec.to_builtins(clock.moved)
        return SandboxResponse({"now": self._world.now_in_china(), "moved": moved})

    async def reset(self, _request: Request) -> Response:
        """Resets the gateway first, so that nothing pending reaches the new world; the time is now."""
        await self._delivered()
        try:
            await self._reset_gateway()
        except OtherPeople as error:
            raise HTTPException(409, str(error)) from error
        self._world.clear()
        self._world.clock.return_to_now()
        self._world.add("initialised", "done", {})
        _initialise(self._world)
        return SandboxResponse({"reset": True})

    async def _state(self, channel: ChannelId) -> str:
        """As the channel's front-end gets it, from the gateway's authorize URL.

        Random for a platform without an authorize page, whose front-end ignores it.
        """
        url = await self._authorize_url(channel)
        if url is None:
            return secrets.token_hex(16)
        states = parse_qs(urlsplit(url).query).get("state")
        if not states:
            raise HTTPException(502, "The gateway gave an authorize URL without a state.")
        return states[0]

    async def _authorize_url(self, channel: ChannelId) -> str | None:
        variables = {"c": channel.value, "r": f"{self._settings.address}{MOUNT}/"}
        try:
            response = await self._http.post(
                f"{self._settings.address}/graphql",
                json={"query": _AUTHORIZE_URL, "variables": variables},
            )
            reply: Any = response.json()
            url: str | None = reply["data"]["channel"]["authorizeUrl"]
            return url
        except httpx.HTTPError as error:
            raise HTTPException(502, "The gateway could not be reached.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise HTTPException(502, "The gateway gave no authorize URL.") from error


def _relative_to_mount(routes: list[BaseRoute]) -> list[BaseRoute]:
    """Strips the sandbox's mount from the paths of the platforms, which are absolute."""
    return [
        Mount(route.path.removeprefix(MOUNT), app=route.app) if isinstance(route, Mount) else route
        for route in routes
    ]
