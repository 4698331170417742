"""申办 applyCard."""

from typing import Annotated

import strawberry

from core.applications import SPECS, FilledForm
from core.audit import Action
from core.cards import ASKS
from core.messaging import HOLDER_AND_CODES
from core.services.apply_card import ApplyCard, apply_card, find_cards_elsewhere
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress
from gateway.schema.receipt import Receipt
from gateway.schema.reissue_card import PickupMethod


@strawberry.input(
    description="申办信息 · The form 数据采集项; labels and options are in `serviceForm`."
)
class ApplyCardInput:
    postal_code: str = strawberry.field(description="邮政编码 · 6 digits.")
    social_insurance_number: str | None = strawberry.field(
        default=None, description="社保编号 · May be empty."
    )
    education_code: str = strawberry.field(description="学历 · GB/T 4658.")
    occupation_code: str = strawberry.field(description="职业/工种 · GB/T 6565.")
    bank_code: str = strawberry.field(description="开户银行 · See `banks`.")
    financial_withholding: bool = strawberry.field(description="是否使用金融代扣.")
    pickup_method: PickupMethod = strawberry.field(description="领卡方式 · OUTLET 服务网点.")
    district_code: str = strawberry.field(description="领卡区县 · GB/T 2260.")
    outlet_code: str = strawberry.field(description="领卡网点 · See `outlets`.")
    phone: str = strawberry.field(description="手机号码 · 11 digits; activation needs it.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for APPLY_CARD.")
    nationality_code: str = strawberry.field(description="国籍/地区代码 · 中国 is CHN.")
    id_document_type: str = strawberry.field(description="证件类型 · 居民身份证 is 01.")
    id_issuer: str = strawberry.field(description="证件发证机关 · On the emblem side.")
    id_number: str = strawberry.field(description="证件号码 · 18 characters.")
    id_valid_until: str = strawberry.field(
        description="证件截止有效期 · `YYYYMMDD`, or LONG_TERM for 长期."
    )
    name: str = strawberry.field(description="姓名 · As on the ID card.")
    gender_code: str = strawberry.field(description="性别 · GB/T 2261.1: 1 男性, 2 女性.")
    ethnicity_code: str = strawberry.field(description="民族 · GB/T 3304: 01 汉族.")
    birth_date: str = strawberry.field(description="出生日期 · `YYYYMMDD`.")

    def filled(self) -> FilledForm:
        return FilledForm.of(
            {spec.name: getattr(self, spec.name) or "" for spec in SPECS}
            | {"financial_withholding": self.financial_withholding}
        )


@strawberry.type(description="申办已受理 · A card is being made.")
class CardApplied:
    application_number: str = strawberry.field(description="申请编号 · Number of the application.")
    progress: ProductionProgress = strawberry.field(description="制卡进度 · Progress of the card.")
    receipt: Receipt = strawberry.field(description="受理回执 · Receipt, also as PDF.")


ApplyCardResult = Annotated[
    CardApplied | RefusalPayload,
    strawberry.union("ApplyCardResult", description="申办结果 · Accepted or refusal."),
]


@strawberry.type
class ApplyCardMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER_AND_CODES},
        directives=[NEEDS_PERSON],
        description="申办 · Applies for a first card. Portrait and ID document must be confirmed before.",
    )
    async def apply_card(
        self, info: Info, input: Annotated[ApplyCardInput, FORM]
    ) -> ApplyCardResult:
        info.context.require_citizen()
        command = ApplyCard(form=input.filled(), code=input.code)
        progress = await run(
            info.context, apply_card, command, action=Action.APPLY_CARD, first=find_cards_elsewhere
        )
        return CardApplied(
            application_number=progress.order.application.number,
            progress=ProductionProgress(progress=progress),
            receipt=Receipt(application=progress.order.application),
        )
