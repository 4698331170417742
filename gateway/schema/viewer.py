"""当前用户 viewer: who is signed in, and which of the ten services can be used now."""

import strawberry

from core.audit import Action
from core.cards import ASKS, HOLDER, Holder, holders, ways_out
from core.kernel import refusals
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from core.kernel.card_services import CardService
from core.kernel.masking import mask_name, mask_number, mask_phone
from core.kernel.refusals import NotBound
from core.unit_of_work import Preparation
from gateway.resolvers.run import read
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info


@strawberry.type(description="服务可用性 · Whether the viewer can use a service now.")
class ServiceAvailability:
    card_service: strawberry.Private[CardService]
    holder: strawberry.Private[Holder | None]
    refusal: strawberry.Private[refusals.Refusal | None]

    @strawberry.field(description="服务事项 · Which service.")
    def service(self) -> CardService:
        return self.card_service

    @strawberry.field(description="服务名称 · Its name in the guide.")
    def title(self, info: Info) -> str:
        return self.card_service.text.in_language(info.context.language)

    @strawberry.field(description="是否可用 · Whether it can be used now.")
    def available(self) -> bool:
        return self.refusal is None

    @strawberry.field(description="不可用原因 · Why not, and what to do; null when it can be used.")
    def reason(self, info: Info) -> RefusalPayload | None:
        refusal = self.refusal
        if refusal is None:
            return None
        if self.holder is not None:
            refusal = ways_out.show_way(refusal, self.card_service, self.holder)
        return RefusalPayload.from_core(refusal, info.context.language)

    @strawberry.field(
        description="提示 · What to know before using it, e.g. that cards of other regions are not checked yet; "
        "usually null."
    )
    def note(self, info: Info) -> str | None:
        if self.holder is None or self.refusal is not None:
            return None
        note = ways_out.note(self.card_service, self.holder)
        return None if note is None else note.in_language(info.context.language)


@strawberry.type(description="卡信息 · The card as the 挂失 page shows it.")
class ViewerCard:
    holder: strawberry.Private[Holder]

    @strawberry.field(description="姓名 · Masked: first character.")
    def name(self) -> str:
        return mask_name(self.holder.citizen.name.reveal())

    @strawberry.field(description="卡号 · Nine characters.")
    def card_number(self) -> str:
        return self.holder.card.number.reveal()


@strawberry.type(description="当前用户 · Who is signed in. Personal values are masked.")
class Viewer:
    caller: strawberry.Private[Caller]
    holder: strawberry.Private[Holder | None]

    @strawberry.field(description="渠道 · Through which app.")
    def channel(self) -> ChannelId:
        return self.caller.channel

    @strawberry.field(
        description="实名级别 · How the citizen was identified: by the platform, by binding, or not yet."
    )
    def level(self) -> RealNameLevel:
        return self.caller.level

    @strawberry.field(
        description="是否已绑卡/实名 · Whether the citizen is identified; if not, use `bindCard`."
    )
    def bound(self) -> bool:
        return self.holder is not None

    @strawberry.field(description="姓名 · Masked; null until bound.")
    def name(self) -> str | None:
        return None if self.holder is None else mask_name(self.holder.citizen.name.reveal())

    @strawberry.field(description="社会保障号码 · Masked; null until bound.")
    def social_security_number(self) -> str | None:
        if self.holder is None:
            return None
        return mask_number(self.holder.citizen.social_security_number.reveal())

    @strawberry.field(description="手机号码 · Masked; null when none is on file.")
    def phone(self) -> str | None:
        if self.holder is None or self.holder.citizen.phone is None:
            return None
        return mask_phone(self.holder.citizen.phone.reveal())

    @strawberry.field(description="卡信息 · Name and card number; null without a card in Chengdu.")
    def card(self) -> ViewerCard | None:
        if self.holder is None or not self.holder.cards:
            return None
        return ViewerCard(holder=self.holder)

    @strawberry.field(description="十项服务 · All ten in the guide's order.")
    def services(self) -> list[ServiceAvailability]:
        holder = self.holder
        return [
            ServiceAvailability(
                card_service=service,
                holder=holder,
                refusal=NotBound() if holder is None else ways_out.eligibility(service, holder),
            )
            for service in CardService
        ]


async def viewer_of(info: Info, caller: Caller, *, action: Action | None = None) -> Viewer:
    """Without `action` no access is recorded, because a mutation has its own audit record."""
    if caller.citizen_id is None:
        return Viewer(caller=caller, holder=None)
    holder = await read(info.context, _holder, caller.citizen_id, action=action)
    return Viewer(caller=caller, holder=holder)


async def _holder(preparation: Preparation, citizen_id: int) -> Holder:
    return await holders.find(
        preparation.db, preparation.dependencies.vault, preparation.now, citizen_id
    )


@strawberry.type
class ViewerQuery:
    @strawberry.field(
        metadata={ASKS: HOLDER}, description="当前用户 · Who is signed in; null without a session."
    )
    async def viewer(self, info: Info) -> Viewer | None:
        caller = info.context.caller
        if caller is None:
            return None
        return await viewer_of(info, caller, action=Action.VIEWER)
