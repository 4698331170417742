"""The six partners of the gateway, as `docs/partners/` specifies them.

A call with an effect is processed once per idempotency key: its effect is idempotent, and the
key is recorded afterwards.

`POST /sandbox/partners/fault` makes a partner fail its next calls; see `sandbox/faults.py`.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from core.kernel.settings import Secret, Settings
from core.production import Correction
from core.reference import Reference, Table
from sandbox import faults, issuer
from sandbox.answers import SandboxResponse
from sandbox.personas import CHENGDU, PERSONAS, Persona, persona_by_number
from sandbox.world import Thing, World

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")

SMS = "sms"
RATINGS = "ratings"
REGISTRY_CARDS = "registry-cards"


class _Wire(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body in camel case."""


class _Sms(_Wire):
    phone: str
    text: str
    template: str
    purpose: str | None = None
    code: str | None = None


class _Person(_Wire):
    social_security_number: str


class _NamedPerson(_Person):
    name: str


class _Move(_Person):
    card_number: str
    from_region: str
    to_region: str


class _Order(_NamedPerson):
    order_number: str
    kind: str
    bank_code: str
    outlet_code: str
    portrait: str | None = None


class _OrderNumber(_Wire):
    order_number: str


class _Outlet(_OrderNumber):
    outlet_code: str


class _Corrected(_OrderNumber):
    fields: dict[Correction, str]
    portrait: str | None = None
    id_documents: tuple[str, str] | None = None

    @property
    def names(self) -> set[str]:
        pictures = {
            Correction.PORTRAIT: self.portrait,
            Correction.ID_DOCUMENTS: self.id_documents,
        }
        sent = {name for name, picture in pictures.items() if picture is not None}
        return {name.value for name in (*self.fields, *sent)}


class _Rating(_Wire):
    service: str
    service_name: str
    channel: str
    handled_at: Annotated[datetime, msgspec.Meta(tz=True)]
    rated_at: Annotated[datetime, msgspec.Meta(tz=True)]
    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    comment: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class _Key(_Wire):
    idempotency_key: str


class _Rejected(Exception):
    """The partner rejects the call; the message is its code."""


def initialise(world: World) -> None:
    """Adds the cards of other regions to the provincial card registry."""
    banks = Reference.load().banks
    for persona in PERSONAS.values():
        bank = banks.get(persona.bank_code or "")
        if persona.card_number and persona.region_code != CHENGDU and bank:
            card = _registry_card(persona, bank.name)
            world.put(REGISTRY_CARDS, persona.card_number, card)


def _registry_card(persona: Persona, bank_name: str) -> Thing:
    return {
        "socialSecurityNumber": persona.social_security_number,
        "cardNumber": persona.card_number,
        "regionCode": persona.region_code,
        "regionName": persona.region_name,
        "state": persona.card_state,
        "bankCode": persona.bank_code,
        "bankName": bank_name,
        "issueDate": persona.issue_date,
    }


def partner_routes(settings: Settings, world: World) -> list[BaseRoute]:
    """Below `/partners`."""
    regions = Reference.load().regions
    sms = _Partner("sms", settings.sms_token, world)
    population = _Partner("population-registry", settings.population_registry_token, world)
    insurances = _Partner("insurance-registry", settings.insurance_registry_token, world)
    cards = _Partner("card-registry", settings.card_registry_token, world)
    orders = _Partner("issuer", settings.issuer_token, world)
    ratings = _Partner("service-ratings", settings.service_ratings_token, world)
    return [
        Route("/partners/fault", faults.fault_endpoint(world), methods=["POST"]),
        sms.mount(
            sms.effect("/messages", _Sms, lambda key, sent: _deliver(world, key, sent)),
            sms.outcome(),
        ),
        population.mount(population.lookup("/match", _NamedPerson, _match)),
        insurances.mount(insurances.lookup("/enrolments", _Person, _enrolments)),
        cards.mount(
            cards.lookup("/cards", _Person, lambda person: _cards(world, person)),
            cards.effect("/moves", _Move, lambda _, move: _move(world, regions, move)),
            cards.outcome(),
        ),
        orders.mount(
            orders.effect("/orders", _Order, lambda _, order: _take_order(world, order)),
            orders.effect(
                "/orders/cancellations",
                _OrderNumber,
                lambda _, sent: _accepted(issuer.cancel(world, sent.order_number)),
            ),
            orders.effect(
                "/orders/outlets",
                _Outlet,
                lambda _, sent: _accepted(
                    issuer.change_outlet(world, sent.order_number, sent.outlet_code)
                ),
            ),
            orders.effect(
                "/orders/corrections",
                _Corrected,
                lambda _, sent: _accepted(issuer.correct(world, sent.order_number, sent.names)),
            ),
            orders.outcome(),
        ),
        ratings.mount(
            ratings.effect("/ratings", _Rating, lambda key, rated: _rate(world, key, rated)),
            ratings.outcome(),
        ),
    ]


class _Partner:
    """Common to all partners: token check, parsing, idempotency keys."""

    def __init__(self, name: str, token: Secret, world: World) -> None:
        self._name = name
        self._token = token
        self._world = world
        self._keys = f"taken.{name}"

    def mount(self, *routes: Route) -> Mount:
        return Mount(f"/partners/{self._name}", routes=list(routes))

    def lookup(self, path: str, shape: type[T], answer: Callable[[T], Thing]) -> Route:
        def respond(_request: Request, asked: T) -> Response:
            return SandboxResponse(answer(asked))

        return self._route(path, shape, respond)

    def outcome(self) -> Route:
        def respond(_request: Request, asked: _Key) -> Response:
            recorded = self._world.get(self._keys, asked.idempotency_key)
            return SandboxResponse({"taken": recorded is not None})

        return self._route("/outcome", _Key, respond)

    def effect(self, path: str, shape: type[T], act: Callable[[str, T], None]) -> Route:
        """`act` also gets the idempotency key. It may raise `_Rejected`."""

        def respond(request: Request, asked: T) -> Response:
            key = request.headers.get("Idempotency-Key", "")
            if not key:
                return _refusal(400, "NO_IDEMPOTENCY_KEY")
            digest = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
            recorded = self._world.get(self._keys, key)
            if recorded is None:
                act(key, asked)
                self._world.put(self._keys, key, {"digest": digest})
            elif recorded["digest"] != digest:
                return _refusal(422, "IDEMPOTENCY_KEY_REUSED")
            return SandboxResponse({"taken": True})

        return self._route(path, shape, respond)

    def _route(self, path: str, shape: type[T], respond: Callable[[Request, T], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            if not self._is_authorized(request):
                return _refusal(401, "UNKNOWN_TOKEN")
            fault = faults.next_fault(self._world, self._name, path)
            if fault is not None and fault.instead is not None:
                return fault.instead
            try:
                answer = respond(request, msgspec.json.decode(await request.body(), type=shape))
                if fault is None:
                    return answer
                if fault.fault is not faults.Fault.SLOW:
                    return faults.lost()
                await asyncio.sleep(faults.SLOW_SECONDS)
                return answer
            except (msgspec.DecodeError, UnicodeDecodeError):
                return _refusal(400, "BAD_REQUEST")
            except _Rejected as rejection:
                return _refusal(409, str(rejection))

        return Route(path, endpoint, methods=["POST"])

    def _is_authorized(self, request: Request) -> bool:
        expected = f"Bearer {self._token.reveal()}".encode()
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected)


def inbox(world: World, phone: str | None) -> list[Thing]:
    """Messages to a phone, or to all phones, newest first."""
    return world.all(SMS if phone is None else _sms_to(phone))[::-1]


def _deliver(world: World, key: str, sent: _Sms) -> None:
    message = {
        "phone": sent.phone,
        "text": sent.text,
        "code": sent.code,
        "purpose": sent.purpose,
        "at": world.now_in_china(),
    }
    world.put(SMS, key, message)
    world.put(_sms_to(sent.phone), key, message)


def _sms_to(phone: str) -> str:
    """The store of messages to one phone, so that a large inbox need not be searched."""
    return f"{SMS}.{phone}"


def _match(person: _NamedPerson) -> Thing:
    known = persona_by_number(person.social_security_number)
    return {"matches": known is not None and known.name == person.name}


def _enrolments(person: _Person) -> Thing:
    known = persona_by_number(person.social_security_number)
    return {"insurances": sorted(known.insurances) if known else []}


def _cards(world: World, person: _Person) -> Thing:
    own = [
        {name: value for name, value in card.items() if name != "socialSecurityNumber"}
        for card in world.all(REGISTRY_CARDS)
        if card["socialSecurityNumber"] == person.social_security_number
    ]
    return {"cards": own}


def _move(world: World, regions: Table, move: _Move) -> None:
    card = world.get(REGISTRY_CARDS, move.card_number)
    if card is None or card["socialSecurityNumber"] != move.social_security_number:
        raise _Rejected("NO_SUCH_CARD")
    region = regions.get(move.to_region)
    if region is None:
        raise _Rejected("UNKNOWN_REGION")
    if card["regionCode"] != move.from_region:
        raise _Rejected("NOT_IN_REGION")
    card |= {"regionCode": region.code, "regionName": region.name}
    world.put(REGISTRY_CARDS, move.card_number, card)


def _rate(world: World, key: str, rated: _Rating) -> None:
    if rated.rated_at < rated.handled_at:
        raise _Rejected("RATED_BEFORE_HANDLED")
    world.put(RATINGS, key, msgspec.to_builtins(rated))


def _take_order(world: World, order: _Order) -> None:
    issuer.accept(world, order.order_number, order.social_security_number)


def _accepted(rejection: str | None) -> None:
    if rejection is not None:
        raise _Rejected(rejection)


def _refusal(status: int, code: str) -> Response:
    return SandboxResponse({"code": code}, status)
