"""The type `NextStep`: what to do after a refusal."""

import strawberry

from core.kernel import next_steps
from core.kernel.card_services import CardService
from core.kernel.line_breaks import unbroken
from core.kernel.texts import Language
from gateway.schema.enums import publish

publish(
    CardService,
    "服务事项 · The ten services of the guide.",
    {service: service.text for service in CardService},
)


@strawberry.type(
    description="下一步 · What the citizen can do instead. Offer `service` as a link to its page, `phone` as a "
    "number to call; without both, `message` alone says it."
)
class NextStep:
    service: CardService | None = strawberry.field(
        description="服务事项 · A service that will not refuse the citizen; null if none helps."
    )
    message: str = strawberry.field(
        description="提示语 · The last sentence of the refusal's `message`, which contains it."
    )
    phone: str | None = strawberry.field(
        description="电话 · Whom to call; null if no call is needed."
    )

    @classmethod
    def from_core(cls, step: next_steps.NextStep | None, language: Language) -> "NextStep | None":
        if step is None:
            return None
        return cls(
            service=step.service,
            message=unbroken(step.message.in_language(language)),
            phone=step.phone,
        )
