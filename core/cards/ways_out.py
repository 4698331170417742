"""Ways out: who can use which service now, and what to do instead.

One rule for each service, a pure function of the holder. The service itself, the form that leads to it
and `viewer.services` ask the same rule; the next step after a refusal is a service whose rule does not
refuse, or else a desk that is named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from core.cards.cards import STATE_NAMES, Card, CardState
from core.cards.holders import Holder
from core.kernel.card_services import CardService
from core.kernel.clock import seconds_until
from core.kernel.confirmation import Confirmation
from core.kernel.next_steps import HOTLINE, NextStep
from core.kernel.refusals import (
    ApplicationOpen,
    CardAlreadyHere,
    CardBeingConfirmed,
    CardHeld,
    CardHeldElsewhere,
    CardOutsideProvince,
    InsuranceNotEnrolled,
    NoApplication,
    NoCard,
    NoCardElsewhere,
    PasswordLocked,
    PasswordNotSet,
    Refusal,
    ReissueOpen,
    TransferCardNotActive,
)
from core.kernel.texts import Text

Rule: TypeAlias = Callable[[Holder], Refusal | None]
_Transition: TypeAlias = Callable[[Card, int], Card]

NOTES = {
    CardService.APPLY_CARD: Text(
        "尚未核对您在其他地区是否已有社会保障卡，提交时还会核对；已有的不能重复申办，"
        "省内其他市（州）的卡请办理「卡归属地转入」。",
        "We have not yet checked whether you have a card elsewhere, and will when you submit. With "
        "one you cannot apply again; a card of another city of Sichuan can be transferred in.",
    ),
    CardService.TRANSFER_IN: Text(
        "尚未核对您在其他地区是否已有社会保障卡，只有省内其他市（州）的正常状态的卡可以转入。",
        "We have not yet checked whether you have a card elsewhere; only an active card of another "
        "city of Sichuan can be transferred in.",
    ),
}
"""What to say while it is unknown whether there is a card elsewhere."""


def eligibility(service: CardService, holder: Holder) -> Refusal | None:
    """Why the holder cannot use the service now; None where they can."""
    return _RULES[service](holder)


def check_eligibility(service: CardService, holder: Holder) -> None:
    """Raises the refusal, with its next step."""
    refusal = eligibility(service, holder)
    if refusal is not None:
        raise show_way(refusal, service, holder)


def card_for(service: CardService, holder: Holder) -> Card:
    """The card on which the service works. Raises as `check_eligibility`."""
    check_eligibility(service, holder)
    card = _card(service, holder)
    assert card is not None
    return card


def show_way(refusal: Refusal, service: CardService, holder: Holder) -> Refusal:
    """Adds the next step, unless the refusal has one of its own."""
    if refusal.next_step is not None:
        return refusal
    return refusal.with_next_step(next_step(service, holder))


def next_step(service: CardService, holder: Holder) -> NextStep:
    """The first way forward that will not be refused."""
    return next(
        step
        for step in _ways(service, holder)
        if step.service is None or eligibility(step.service, holder) is None
    )


def note(service: CardService, holder: Holder) -> Text | None:
    """What the holder should know of a service that is offered without certainty."""
    return None if holder.elsewhere is not None else NOTES.get(service)


# --- the rules -----------------------------------------------------------------------------

_WORKS_ON: Mapping[CardService, Sequence[Sequence[CardState]]] = {
    CardService.ACTIVATE_CARD: [[CardState.ACTIVE], [CardState.SEALED]],
    CardService.REPORT_LOSS: [
        [CardState.ACTIVE, CardState.LOCKED, CardState.TEMPORARILY_LOST],
        [CardState.SEALED],
    ],
    CardService.CANCEL_LOSS: [],
    CardService.REISSUE_CARD: [[CardState.LOST]],
}
"""The states of the cards that it looks for, best first; otherwise it is the current card.

Nobody has two active cards: beside an active one, another is not activated.
"""


def _card(service: CardService, holder: Holder) -> Card | None:
    for states in _WORKS_ON[service]:
        card = holder.in_state(*states)
        if card is not None:
            return card
    return holder.current


def _without_card(holder: Holder) -> Refusal:
    return NoCard() if holder.application is None else ApplicationOpen()


def _transition(service: CardService, transition: _Transition, holder: Holder) -> Refusal | None:
    card = _card(service, holder)
    if card is None and (holder.application is not None or not holder.cards):
        return _without_card(holder)
    try:
        transition(card or holder.cards[0], 0)
    except Refusal as refusal:
        return refusal.with_traceback(None)
    return None


def _activate(holder: Holder) -> Refusal | None:
    return _transition(CardService.ACTIVATE_CARD, Card.activate, holder)


def _report_loss(holder: Holder) -> Refusal | None:
    return _transition(CardService.REPORT_LOSS, Card.report_loss, holder)


def _cancel_loss(holder: Holder) -> Refusal | None:
    card = holder.current
    if holder.reissue_open and not (card and card.is_lost and holder.is_made(card)):
        return ReissueOpen()
    return _transition(CardService.CANCEL_LOSS, Card.cancel_loss, holder)


def _reissue(holder: Holder) -> Refusal | None:
    lost = holder.in_state(CardState.LOST)
    if holder.application is not None and (lost is None or not holder.is_made(lost)):
        return ApplicationOpen()
    refusal = _transition(CardService.REISSUE_CARD, Card.reissued, holder)
    if lost is not None and lost.confirmation is not Confirmation.CONFIRMED:
        return CardBeingConfirmed()
    return refusal


def _apply(holder: Holder) -> Refusal | None:
    if holder.application is not None:
        return ApplicationOpen()
    if holder.current is not None:
        return CardHeld(state=STATE_NAMES[holder.current.state])
    if holder.elsewhere is not None and holder.elsewhere.card is not None:
        return CardHeldElsewhere(region=holder.elsewhere.card.region_name)
    return None


def _transfer_in(holder: Holder) -> Refusal | None:
    if holder.application is not None:
        return ApplicationOpen()
    if holder.current is not None:
        return CardAlreadyHere()
    if holder.elsewhere is None:
        return None
    card = holder.elsewhere.card
    if card is None:
        return NoCardElsewhere()
    if not card.in_province:
        return CardOutsideProvince()
    if not card.transferable:
        return TransferCardNotActive(state=STATE_NAMES[card.state])
    if card.enrolled is False:
        return InsuranceNotEnrolled(insurance=Text("任何险种", "any insurance"))
    return None


def _change_password(holder: Holder) -> Refusal | None:
    if holder.password_locked_until is None:
        return PasswordNotSet()
    if holder.password_locked_for:
        wait = seconds_until(holder.password_locked_for, 0)
        return PasswordLocked(field="oldPassword", retry_after=wait).without_counting()
    return None


def _change_information(_: Holder) -> Refusal | None:
    return None


def _production_progress(holder: Holder) -> Refusal | None:
    return None if holder.has_production else NoApplication()


def _card_status(holder: Holder) -> Refusal | None:
    return None if holder.cards else _without_card(holder)


_RULES: Mapping[CardService, Rule] = {
    CardService.APPLY_CARD: _apply,
    CardService.ACTIVATE_CARD: _activate,
    CardService.REPORT_LOSS: _report_loss,
    CardService.CANCEL_LOSS: _cancel_loss,
    CardService.CHANGE_PASSWORD: _change_password,
    CardService.CHANGE_INFORMATION: _change_information,
    CardService.TRANSFER_IN: _transfer_in,
    CardService.REISSUE_CARD: _reissue,
    CardService.PRODUCTION_PROGRESS: _production_progress,
    CardService.CARD_STATUS: _card_status,
}


# --- the ways ------------------------------------------------------------------------------

_ACTIVATE = NextStep(
    CardService.ACTIVATE_CARD,
    Text("卡已制成，领取后请激活。", "Your card is made: collect it, then activate it."),
)
_PROGRESS = NextStep(
    CardService.PRODUCTION_PROGRESS,
    Text(
        "进度请在「制卡进度查询」中查看，制成后即可领卡、激活。",
        "See its production progress; once it is made, collect and activate the card.",
    ),
)
_REISSUE = NextStep(
    CardService.REISSUE_CARD,
    Text(
        "如已找回请解挂，未找回请补卡。",
        "If you found the card, cancel the loss; if not, request a reissue.",
    ),
)
_CANCEL_LOSS = NextStep(
    CardService.CANCEL_LOSS,
    Text("如已找回请解挂。", "If you found the card, cancel the loss."),
)
_REPORT_LOSS = NextStep(
    CardService.REPORT_LOSS,
    Text(
        "如卡遗失或损坏，请先挂失，再补卡。",
        "If the card is lost or damaged, report the loss first, then request a reissue.",
    ),
)
_REPORT_OLD = NextStep(
    CardService.REPORT_LOSS,
    Text(
        "请先为不再使用的旧卡办理挂失，再激活新卡；旧卡随即注销。",
        "Report the loss of the old card that you no longer use, then activate the new one; the "
        "old one is then cancelled.",
    ),
)
_STATUS = NextStep(
    CardService.CARD_STATUS,
    Text("卡的情况请在「卡状态查询」中查看。", "See the state of your card under Card status."),
)
_APPLY = NextStep(
    CardService.APPLY_CARD,
    Text("您可以申办社会保障卡。", "You can apply for a card."),
)
_APPLY_PERHAPS = NextStep(
    CardService.APPLY_CARD,
    Text(
        "您可以申办社会保障卡；打开申办表单时，会先核对您在其他地区是否已有卡。",
        "You can apply for a card; opening the form first checks whether you have one elsewhere.",
    ),
)
_TRANSFER_IN = NextStep(
    CardService.TRANSFER_IN,
    Text(
        "您在省内其他市（州）的卡，请办理「卡归属地转入」。",
        "Transfer in your card of another city of Sichuan.",
    ),
)
_UNLOCK = NextStep(
    None,
    Text(
        "请持身份证到服务网点解锁，可先拨打 028-12333 咨询。",
        "Please visit an outlet with your ID card to unlock it; for help, call 028-12333.",
    ),
    HOTLINE,
)
_CALL = NextStep(None, Text("请拨打 028-12333 咨询。", "Please call 028-12333."), HOTLINE)


def _ways(service: CardService, holder: Holder) -> Iterator[NextStep]:
    """The ways forward, best first; the last one is never refused."""
    if holder.in_state(CardState.SEALED):
        yield _ACTIVATE
    card = holder.current
    if card is not None and holder.is_made(card):
        yield from _WITH_CARD[card.state](service)
    if holder.application is not None:
        yield _PROGRESS
    if card is None:
        yield from _ways_without_card(holder)
    elif service is CardService.PRODUCTION_PROGRESS:
        yield _STATUS
    else:
        yield from _WITH_CARD[card.state](service)
    yield _CALL


def _ways_without_card(holder: Holder) -> Iterator[NextStep]:
    yield _TRANSFER_IN if holder.elsewhere is not None else _APPLY_PERHAPS
    yield _APPLY


def _of_active(service: CardService) -> Iterator[NextStep]:
    if service in (CardService.APPLY_CARD, CardService.REISSUE_CARD):
        yield _REPORT_LOSS
    elif service is not CardService.CHANGE_PASSWORD:
        yield _STATUS


def _of_lost(_: CardService) -> Iterator[NextStep]:
    yield _REISSUE
    yield _CANCEL_LOSS


def _of_temporarily_lost(service: CardService) -> Iterator[NextStep]:
    if service in (CardService.APPLY_CARD, CardService.REISSUE_CARD):
        yield _REPORT_LOSS
    elif service is not CardService.CHANGE_PASSWORD:
        yield _CANCEL_LOSS


def _of_locked(service: CardService) -> Iterator[NextStep]:
    if service in (CardService.APPLY_CARD, CardService.REISSUE_CARD):
        yield _REPORT_LOSS
    yield _UNLOCK


def _of_sealed(_: CardService) -> Iterator[NextStep]:
    yield _ACTIVATE
    yield _REPORT_OLD


_WITH_CARD: Mapping[CardState, Callable[[CardService], Iterator[NextStep]]] = {
    CardState.SEALED: _of_sealed,
    CardState.ACTIVE: _of_active,
    CardState.LOST: _of_lost,
    CardState.LOCKED: _of_locked,
    CardState.TEMPORARILY_LOST: _of_temporarily_lost,
}
