"""The form of 激活 and 解挂: bound phone number, card number and verification code."""

from dataclasses import dataclass, field

from core.cards.cards import Card
from core.cards.holders import Holder
from core.crypto import Vault
from core.kernel.refusals import CardNumberMismatch, PhoneNotBound
from core.reference import Form


@dataclass(frozen=True, slots=True)
class CardFields:
    """The fields as they were typed."""

    phone: str = field(repr=False)
    card_number: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardForm:
    """The fields in normal form."""

    phone: str = field(repr=False)
    card_number: str = field(repr=False)
    code: str = field(repr=False)

    @classmethod
    def read(cls, typed: CardFields, *, check_character: bool) -> "CardForm":
        """Refuses malformed fields, all at once."""
        form = Form()
        checked = cls(
            form.phone("phone", typed.phone),
            form.card_number("cardNumber", typed.card_number, check_character=check_character),
            form.verification_code("code", typed.code),
        )
        form.finish()
        return checked

    def check_holder(self, holder: Holder, card: Card, vault: Vault) -> None:
        """Refuses a phone that is not bound and a number that is not this card's."""
        form = Form()
        if not holder.citizen.has_phone(self.phone, vault):
            form.refuse(PhoneNotBound(field="phone"))
        if not card.has_number(self.card_number, vault):
            form.refuse(CardNumberMismatch(field="cardNumber"))
        form.finish()
