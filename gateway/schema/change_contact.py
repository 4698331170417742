"""信息变更 · 其他信息变更 changeContact."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.kernel.clock import moment
from core.services.change_contact import ChangeContact, change_contact
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.input(description="其他信息变更 · Only the given fields change.")
class ChangeContactInput:
    landline: str | None = strawberry.field(
        default=None, description="固定电话 · Like 028-12345678."
    )
    registered_address: str | None = strawberry.field(
        default=None, description="户口所在地地址 · At most 100 characters."
    )
    residential_address: str | None = strawberry.field(
        default=None, description="常住地地址 · At most 100 characters."
    )
    residential_postal_code: str | None = strawberry.field(
        default=None, description="常住地邮政编码 · 6 digits."
    )


@strawberry.type(description="信息变更成功 · The given fields were changed.")
class ContactChanged:
    at: datetime = strawberry.field(description="时间 · When.")


ChangeContactResult = Annotated[
    ContactChanged | RefusalPayload,
    strawberry.union("ChangeContactResult", description="其他信息变更结果 · Changed or refusal."),
]


@strawberry.type
class ChangeContactMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="其他信息变更 · Landline, addresses and postal code.",
    )
    async def change_contact(
        self, info: Info, input: Annotated[ChangeContactInput, FORM]
    ) -> ChangeContactResult:
        info.context.require_citizen()
        command = ChangeContact(
            landline=input.landline,
            registered_address=input.registered_address,
            residential_address=input.residential_address,
            residential_postal_code=input.residential_postal_code,
        )
        return ContactChanged(
            at=moment(
                await run(info.context, change_contact, command, action=Action.CHANGE_CONTACT)
            )
        )
