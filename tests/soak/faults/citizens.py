"""The citizens of a run: each uses the services, and repeats interrupted requests.

Only what the gateway acknowledged is counted. An interrupted request is repeated under its
idempotency key until it is answered, so that in the end each is known to have happened once.
"""

import asyncio
import random
import secrets
import string
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from sandbox.issuer import NODES, signed_headers

OUTLET = {"pickupMethod": "OUTLET", "districtCode": "510104", "outletCode": "SAMPLE-510104-1"}
_PASSING = {"TRY_AGAIN_LATER", "OUTCOME_UNKNOWN", "PARTNER_UNAVAILABLE", "CARD_BEING_CONFIRMED"}
_ACTIONS = {
    "sendVerificationCode": "SEND_CODE",
    "reportLoss": "REPORT_LOSS",
    "cancelLoss": "CANCEL_LOSS",
    "reissueCard": "REISSUE_CARD",
    "activateCard": "ACTIVATE_CARD",
    "transferIn": "TRANSFER_IN",
}
_SUCCESS = {
    "sendVerificationCode": "VerificationCodeSent { expiresAt }",
    "reportLoss": "LossReported { card { state } }",
    "cancelLoss": "LossCancelled { card { state } }",
    "reissueCard": "CardReissued { applicationNumber }",
    "activateCard": "CardActivated { card { state } }",
    "transferIn": "TransferredIn { card { confirmation } }",
}


class Refused(Exception):
    """The gateway refused something that it must accept."""


class Over(Exception):
    """The run ends: nothing new is started."""


@dataclass(slots=True)
class Citizen:
    """`card` is the number of the citizen's card, `elsewhere` that of a card of another city."""

    id: int
    number: str
    phone: str
    headers: dict[str, str] = field(repr=False)
    card: str
    elsewhere: str | None = None
    moved: str | None = None
    acknowledged: Counter[str] = field(default_factory=Counter)
    orders: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outside:
    """Connections to the gateway and the partner, and what happened on them."""

    gateway: httpx.AsyncClient
    partner: httpx.AsyncClient
    event_key: bytes
    over: bool = False
    sent: int = 0
    cut_off: int = 0
    passing: int = 0
    events: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    async def do(self, citizen: Citizen, mutation: str, **given: Any) -> dict[str, Any]:
        """Repeats until it is answered; waits when the refusal is temporary."""
        name = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation($i: {name}Input!) {{ {mutation}(input: $i) {{ __typename"
            f" ... on {_SUCCESS[mutation]} ... on Refusal {{ code message }} }} }}"
        )
        key = secrets.token_hex(8)
        while not self.over or mutation != "sendVerificationCode":
            answer = await self._ask(citizen, document, given, key)
            if answer["__typename"] != "Refusal":
                citizen.acknowledged[_ACTIONS[mutation]] += 1
                return answer
            if answer["code"] not in _PASSING:
                self.refused.append(f"{mutation}: {answer['code']}")
                raise Refused(mutation)
            self.passing += 1
            await asyncio.sleep(0.1)
        raise Over

    async def _ask(
        self, citizen: Citizen, document: str, given: dict[str, Any], key: str
    ) -> dict[str, Any]:
        body = orjson.dumps({"query": document, "variables": {"i": given}})
        headers = citizen.headers | {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        while True:
            self.sent += 1
            try:
                reply = await self.gateway.post("/graphql", content=body, headers=headers)
                data = reply.json()["data"]
                return next(iter(data.values()))
            except (httpx.HTTPError, ValueError, KeyError, AttributeError):
                self.cut_off += 1
                await asyncio.sleep(0.03)

    async def code(self, citizen: Citizen, purpose: str) -> str:
        before = len(await self._codes(citizen, purpose))
        await self.do(citizen, "sendVerificationCode", purpose=purpose, phone=citizen.phone)
        while not self.over:
            codes = await self._codes(citizen, purpose)
            if len(codes) > before:
                return codes[0]
            await asyncio.sleep(0.05)
        raise Over

    async def _codes(self, citizen: Citizen, purpose: str) -> list[str]:
        inbox = await self._partner(f"/inbox?phone={citizen.phone}")
        return [sms["code"] for sms in inbox if sms["purpose"] == purpose]

    async def _partner(self, path: str) -> Any:
        while True:
            try:
                return (await self.partner.get(path)).json()
            except (httpx.HTTPError, ValueError):
                await asyncio.sleep(0.05)

    async def made(self, citizen: Citizen, order: str) -> str:
        """The issuer reports on an order, each event up to three times and out of order."""
        while await self._partner(f"/orders/{order}") is None:
            if self.over:
                raise Over
            await asyncio.sleep(0.05)
        number = _new_card_number()
        events = [_event(order, node, number) for node in NODES]
        sent = [event for event in events for _ in range(random.randint(1, 3))]
        random.shuffle(sent)
        for first in range(0, len(sent), 5):
            await self._report(sent[first : first + 5])
        citizen.orders[order] = number
        return number

    async def _report(self, events: list[dict[str, Any]]) -> None:
        body = orjson.dumps({"events": events})
        while True:
            headers = signed_headers(self.event_key, body, int(time.time()))
            try:
                reply = await self.gateway.post("/issuer/events", content=body, headers=headers)
                if reply.status_code == 200:
                    self.events.update(e["outcome"] for e in reply.json()["events"])
                    return
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(0.03)


def _event(order: str, node: str, card_number: str) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(12),
        "type": "NODE_RESULT",
        "at": datetime.now(UTC).isoformat(),
        "orderNumber": order,
        "node": node,
        "result": "DONE",
        "cardNumber": card_number,
    }


def _new_card_number() -> str:
    letters = string.ascii_uppercase + string.digits
    return "N" + "".join(secrets.choice(letters) for _ in range(7)) + "0"


async def live(outside: Outside, citizens: "asyncio.Queue[Citizen]") -> None:
    """One client: takes the next citizen, completes one service for them, and goes on."""
    while not outside.over:
        citizen = await citizens.get()
        try:
            await _walk(outside, citizen)
        except Over:
            return
        except Refused:
            continue
        citizens.put_nowait(citizen)


async def _walk(outside: Outside, citizen: Citizen) -> None:
    if citizen.elsewhere is not None:
        await _transfer(outside, citizen)
        return
    phone = citizen.phone
    code = await outside.code(citizen, "REPORT_LOSS")
    await outside.do(citizen, "reportLoss", phone=phone, code=code)
    if random.random() < 0.4:
        code = await outside.code(citizen, "CANCEL_LOSS")
        await outside.do(citizen, "cancelLoss", phone=phone, cardNumber=citizen.card, code=code)
        return
    code = await outside.code(citizen, "REISSUE_CARD")
    answer = await outside.do(citizen, "reissueCard", **OUTLET, phone=phone, code=code)
    number = await outside.made(citizen, answer["applicationNumber"])
    code = await outside.code(citizen, "ACTIVATE_CARD")
    await outside.do(citizen, "activateCard", phone=phone, cardNumber=number, code=code)
    citizen.card = number


async def _transfer(outside: Outside, citizen: Citizen) -> None:
    code = await outside.code(citizen, "TRANSFER_IN")
    number = citizen.elsewhere
    await outside.do(
        citizen,
        "transferIn",
        cardNumber=number,
        insurances=["PENSION"],
        phone=citizen.phone,
        code=code,
    )
    citizen.card = citizen.moved = str(number)
    citizen.elsewhere = None
