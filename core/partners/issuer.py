"""制卡中心 card issuer: accepts production orders and reports their progress by events."""

import base64
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from core.kernel.refusals import Text
from core.kernel.settings import Secret
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


class Issuer(IdempotentPartner, Protocol):
    async def order(self, order: IssuerOrder, idempotency_key: str) -> None:
        """Raises `PartnerFailed`."""


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
            "portrait": order.portrait and base64.b64encode(order.portrait).decode("ascii"),
        }
        await self.execute("/orders", body, idempotency_key)
