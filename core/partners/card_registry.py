"""省社保卡管理系统 provincial card registry: finds cards of all regions and moves their home region."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import httpx
import msgspec

from core.cards import CHENGDU, CardElsewhere, CardsElsewhere, CardState, elsewhere
from core.kernel import lengths
from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import IdempotentPartner, PartnerClient

NAME = Text("省社保卡管理系统", "The provincial card registry")

_CardNumber = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{8}[0-9X]\Z")]
_RegionCode = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\Z")]
_RegionName = Annotated[str, msgspec.Meta(min_length=1, max_length=lengths.REGION_NAME)]
_BankCode = Annotated[
    str, msgspec.Meta(pattern=rf"^[A-Za-z0-9][A-Za-z0-9_-]{{0,{lengths.REFERENCE_CODE - 1}}}\Z")
]
_Day = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


@dataclass(frozen=True, slots=True)
class RegistryCard:
    """`region_code` is the home region (GB/T 2260), `issue_date` is ISO 8601."""

    card_number: str = field(repr=False)
    region_code: str
    region_name: str
    state: CardState
    bank_code: str
    bank_name: str
    issue_date: str

    @property
    def is_held_elsewhere(self) -> bool:
        return self.region_code != CHENGDU and self.state is not CardState.CANCELLED


def held_elsewhere(cards: Iterable[RegistryCard]) -> CardsElsewhere:
    """Whether one of these is of another region; enrolment stays unknown."""
    return elsewhere.of_cards(
        [
            CardElsewhere(card.region_code, card.region_name, card.state)
            for card in cards
            if card.is_held_elsewhere
        ]
    )


@dataclass(frozen=True, slots=True)
class RegionMove:
    """A card that gets another home region."""

    social_security_number: str = field(repr=False)
    card_number: str = field(repr=False)
    from_region: str
    to_region: str


class _Card(msgspec.Struct, rename="camel"):
    card_number: _CardNumber
    region_code: _RegionCode
    region_name: _RegionName
    state: CardState
    bank_code: _BankCode
    bank_name: str
    issue_date: _Day


class _Cards(msgspec.Struct):
    cards: list[_Card]


class CardRegistry(IdempotentPartner, Protocol):
    async def cards_of(self, social_security_number: str) -> list[RegistryCard]:
        """All cards of the citizen, including cancelled ones. Raises `PartnerFailed`."""

    async def move_region(self, move: RegionMove, idempotency_key: str) -> None:
        """Raises `PartnerFailed`; `Rejected` if the card is no longer in `from_region`."""


class HttpCardRegistry(PartnerClient):
    name = "card-registry"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def cards_of(self, social_security_number: str) -> list[RegistryCard]:
        body = {"socialSecurityNumber": social_security_number}
        found = await self.look_up("/cards", body, _Cards)
        return [RegistryCard(**msgspec.structs.asdict(card)) for card in found.cards]

    async def move_region(self, move: RegionMove, idempotency_key: str) -> None:
        body = {
            "socialSecurityNumber": move.social_security_number,
            "cardNumber": move.card_number,
            "fromRegion": move.from_region,
            "toRegion": move.to_region,
        }
        await self.execute("/moves", body, idempotency_key)
