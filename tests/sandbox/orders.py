"""An order as the gateway would place it for the persona who has no card."""

from core.partners import IssuerOrder
from sandbox.personas import PERSONAS


def order(number: str = "SBK1") -> IssuerOrder:
    persona = PERSONAS["no-card"]
    return IssuerOrder(
        number=number,
        kind="APPLY",
        name=persona.name,
        social_security_number=persona.social_security_number,
        bank_code="SAMPLE-ICBC",
        outlet_code="SAMPLE-510104-1",
        portrait=b"portrait",
    )
