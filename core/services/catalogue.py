"""The catalogue of the guide's ten services, in the guide's order.

Each service is a file of its own; so is each step that leads to it, such as uploading a portrait.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Self

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
    """A service: its value, its title in the guide, and the rule that says who may use it now."""

    text: Text
    check_eligibility: Callable[[Holder], None]

    def __new__(cls, value: str, text: Text, check_eligibility: Callable[[Holder], None]) -> Self:
        service = str.__new__(cls, value)
        service._value_ = value
        service.text = text
        service.check_eligibility = check_eligibility
        return service

    APPLY_CARD = "APPLY_CARD", Text("申办", "Apply"), apply_card.check_eligibility
    ACTIVATE_CARD = "ACTIVATE_CARD", Text("激活", "Activate"), activate_card.check_eligibility
    REPORT_LOSS = "REPORT_LOSS", Text("挂失", "Report loss"), report_loss.check_eligibility
    CANCEL_LOSS = "CANCEL_LOSS", Text("解挂", "Cancel loss"), cancel_loss.check_eligibility
    CHANGE_PASSWORD = (
        "CHANGE_PASSWORD",
        Text("服务密码变更", "Change password"),
        change_password.check_eligibility,
    )
    CHANGE_INFORMATION = (
        "CHANGE_INFORMATION",
        Text("信息变更", "Change information"),
        change_contact.check_eligibility,
    )
    TRANSFER_IN = "TRANSFER_IN", Text("卡归属地转入", "Transfer in"), transfer_in.check_eligibility
    REISSUE_CARD = "REISSUE_CARD", Text("补卡", "Reissue"), reissue_card.check_eligibility
    PRODUCTION_PROGRESS = (
        "PRODUCTION_PROGRESS",
        Text("制卡进度查询", "Production progress"),
        production_progress.check_eligibility,
    )
    CARD_STATUS = "CARD_STATUS", Text("卡状态查询", "Card status"), card_status.check_eligibility

    def eligibility(self, holder: Holder) -> Refusal | None:
        """Why the holder cannot use it now; None where they can.

        The refusal is returned without its traceback, whose frames would keep the holder in memory.
        """
        try:
            self.check_eligibility(holder)
        except Refusal as refusal:
            return refusal.with_traceback(None)
        return None
