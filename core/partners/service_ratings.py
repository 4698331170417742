"""好差评平台 service ratings: takes how a citizen rated a service (国办发〔2019〕51号)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import httpx

from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import IdempotentPartner, PartnerClient

NAME = Text("好差评平台", "The service ratings platform")


@dataclass(frozen=True, slots=True)
class ServiceRating:
    """`score` is 1 (very dissatisfied) to 5 (very satisfied). It names the service, and nobody."""

    service: str
    service_name: str
    channel: str
    handled_at: datetime
    rated_at: datetime
    score: int
    comment: str | None = field(default=None, repr=False)


class ServiceRatings(IdempotentPartner, Protocol):
    async def rate(self, rating: ServiceRating, idempotency_key: str) -> None:
        """Raises `PartnerFailed`."""


class HttpServiceRatings(PartnerClient):
    name = "service-ratings"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def rate(self, rating: ServiceRating, idempotency_key: str) -> None:
        body = {
            "service": rating.service,
            "serviceName": rating.service_name,
            "channel": rating.channel,
            "handledAt": rating.handled_at.isoformat(),
            "ratedAt": rating.rated_at.isoformat(),
            "score": rating.score,
            "comment": rating.comment,
        }
        await self.execute("/ratings", body, idempotency_key)
