"""同意个人信息处理 giveConsent."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.kernel.clock import moment
from core.services.give_consent import GiveConsent, give_consent
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.type(
    description="个人信息处理告知 · The notice of what personal data is used for, and the citizen's consent."
)
class PrivacyNotice:
    version: str = strawberry.field(description="版本 · For `giveConsent`.")
    url: str | None = strawberry.field(
        description="告知地址 · Where the notice stands; null where the operator has set none."
    )
    given_at: datetime | None = strawberry.field(
        description="同意时间 · When the citizen agreed to this version; null before."
    )
    required: bool = strawberry.field(
        description="是否必须 · Whether `applyCard` is refused without it. Otherwise applying is the consent."
    )


@strawberry.input(description="同意 · What the citizen agrees to.")
class GiveConsentInput:
    notice_version: str = strawberry.field(
        description="告知版本 · The version that the citizen was shown, of `applicationForm.privacyNotice`."
    )


@strawberry.type(description="已同意 · The consent is recorded.")
class ConsentGiven:
    notice_version: str = strawberry.field(description="告知版本 · Which version.")
    at: datetime = strawberry.field(description="同意时间 · When it was first agreed to.")


GiveConsentResult = Annotated[
    ConsentGiven | RefusalPayload,
    strawberry.union("GiveConsentResult", description="同意结果 · Recorded or refusal."),
]


@strawberry.type
class ConsentMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="同意个人信息处理 · Records that the citizen read and agreed to the notice.",
    )
    async def give_consent(
        self, info: Info, input: Annotated[GiveConsentInput, FORM]
    ) -> GiveConsentResult:
        info.context.require_citizen()
        command = GiveConsent(notice_version=input.notice_version)
        at = await run(info.context, give_consent, command, action=Action.GIVE_CONSENT)
        return ConsentGiven(notice_version=input.notice_version, at=moment(at))
