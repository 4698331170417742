"""The card issuer: its orders, and the signed events that it sends to the gateway."""

import asyncio
import secrets
import string
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

import httpx
import msgspec
from starlette.exceptions import HTTPException
from stdnum.iso7064 import mod_11_2

from core.issuer import SIGNERS, EventSigner
from core.kernel.settings import Settings
from sandbox.personas import PERSONAS, Persona
from sandbox.world import World

Order: TypeAlias = dict[str, Any]

ORDERS = "orders"
NODES = (
    "INTAKE",
    "BANK_ACCOUNT",
    "MANUFACTURE",
    "KEY_LOADING",
    "STOCK_TRANSFER",
    "READY_FOR_PICKUP",
)
DONE, FAILED, NEEDS_CORRECTION = "DONE", "FAILED", "NEEDS_CORRECTION"
SAMPLE_REASONS = {
    FAILED: "示例原因：该环节未通过，制卡中心将重新办理",
    NEEDS_CORRECTION: "示例原因：资料与证件不符",
}
_CARD_NUMBER_CHARACTERS = string.ascii_uppercase + string.digits


def accept(world: World, order_number: str, social_security_number: str) -> None:
    """Adds an order, unless it exists already."""
    world.add(
        ORDERS,
        order_number,
        {
            "orderNumber": order_number,
            "socialSecurityNumber": social_security_number,
            "batchNumber": None,
            "cardNumber": None,
            "done": [],
            "corrections": [],
            "closed": False,
        },
    )


def cancel(world: World, order_number: str) -> str | None:
    """The code of a rejection; None if it is accepted."""
    return _change(world, order_number, before="MANUFACTURE", closed=True)


def change_outlet(world: World, order_number: str, outlet_code: str) -> str | None:
    return _change(world, order_number, before="STOCK_TRANSFER", outletCode=outlet_code)


def correct(world: World, order_number: str, corrected: set[str]) -> str | None:
    """Exactly what was asked for."""
    order = world.get(ORDERS, order_number)
    if order is not None and set(order["corrections"]) != corrected:
        return "NOT_WHAT_WAS_ASKED"
    return _change(world, order_number, before=None, corrections=[])


def _change(world: World, order_number: str, before: str | None, **facts: Any) -> str | None:
    order = world.get(ORDERS, order_number)
    if order is None:
        return "NO_SUCH_ORDER"
    if order["closed"]:
        return "ORDER_CLOSED"
    if len(order["done"]) >= (len(NODES) if before is None else NODES.index(before)):
        return "TOO_LATE"
    world.put(ORDERS, order_number, order | facts)
    return None


def initialise(world: World) -> None:
    """Adds the open orders of the personas."""
    for persona in PERSONAS.values():
        if persona.open_order is not None:
            accept(world, persona.open_order, persona.social_security_number)
            order = world.get(ORDERS, persona.open_order) or {}
            order |= {"batchNumber": persona.batch_number, "done": list(persona.nodes_done)}
            world.put(ORDERS, persona.open_order, order)


class CardIssuer:
    """Sends events one at a time, in order."""

    def __init__(self, settings: Settings, world: World, http: httpx.AsyncClient) -> None:
        self._url = f"{settings.address}/issuer/events"
        self._key = settings.issuer_event_key.reveal().encode()
        self._signer = SIGNERS[settings.issuer_event_signer]
        self._world = world
        self._http = http
        self._lock = asyncio.Lock()

    async def advance(
        self, persona: Persona, result: str, reason: str | None, corrections: Sequence[str]
    ) -> dict[str, Any]:
        """Reports the next node of the newest unfinished order; one that was not done is repeated."""
        async with self._lock:
            order = self._unfinished_order(persona)
            node = NODES[len(order["done"])]
            if order["corrections"] and result == DONE:
                raise HTTPException(409, "The order waits for its correction.")
            _assign_numbers(order, node, self._world.today())
            order["corrections"] = list(corrections)
            self._world.put(ORDERS, order["orderNumber"], order)
            await self._report(
                "NODE_RESULT",
                orderNumber=order["orderNumber"],
                node=node,
                result=result,
                reason=(reason or SAMPLE_REASONS[result]) if result in SAMPLE_REASONS else None,
                **({"corrections": list(corrections)} if corrections else {}),
                batchNumber=order["batchNumber"],
                cardNumber=order["cardNumber"],
            )
            if result == DONE:
                order["done"].append(node)
                self._world.put(ORDERS, order["orderNumber"], order)
        return {"node": node, "result": result, "orderNumber": order["orderNumber"]}

    async def close_order(self, persona: Persona, reason: str) -> dict[str, Any]:
        """Closes the newest unfinished order."""
        async with self._lock:
            order = self._unfinished_order(persona)
            self._world.put(ORDERS, order["orderNumber"], order | {"closed": True})
            await self._report("ORDER_CLOSED", orderNumber=order["orderNumber"], reason=reason)
        return {"event": "ORDER_CLOSED", "orderNumber": order["orderNumber"]}

    async def report_card(self, persona: Persona, event: str, reason: str | None) -> dict[str, Any]:
        """Reports an event of the persona's card."""
        number = self._card_number(persona)
        async with self._lock:
            await self._report(
                event,
                cardNumber=number,
                socialSecurityNumber=persona.social_security_number,
                **({} if reason is None else {"reason": reason}),
            )
        return {"event": event, "cardNumber": number}

    def _orders_of(self, persona: Persona) -> list[Order]:
        """Newest first."""
        number = persona.social_security_number
        orders = self._world.all(ORDERS)
        return [order for order in reversed(orders) if order["socialSecurityNumber"] == number]

    def _unfinished_order(self, persona: Persona) -> Order:
        for order in self._orders_of(persona):
            if len(order["done"]) < len(NODES) and not order["closed"]:
                return order
        raise HTTPException(409, f"The persona {persona.id} has no unfinished order.")

    def _card_number(self, persona: Persona) -> str:
        for order in self._orders_of(persona):
            if len(order["done"]) == len(NODES):
                return str(order["cardNumber"])
        if persona.card_number is None or not persona.holds_chengdu_card:
            raise HTTPException(409, f"The persona {persona.id} has no card of Chengdu.")
        return persona.card_number

    async def _report(self, event_type: str, **facts: Any) -> None:
        event = {
            "id": secrets.token_hex(16),
            "type": event_type,
            "at": self._world.now_in_china(),
            **facts,
        }
        body = msgspec.json.encode({"events": [event]})
        try:
            response = await self._http.post(
                self._url,
                content=body,
                headers=signed_headers(self._key, body, self._world.seconds(), self._signer),
            )
        except httpx.HTTPError as error:
            raise HTTPException(502, "The gateway could not be reached.") from error
        if not response.is_success:
            raise HTTPException(
                502, f"The gateway answered {response.status_code} to the issuer's event."
            )


def signed_headers(
    key: bytes, body: bytes, at: int, signer: EventSigner = SIGNERS["hmac-sha256"]
) -> dict[str, str]:
    """`at` is in Unix seconds; the signature covers it and the body."""
    signature = signer.sign(key, str(at), body)
    return {
        "Content-Type": "application/json",
        "X-Issuer-Timestamp": str(at),
        "X-Issuer-Signature": signature,
    }


def new_card_number() -> str:
    """Its last character passes the gateway's optional MOD 11-2 check."""
    front = "".join(secrets.choice(_CARD_NUMBER_CHARACTERS) for _ in range(8))
    values = "".join(str(int(character, 36)) for character in front)
    return front + mod_11_2.calc_check_digit(values)


def _assign_numbers(order: Order, node: str, today: date) -> None:
    """Assigns a batch number with the first node, a card number with manufacture."""
    if order["batchNumber"] is None:
        order["batchNumber"] = f"SAMPLE-{today:%Y%m%d}{secrets.randbelow(100):02d}"
    if order["cardNumber"] is None and NODES.index(node) >= NODES.index("MANUFACTURE"):
        order["cardNumber"] = new_card_number()
