"""人口库 population registry: whether a name and an ID number belong together."""

from typing import Protocol

import httpx
import msgspec

from core.kernel.settings import Secret
from core.kernel.texts import Text
from core.partners.base import PartnerClient

NAME = Text("人口库", "The population registry")


class _Match(msgspec.Struct):
    matches: bool


class PopulationRegistry(Protocol):
    async def matches(self, name: str, social_security_number: str) -> bool:
        """False for an unknown number as well. Raises `PartnerFailed`."""


class HttpPopulationRegistry(PartnerClient):
    name = "population-registry"

    def __init__(self, http: httpx.AsyncClient, url: str, token: Secret) -> None:
        super().__init__(http, url, token, NAME)

    async def matches(self, name: str, social_security_number: str) -> bool:
        body = {"name": name, "socialSecurityNumber": social_security_number}
        return (await self.look_up("/match", body, _Match)).matches
