"""激活 activate: enables the card's social security function and cancels the lost cards that it replaces.

A random service password is sent by SMS; there is no default password. The financial function is
opened at the bank.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from core import audit
from core.applications import applications
from core.audit import Action
from core.cards import CardFields, CardForm, CardState, Holder, cards, ways_out
from core.citizens import citizens, passwords
from core.kernel.card_services import CardService
from core.messaging import VerificationPurpose, outbox, verification
from core.reference import birth_date_of
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class ActivateCard(CardFields):
    pass


@dataclass(frozen=True, slots=True)
class GeneratedPassword:
    password: str = field(repr=False)
    hash: str = field(repr=False)


async def generate_password(preparation: Preparation, _: ActivateCard) -> GeneratedPassword:
    citizen = await citizens.get(
        preparation.db, preparation.dependencies.vault, preparation.citizen_id
    )
    number = citizen.social_security_number.reveal()
    password = passwords.generate()
    while passwords.is_too_simple(password, number, birth_date_of(number)):
        password = passwords.generate()
    return GeneratedPassword(password, await preparation.dependencies.hasher.hash(password))


async def activate_card(
    unit: UnitOfWork, command: ActivateCard, generated: GeneratedPassword
) -> Holder:
    settings, vault = unit.dependencies.settings, unit.dependencies.vault
    form = CardForm.read(command, check_character=settings.card_check_character)
    holder = await unit.holder()
    card = ways_out.card_for(CardService.ACTIVATE_CARD, holder).activate(unit.now)
    form.check_holder(holder, card, vault)
    await verification.check(unit, form.phone, VerificationPurpose.ACTIVATE_CARD, form.code)
    await _cancel_replaced_cards(unit, holder)
    cards.save_state(unit.writes, card)
    applications.close(unit.writes, holder.citizen.id, unit.now)
    passwords.store(unit.writes, unit.dependencies.seals, holder.citizen.id, generated.hash)
    await audit.record(unit, holder.citizen.id, Action.ACTIVATE_CARD, card=card.id)
    outbox.put_sms(
        unit,
        subject_id=holder.citizen.id,
        phone=form.phone,
        template="SERVICE_PASSWORD",
        text=f"【成都人社】您的社会保障卡人社功能已激活，初始服务密码为 {generated.password}，"
        "请尽快修改，勿告知他人。金融功能请到开户银行激活。",
    )
    return replace(holder, cards=(card,), application=None)


async def _cancel_replaced_cards(unit: UnitOfWork, holder: Holder) -> None:
    for old in holder.cards:
        if old.state is CardState.LOST:
            cards.save_state(unit.writes, old.reissued(unit.now))
            await audit.record(unit, holder.citizen.id, Action.CARD_CANCELLED, card=old.id)
