"""Clients of the outside systems: for each partner a Protocol and its HTTP implementation."""

from dataclasses import dataclass

import httpx

from core.kernel.settings import Settings
from core.partners.base import (
    IdempotentPartner,
    NotAccepted,
    OutcomeUnknown,
    PartnerFailed,
    Rejected,
)
from core.partners.card_registry import (
    CardRegistry,
    HttpCardRegistry,
    RegionMove,
    RegistryCard,
    held_elsewhere,
)
from core.partners.health import PartnerHealth
from core.partners.insurance_registry import (
    HttpInsuranceRegistry,
    InsuranceRegistry,
    with_enrolment,
)
from core.partners.issuer import HttpIssuer, Issuer, IssuerCorrection, IssuerOrder
from core.partners.population_registry import HttpPopulationRegistry, PopulationRegistry
from core.partners.sms import HttpSms, Sms, SmsMessage

__all__ = [
    "CardRegistry",
    "IdempotentPartner",
    "InsuranceRegistry",
    "Issuer",
    "IssuerCorrection",
    "IssuerOrder",
    "NotAccepted",
    "OutcomeUnknown",
    "PartnerFailed",
    "PartnerHealth",
    "Partners",
    "PopulationRegistry",
    "RegionMove",
    "RegistryCard",
    "Rejected",
    "Sms",
    "SmsMessage",
    "build_partners",
    "held_elsewhere",
    "with_enrolment",
]


@dataclass(frozen=True, slots=True)
class Partners:
    sms: Sms
    population_registry: PopulationRegistry
    insurance_registry: InsuranceRegistry
    card_registry: CardRegistry
    issuer: Issuer
    health: tuple[PartnerHealth, ...] = ()


def build_partners(settings: Settings, http: httpx.AsyncClient) -> Partners:
    sms = HttpSms(http, settings.sms_url, settings.sms_token)
    population = HttpPopulationRegistry(
        http, settings.population_registry_url, settings.population_registry_token
    )
    insurances = HttpInsuranceRegistry(
        http, settings.insurance_registry_url, settings.insurance_registry_token
    )
    cards = HttpCardRegistry(http, settings.card_registry_url, settings.card_registry_token)
    issuer = HttpIssuer(http, settings.issuer_url, settings.issuer_token)
    return Partners(
        sms=sms,
        population_registry=population,
        insurance_registry=insurances,
        card_registry=cards,
        issuer=issuer,
        health=tuple(each.health for each in (sms, population, insurances, cards, issuer)),
    )
