"""服务密码变更 changePassword."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.kernel.clock import moment
from core.services.change_password import ChangePassword, change_password, check_passwords
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.input(description="密码变更信息 · Old password and the new one, twice.")
class ChangePasswordInput:
    old_password: str = strawberry.field(description="原密码 · 8 digits.")
    new_password: str = strawberry.field(
        description="新密码 · 八位纯数字; no repeated digit, run, birth date or part of the ID number."
    )
    confirm_password: str = strawberry.field(description="确认密码 · The new password again.")


@strawberry.type(description="密码变更成功 · The new service password is valid.")
class PasswordChanged:
    at: datetime = strawberry.field(description="时间 · When.")


ChangePasswordResult = Annotated[
    PasswordChanged | RefusalPayload,
    strawberry.union("ChangePasswordResult", description="服务密码变更结果 · Changed or refusal."),
]


@strawberry.type
class ChangePasswordMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="服务密码变更 · Five wrong old passwords lock the change for 24 hours.",
    )
    async def change_password(
        self, info: Info, input: Annotated[ChangePasswordInput, FORM]
    ) -> ChangePasswordResult:
        info.context.require_citizen()
        command = ChangePassword(
            old_password=input.old_password,
            new_password=input.new_password,
            confirm_password=input.confirm_password,
        )
        changed_at = await run(
            info.context,
            change_password,
            command,
            action=Action.CHANGE_PASSWORD,
            first=check_passwords,
        )
        return PasswordChanged(at=moment(changed_at))
