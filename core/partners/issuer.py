"""制卡中心 card issuer: accepts production orders and reports their progress by events."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import IdempotentPartner, PartnerClient

NAME = Text("制卡中心", "The card issuer")


@dataclass(frozen=True, slots=True)
class IssuerOrder:
    """`number` is the application's; `kind` is APPLY or REISSUE.

    `portrait` is the JPEG to be printed; None if the issuer reuses that of the previous card.
    """

    number: str
    kind: str
    name: str = field(repr=False)
    social_security_number: str = field(repr=False)
    bank_code: str
    outlet_code: str
    portrait: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class IssuerCorrection:
    """What the issuer asked to be corrected: `fields` by their names in the form; None for pictures that
    it did not ask for. `id_documents` are portrait side and emblem side."""

    number: str
    fields: Mapping[str, str] = field(repr=False)
    portrait: bytes | None = field(default=None, repr=False)
    id_documents: Sequence[bytes] | None = field(default=None, repr=False)


class Issuer(IdempotentPartner, Protocol):
    """Each raises `PartnerFailed`."""

    async def order(self, order: IssuerOrder, idempotency_key: str) -> None: ...

    async def cancel(self, number: str, idempotency_key: str) -> None: ...

    async def change_outlet(self, number: str, outlet_code: str, idempotency_key: str) -> None: ...

    async def correct(self, correction: IssuerCorrection, idempotency_key: str) -> None: ...


class HttpIssuer(PartnerClient):
    name = "issuer"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def order(self, order: IssuerOrder, idempotency_key: str) -> None:
        body = {
            "orderNumber": order.number,
            "kind": order.kind,
            "name": order.name,
            "socialSecurityNumber": order.social_security_number,
            "bankCode": order.bank_code,
            "outletCode": order.outlet_code,
            "portrait": order.portrait and _encoded(order.portrait),
        }
        await self.execute("/orders", body, idempotency_key)

    async def cancel(self, number: str, idempotency_key: str) -> None:
        await self.execute("/orders/cancellations", {"orderNumber": number}, idempotency_key)

    async def change_outlet(self, number: str, outlet_code: str, idempotency_key: str) -> None:
        body = {"orderNumber": number, "outletCode": outlet_code}
        await self.execute("/orders/outlets", body, idempotency_key)

    async def correct(self, correction: IssuerCorrection, idempotency_key: str) -> None:
        sides = correction.id_documents
        body = {
            "orderNumber": correction.number,
            "fields": dict(correction.fields),
            "portrait": correction.portrait and _encoded(correction.portrait),
            "idDocuments": None if sides is None else [_encoded(side) for side in sides],
        }
        await self.execute("/orders/corrections", body, idempotency_key)


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")
