"""The ten services of the guide, and the steps that lead to them, one file each.

`SERVICES` is the catalogue: the guide's order and title, and the rule that says whether a
holder may use the service now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.cards import Holder
from core.kernel.refusals import Refusal, Text
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


class CardService(StrEnum):
    APPLY_CARD = "APPLY_CARD"
    ACTIVATE_CARD = "ACTIVATE_CARD"
    REPORT_LOSS = "REPORT_LOSS"
    CANCEL_LOSS = "CANCEL_LOSS"
    CHANGE_PASSWORD = "CHANGE_PASSWORD"  # noqa: S105 - the name of a service
    CHANGE_INFORMATION = "CHANGE_INFORMATION"
    TRANSFER_IN = "TRANSFER_IN"
    REISSUE_CARD = "REISSUE_CARD"
    PRODUCTION_PROGRESS = "PRODUCTION_PROGRESS"
    CARD_STATUS = "CARD_STATUS"


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    id: CardService
    title: Text
    check_eligibility: Callable[[Holder], None]

    def eligibility(self, holder: Holder) -> Refusal | None:
        """Without its traceback, whose frames would keep the holder until the next collection."""
        try:
            self.check_eligibility(holder)
        except Refusal as refusal:
            return refusal.with_traceback(None)
        return None


SERVICES = (
    ServiceEntry(CardService.APPLY_CARD, Text("申办", "Apply"), apply_card.check_eligibility),
    ServiceEntry(
        CardService.ACTIVATE_CARD, Text("激活", "Activate"), activate_card.check_eligibility
    ),
    ServiceEntry(
        CardService.REPORT_LOSS, Text("挂失", "Report loss"), report_loss.check_eligibility
    ),
    ServiceEntry(
        CardService.CANCEL_LOSS, Text("解挂", "Cancel loss"), cancel_loss.check_eligibility
    ),
    ServiceEntry(
        CardService.CHANGE_PASSWORD,
        Text("服务密码变更", "Change password"),
        change_password.check_eligibility,
    ),
    ServiceEntry(
        CardService.CHANGE_INFORMATION,
        Text("信息变更", "Change information"),
        change_contact.check_eligibility,
    ),
    ServiceEntry(
        CardService.TRANSFER_IN, Text("卡归属地转入", "Transfer in"), transfer_in.check_eligibility
    ),
    ServiceEntry(CardService.REISSUE_CARD, Text("补卡", "Reissue"), reissue_card.check_eligibility),
    ServiceEntry(
        CardService.PRODUCTION_PROGRESS,
        Text("制卡进度查询", "Production progress"),
        production_progress.check_eligibility,
    ),
    ServiceEntry(
        CardService.CARD_STATUS, Text("卡状态查询", "Card status"), card_status.check_eligibility
    ),
)
