"""Types that several services share: the card and its parts.

Personal values are opened and masked only when a query asks for them.
"""

from typing import Any

import strawberry

from core import reference
from core.cards import STATE_NAMES, CardHolder, CardState, CardSummary
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.confirmation import CONFIRMATION_NAMES, Confirmation
from core.kernel.masking import mask_name, mask_number
from core.kernel.texts import Text
from gateway.schema.enums import publish
from gateway.schema.info import Info

strawberry.enum(ChannelId, description="渠道 · The app through which a citizen comes.")
publish(
    RealNameLevel,
    "实名级别 · How the citizen of a session was identified; lowest first.",
    {
        RealNameLevel.NONE: Text("未绑卡", "Not identified yet"),
        RealNameLevel.BOUND: Text("已绑卡", "Bound by name, number and a code to their phone"),
        RealNameLevel.PLATFORM: Text("平台实名", "Name and number proved by the app's platform"),
    },
)
publish(CardState, "卡状态 (AAZ502) · State of a card.", STATE_NAMES)
publish(
    Confirmation,
    "确认情况 · Whether the partner that must act on it has confirmed.",
    CONFIRMATION_NAMES,
)


@strawberry.type(description="卡状态信息 · The viewer's social security card.")
class CardStatus:
    holder: strawberry.Private[CardHolder[Any]]
    card: strawberry.Private[CardSummary]

    @classmethod
    def of(cls, holder: CardHolder[Any]) -> "CardStatus":
        return cls(holder=holder, card=holder.card)

    @strawberry.field(description="姓名 · Holder's name, masked: first character.")
    def name(self) -> str:
        return mask_name(self.holder.citizen.name.reveal())

    @strawberry.field(description="社会保障号码 · Masked: first three and last four characters.")
    def social_security_number(self) -> str:
        return mask_number(self.holder.citizen.social_security_number.reveal())

    @strawberry.field(description="卡号 · Nine characters, printed on the portrait side.")
    def card_number(self) -> str:
        return self.card.number.reveal()

    @strawberry.field(description="发卡日期 · Date of issue, `YYYY-MM-DD`.")
    def issue_date(self) -> str:
        return self.card.issue_date

    @strawberry.field(description="发卡银行 · Name of the issuing bank.")
    def bank(self, info: Info) -> str:
        return bank_name(info, self.card.bank_code)

    @strawberry.field(description="发卡银行代码 · Code of the issuing bank, as in `banks`.")
    def bank_code(self) -> str:
        return self.card.bank_code

    @strawberry.field(description="归属地 · Name of the city that the card belongs to.")
    def home_region(self, info: Info) -> str:
        region = info.context.dependencies.reference.regions.get(self.card.region_code)
        if region is None:
            return self.card.region_code
        return region.text.in_language(info.context.language)

    @strawberry.field(description="归属地代码 · GB/T 2260 code of that city; 成都市 is 510100.")
    def home_region_code(self) -> str:
        return self.card.region_code

    @strawberry.field(description="卡状态 · State of the card.")
    def state(self) -> CardState:
        return self.card.state

    @strawberry.field(description="卡状态名称 · The state in words.")
    def state_name(self, info: Info) -> str:
        return STATE_NAMES[self.card.state].in_language(info.context.language)

    @strawberry.field(
        description="归属地确认情况 · BEING_CONFIRMED 正在确认 until the provincial card registry has "
        "moved the card; a rejected transfer is undone, and the citizen gets a message."
    )
    def confirmation(self) -> Confirmation:
        return self.card.confirmation

    @strawberry.field(description="归属地确认情况名称 · Display name.")
    def confirmation_name(self, info: Info) -> str:
        return CONFIRMATION_NAMES[self.card.confirmation].in_language(info.context.language)


def bank_name(info: Info, code: str) -> str:
    bank = info.context.dependencies.reference.bank(code)
    return code if bank is None else bank.text.in_language(info.context.language)


@strawberry.type(description="选项 · An option of a select.")
class Option:
    option: strawberry.Private[reference.Option]

    @classmethod
    def from_core(cls, option: reference.Option) -> "Option":
        return cls(option=option)

    @strawberry.field(description="代码 · The value to submit.")
    def code(self) -> str:
        return self.option.code

    @strawberry.field(description="名称 · The text to show; outlets are named in Chinese only.")
    def name(self, info: Info) -> str:
        return self.option.text.in_language(info.context.language)
