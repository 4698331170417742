"""Which of the guide's ten services a holder can use now.

Each service is a file of its own; so is each step that leads to it, such as uploading a portrait.
"""

from collections.abc import Callable, Mapping

from core.cards import Holder
from core.kernel.card_services import CardService
from core.kernel.refusals import Refusal
from core.services import (
    activate_card,
    apply_card,
    cancel_loss,
    card_status,
    change_contact,
    change_password,
    production_progress,
    reissue_card,
    report_loss,
    transfer_in,
)

RULES: Mapping[CardService, Callable[[Holder], None]] = {
    CardService.APPLY_CARD: apply_card.check_eligibility,
    CardService.ACTIVATE_CARD: activate_card.check_eligibility,
    CardService.REPORT_LOSS: report_loss.check_eligibility,
    CardService.CANCEL_LOSS: cancel_loss.check_eligibility,
    CardService.CHANGE_PASSWORD: change_password.check_eligibility,
    CardService.CHANGE_INFORMATION: change_contact.check_eligibility,
    CardService.TRANSFER_IN: transfer_in.check_eligibility,
    CardService.REISSUE_CARD: reissue_card.check_eligibility,
    CardService.PRODUCTION_PROGRESS: production_progress.check_eligibility,
    CardService.CARD_STATUS: card_status.check_eligibility,
}


def eligibility(service: CardService, holder: Holder) -> Refusal | None:
    """Why the holder cannot use it now; None where they can.

    The refusal is returned without its traceback, whose frames would keep the holder in memory.
    """
    try:
        RULES[service](holder)
    except Refusal as refusal:
        return refusal.with_traceback(None)
    return None
