"""The card of the persona other-city, as the client of the card registry understands it."""

from core.cards import CardState
from core.partners import RegistryCard

REGISTRY_CARD = RegistryCard(
    card_number="SAMPLE079",
    region_code="510700",
    region_name="绵阳市",
    state=CardState.ACTIVE,
    bank_code="SAMPLE-CCB",
    bank_name="中国建设银行",
    issue_date="2020-07-01",
)
