"""卡归属地转入 insurances and transferIn."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, HOLDER
from core.reference import INSURANCE_NAMES, InsuranceType
from core.services.transfer_in import (
    AskInsurances,
    TransferIn,
    find_insurances,
    find_transferable,
    transfer_in,
)
from gateway.resolvers.run import read, run
from gateway.schema.enums import publish
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import CardStatus

publish(InsuranceType, "险种 (AAE140) · An insurance type.", INSURANCE_NAMES)


@strawberry.type(description="参保险种 · One insurance type.")
class Insurance:
    type: InsuranceType = strawberry.field(description="险种 · Which.")
    name: str = strawberry.field(description="险种名称 · Its name.")
    enrolled: bool = strawberry.field(description="是否已在成都参保 · Only these can be chosen.")


@strawberry.type(description="参保险种列表 · The five types.")
class Insurances:
    items: list[Insurance] = strawberry.field(description="险种 · All five.")


InsurancesResult = Annotated[
    Insurances | RefusalPayload,
    strawberry.union("InsurancesResult", description="查询险种结果 · The five types or a refusal."),
]


@strawberry.input(description="转入信息 · The card, the insurances, the bound phone and a code.")
class TransferInInput:
    card_number: str = strawberry.field(description="卡号 · On the portrait side of the card.")
    insurances: list[InsuranceType] = strawberry.field(
        description="险种 · At least one of those enrolled in Chengdu, see `insurances`."
    )
    phone: str = strawberry.field(description="手机号码 · The bound phone, 11 digits.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for TRANSFER_IN.")


@strawberry.type(
    description="转入已受理 · The card counts as Chengdu's; `card.confirmation` is whether the provincial card "
    "registry has confirmed it. The insurance relation itself is transferred at the bureau (028-12333)."
)
class TransferredIn:
    card: CardStatus = strawberry.field(description="卡状态信息 · The card now.")


TransferInResult = Annotated[
    TransferredIn | RefusalPayload,
    strawberry.union("TransferInResult", description="卡归属地转入结果 · Transferred or refusal."),
]


@strawberry.type
class TransferInQuery:
    @strawberry.field(
        directives=[NEEDS_PERSON],
        description="查询险种 · For a card of another city of Sichuan: the five insurance types, "
        "with whether the viewer is enrolled in Chengdu.",
    )
    async def insurances(
        self,
        info: Info,
        card_number: Annotated[
            str, strawberry.argument(description="卡号 · On the portrait side of the card.")
        ],
    ) -> InsurancesResult:
        info.context.require_citizen()
        found = await read(
            info.context,
            find_insurances,
            AskInsurances(card_number=card_number),
            action=Action.INSURANCES,
        )
        return Insurances(
            items=[
                Insurance(
                    type=insurance,
                    name=INSURANCE_NAMES[insurance].in_language(info.context.language),
                    enrolled=insurance in found.enrolled,
                )
                for insurance in InsuranceType
            ]
        )


@strawberry.type
class TransferInMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER},
        directives=[NEEDS_PERSON],
        description="卡归属地转入 · Moves the home region of a card of another city of Sichuan to Chengdu.",
    )
    async def transfer_in(
        self, info: Info, input: Annotated[TransferInInput, FORM]
    ) -> TransferInResult:
        info.context.require_citizen()
        command = TransferIn(
            card_number=input.card_number,
            insurances=tuple(input.insurances),
            phone=input.phone,
            code=input.code,
        )
        holder = await run(
            info.context, transfer_in, command, action=Action.TRANSFER_IN, first=find_transferable
        )
        return TransferredIn(card=CardStatus.of(holder))
