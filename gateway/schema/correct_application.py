"""更正申请 correctApplication."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.production import Correction
from core.services.correct_application import CorrectApplication, correct_application
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress


@strawberry.input(
    description="更正信息 · The fields that `corrections` names, and no others. Pictures are uploaded and confirmed before."
)
class CorrectApplicationInput:
    application_number: str = strawberry.field(description="申请编号 · As in `productionProgress`.")
    postal_code: str | None = strawberry.field(default=None, description="邮政编码 · 6 digits.")
    education_code: str | None = strawberry.field(
        default=None, description="学历 · Code of an option."
    )
    occupation_code: str | None = strawberry.field(
        default=None, description="职业/工种 · Code of an option."
    )
    id_issuer: str | None = strawberry.field(
        default=None, description="证件发证机关 · As on the emblem side of the ID card."
    )
    id_valid_until: str | None = strawberry.field(
        default=None, description="证件截止有效期 · Like 20281021, or LONG_TERM."
    )
    ethnicity_code: str | None = strawberry.field(
        default=None, description="民族 · Code of an option."
    )


def _fields(input: CorrectApplicationInput) -> list[tuple[Correction, str | None]]:
    return [
        (Correction.POSTAL_CODE, input.postal_code),
        (Correction.EDUCATION_CODE, input.education_code),
        (Correction.OCCUPATION_CODE, input.occupation_code),
        (Correction.ID_ISSUER, input.id_issuer),
        (Correction.ID_VALID_UNTIL, input.id_valid_until),
        (Correction.ETHNICITY_CODE, input.ethnicity_code),
    ]


@strawberry.type(
    description="更正已提交 · Production of the same order goes on once the card issuer has accepted it."
)
class ApplicationCorrected:
    progress: ProductionProgress = strawberry.field(
        description="制卡进度 · The application now; `pendingChange` until the card issuer has answered."
    )


CorrectApplicationResult = Annotated[
    ApplicationCorrected | RefusalPayload,
    strawberry.union(
        "CorrectApplicationResult", description="更正申请结果 · Submitted or refusal."
    ),
]


@strawberry.type
class CorrectApplicationMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="更正申请 · Corrects what a node with result NEEDS_CORRECTION asks for; the same application then goes on.",
    )
    async def correct_application(
        self, info: Info, input: Annotated[CorrectApplicationInput, FORM]
    ) -> CorrectApplicationResult:
        info.context.require_citizen()
        command = CorrectApplication(
            application_number=input.application_number,
            fields={
                correction.value: value for correction, value in _fields(input) if value is not None
            },
        )
        progress = await run(
            info.context, correct_application, command, action=Action.CORRECT_APPLICATION
        )
        return ApplicationCorrected(progress=ProductionProgress(progress=progress))
