"""The guide's ten services, in the guide's order."""

from enum import StrEnum
from typing import Self

from core.kernel.texts import Text


class CardService(StrEnum):
    """A service: its value, and its title in the guide."""

    text: Text

    def __new__(cls, value: str, text: Text) -> Self:
        service = str.__new__(cls, value)
        service._value_ = value
        service.text = text
        return service

    APPLY_CARD = "APPLY_CARD", Text("申办", "Apply")
    ACTIVATE_CARD = "ACTIVATE_CARD", Text("激活", "Activate")
    REPORT_LOSS = "REPORT_LOSS", Text("挂失", "Report loss")
    CANCEL_LOSS = "CANCEL_LOSS", Text("解挂", "Cancel loss")
    CHANGE_PASSWORD = "CHANGE_PASSWORD", Text("服务密码变更", "Change password")
    CHANGE_INFORMATION = "CHANGE_INFORMATION", Text("信息变更", "Change information")
    TRANSFER_IN = "TRANSFER_IN", Text("卡归属地转入", "Transfer in")
    REISSUE_CARD = "REISSUE_CARD", Text("补卡", "Reissue")
    PRODUCTION_PROGRESS = "PRODUCTION_PROGRESS", Text("制卡进度查询", "Production progress")
    CARD_STATUS = "CARD_STATUS", Text("卡状态查询", "Card status")
