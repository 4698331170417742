"""社保参保系统 insurance registry: the insurance types in which a citizen is enrolled in Chengdu."""

from typing import Protocol

import httpx
import msgspec
from msgspec.structs import replace

from core.cards import CardsElsewhere
from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import PartnerClient
from core.reference import InsuranceType

NAME = Text("社保参保系统", "The insurance registry")
_KNOWN = frozenset(insurance.value for insurance in InsuranceType)


class _Enrolments(msgspec.Struct):
    insurances: list[str]


class InsuranceRegistry(Protocol):
    async def enrolled(self, social_security_number: str) -> frozenset[InsuranceType]:
        """Empty for an unknown citizen. Raises `PartnerFailed`."""


async def with_enrolment(
    answer: CardsElsewhere, registry: InsuranceRegistry, social_security_number: str
) -> CardsElsewhere:
    """Asks for the enrolment that a transfer needs, if there is a card to transfer. Raises `PartnerFailed`."""
    if answer.card is None or not answer.card.transferable:
        return answer
    enrolled = await registry.enrolled(social_security_number)
    return CardsElsewhere(replace(answer.card, enrolled=bool(enrolled)))


class HttpInsuranceRegistry(PartnerClient):
    name = "insurance-registry"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def enrolled(self, social_security_number: str) -> frozenset[InsuranceType]:
        """Leaves out the types that the guide does not offer (AAE140 has more)."""
        body = {"socialSecurityNumber": social_security_number}
        found = await self.look_up("/enrolments", body, _Enrolments)
        return frozenset(InsuranceType(code) for code in _KNOWN.intersection(found.insurances))
