"""The production progress of a card, used by a query, a subscription and two mutations."""

from datetime import date, datetime
from enum import StrEnum

import strawberry

from core.db import DatabaseUnavailable
from core.kernel.clock import CHINA, Instant, moment
from core.kernel.confirmation import CONFIRMATION_NAMES, Confirmation
from core.kernel.line_breaks import unbroken
from core.kernel.masking import mask_name, mask_number
from core.kernel.refusals import TryAgainLater
from core.kernel.texts import Text
from core.production import (
    CHANGE_NAMES,
    CLOSE_REASON_NAMES,
    NODE_NAMES,
    RESULT_NAMES,
    CloseReason,
    Closure,
    Correction,
    Estimate,
    NodeResult,
    NodeState,
    OrderChange,
    ProductionNode,
    Progress,
    ProgressCursor,
    changes_since,
    collect_by,
    failures,
)
from core.production import ProductionChange as Change
from core.reference import LABELS
from core.services.correct_application import pictures_for_correction
from core.services.production_progress import after_production
from core.storage import Picture, PictureKind
from gateway.resolvers.run import read
from gateway.schema.enums import publish
from gateway.schema.info import Info
from gateway.schema.next_step import NextStep
from gateway.schema.outlets import Outlet
from gateway.schema.types import bank_name
from gateway.schema.uploaded_pictures import (
    UploadedIdDocument,
    UploadedPicture,
    id_documents_of,
    portrait_of,
)

publish(ProductionNode, "制卡业务节点 · A production node, in order.", NODE_NAMES)
publish(NodeResult, "办理结果 · Result of a node.", RESULT_NAMES)
publish(
    OrderChange,
    "申请变更 · A change of an open application, which the card issuer must accept.",
    CHANGE_NAMES,
)
publish(
    CloseReason,
    "关闭原因 · Why an application ended without a card in use.",
    CLOSE_REASON_NAMES,
)


class CorrectionKind(StrEnum):
    PORTRAIT = "PORTRAIT"
    ID_DOCUMENTS = "ID_DOCUMENTS"
    FIELD = "FIELD"


publish(
    CorrectionKind,
    "更正项类别 · What kind of item is to be corrected.",
    {
        CorrectionKind.PORTRAIT: Text("照片", "The portrait: upload and confirm a new one"),
        CorrectionKind.ID_DOCUMENTS: Text(
            "身份证照片", "Both sides of the ID card: upload and confirm them anew"
        ),
        CorrectionKind.FIELD: Text("表单项", "A field of the form"),
    },
)
_KINDS = {
    Correction.PORTRAIT: CorrectionKind.PORTRAIT,
    Correction.ID_DOCUMENTS: CorrectionKind.ID_DOCUMENTS,
}


@strawberry.type(
    name="Correction", description="更正项 · One thing to be corrected, by `correctApplication`."
)
class CorrectionItem:
    kind: CorrectionKind = strawberry.field(description="更正项类别 · Picture or form field.")
    field: str = strawberry.field(
        description="表单项 · Its name in the form and, for a field, in `CorrectApplicationInput`."
    )
    label: str = strawberry.field(description="名称 · Its label.")


@strawberry.type(description="申请关闭情况 · Why and when the application was closed.")
class ApplicationClosure:
    closure: strawberry.Private[Closure]

    @strawberry.field(description="关闭原因 · Why.")
    def reason(self) -> CloseReason:
        return self.closure.reason

    @strawberry.field(description="关闭原因名称 · Display name.")
    def reason_name(self, info: Info) -> str:
        return CLOSE_REASON_NAMES[self.closure.reason].in_language(info.context.language)

    @strawberry.field(description="关闭时间 · When.")
    def at(self) -> datetime:
        return moment(self.closure.at)

    @strawberry.field(description="提示语 · A sentence with what the citizen can do now.")
    def message(self, info: Info) -> str:
        return failures.closed(self.closure).in_language(info.context.language)


@strawberry.type(description="业务节点 · One of the six production nodes.")
class ProductionNodeState:
    state: strawberry.Private[NodeState]
    closure: strawberry.Private[Closure | None]
    node: ProductionNode = strawberry.field(description="业务节点 · Which node.")

    @strawberry.field(description="业务节点名称 · The node in words.")
    def title(self, info: Info) -> str:
        return NODE_NAMES[self.node].in_language(info.context.language)

    result: NodeResult = strawberry.field(description="办理结果 · Result of the node.")

    @strawberry.field(description="办理结果名称 · The result in words.")
    def result_title(self, info: Info) -> str:
        return RESULT_NAMES[self.result].in_language(info.context.language)

    @strawberry.field(description="办理时间 · When the result was reported; null before.")
    def at(self) -> datetime | None:
        return None if self.state.at is None else moment(self.state.at)

    @strawberry.field(
        description="未通过原因 · A sentence: why the node failed or what to correct, and what happens next; else null."
    )
    def message(self, info: Info) -> str | None:
        return _message(info, self.state, self.closure)

    @strawberry.field(
        description="更正项 · What the citizen is to correct; empty unless `result` is NEEDS_CORRECTION, and "
        "once the application was closed."
    )
    def corrections(self, info: Info) -> list[CorrectionItem]:
        if self.closure is not None:
            return []
        return [
            CorrectionItem(
                kind=_KINDS.get(item, CorrectionKind.FIELD),
                field=item.value,
                label=LABELS[item.value].in_language(info.context.language),
            )
            for item in self.state.corrections
        ]


@strawberry.type(description="制卡进度变动 · One result that the card issuer reported.")
class ProductionChange:
    change: strawberry.Private[Change]

    @strawberry.field(description="续传位置 · Its place in the order of changes, as in `cursor`.")
    def cursor(self) -> str:
        return self.change.position.cursor

    @strawberry.field(description="业务节点 · Which node.")
    def node(self) -> ProductionNode:
        return self.change.node

    @strawberry.field(description="办理结果 · Result of the node then.")
    def result(self) -> NodeResult:
        return self.change.result

    @strawberry.field(description="办理时间 · When it was reported.")
    def at(self) -> datetime:
        return moment(self.change.at)

    @strawberry.field(
        description="未通过原因 · As in the node; null unless production stood there."
    )
    def message(self, info: Info) -> str | None:
        return _message(info, self.change)


@strawberry.type(
    description="预计可领卡时间 · Measured on completed orders that had waited as long at the "
    "same node; never a promise."
)
class ProductionEstimate:
    estimate: strawberry.Private[Estimate]

    @strawberry.field(description="半数可领时间 · By then half of those orders were ready.")
    def ready_around(self) -> datetime:
        return moment(self.estimate.around)

    @strawberry.field(description="九成可领时间 · By then nine in ten of those orders were ready.")
    def ready_by(self) -> datetime:
        return moment(self.estimate.by)

    @strawberry.field(description="依据单数 · Number of completed orders that it is based on.")
    def based_on(self) -> int:
        return self.estimate.based_on

    @strawberry.field(description="提示语 · The estimate as a sentence.")
    def message(self, info: Info) -> str:
        estimate = self.estimate
        around, by = _day(estimate.around), _day(estimate.by)
        sentence = Text(
            f"参考近期 {estimate.based_on} 张同一步骤的卡：半数在{around.zh}前可领，九成在{by.zh}前可领。",
            f"Of {estimate.based_on} recent cards at the same step, half were ready by {around.en} "
            f"and nine in ten by {by.en}.",
        )
        return unbroken(sentence.in_language(info.context.language))


@strawberry.type(description="制卡进度 · Production progress of the viewer's newest card.")
class ProductionProgress:
    progress: strawberry.Private[Progress]
    seen: strawberry.Private[ProgressCursor | None] = None

    @strawberry.field(description="申请编号 · Number of the application that it belongs to.")
    def application_number(self) -> str:
        return self.progress.order.application.number

    @strawberry.field(
        description="制卡申请确认情况 · BEING_CONFIRMED 正在确认 until the card issuer has accepted the "
        "order; REJECTED if it refused it: the application is then closed."
    )
    def confirmation(self) -> Confirmation:
        return self.progress.order.confirmation

    @strawberry.field(description="制卡申请确认情况名称 · Display name.")
    def confirmation_name(self, info: Info) -> str:
        known = self.progress.order.confirmation
        return CONFIRMATION_NAMES[known].in_language(info.context.language)

    @strawberry.field(
        description="正在确认的变更 · A change that the card issuer has not answered yet; else null."
    )
    def pending_change(self) -> OrderChange | None:
        return self.progress.order.pending_change

    @strawberry.field(
        description="可提交的变更 · What the citizen can do with the application now: `cancelApplication`, "
        "`changePickupOutlet`, `correctApplication`."
    )
    def possible_changes(self) -> list[OrderChange]:
        order = self.progress.order
        if order.pending_change is not None:
            return []
        return [change for change in OrderChange if order.may_be_changed(change)]

    @strawberry.field(description="申请关闭情况 · Null unless the application was closed.")
    def closed(self) -> ApplicationClosure | None:
        closure = self.progress.order.closure
        return None if closure is None else ApplicationClosure(closure=closure)

    @strawberry.field(description="社会保障号码 · Masked: first three and last four characters.")
    def social_security_number(self) -> str:
        return mask_number(self.progress.citizen.social_security_number.reveal())

    @strawberry.field(description="姓名 · Masked: first character.")
    def name(self) -> str:
        return mask_name(self.progress.citizen.name.reveal())

    @strawberry.field(description="制卡批次号 · Given by the card issuer; null before.")
    def batch_number(self) -> str | None:
        return self.progress.order.batch_number

    @strawberry.field(description="卡号 · Number of the new card; null before it has one.")
    def card_number(self) -> str | None:
        number = self.progress.order.card_number
        return None if number is None else number.reveal()

    @strawberry.field(description="发卡银行 · Name of the issuing bank.")
    def bank(self, info: Info) -> str:
        return bank_name(info, self.progress.order.bank_code)

    @strawberry.field(
        description="领卡网点 · Where the card is collected; null if the outlet is no longer listed."
    )
    def outlet(self, info: Info) -> Outlet | None:
        outlet = info.context.dependencies.reference.outlet(self.progress.order.outlet_code)
        return None if outlet is None else Outlet.from_core(outlet)

    @strawberry.field(
        description="领取截止日期 · The last day on which the outlet has the card, also once it was collected; "
        "null before it is ready, and where the operator has set no limit."
    )
    def collect_by(self, info: Info) -> date | None:
        ready_at = self.progress.order.ready_at
        if ready_at is None:
            return None
        return collect_by(ready_at, info.context.dependencies.settings.collect_within_days)

    @strawberry.field(
        description="下一步 · What the citizen can do now; null while there is only to wait, and once the card is in use."
    )
    async def next_step(self, info: Info) -> NextStep | None:
        step = await read(info.context, after_production, self.progress.order, action=None)
        return NextStep.from_core(step, info.context.language)

    @strawberry.field(
        description="更正用照片 · The portrait uploaded since the card issuer asked for another; else null."
    )
    async def portrait(self, info: Info) -> UploadedPicture | None:
        return portrait_of(info.context, await self._pictures(info))

    @strawberry.field(
        description="更正用证件照 · The sides of the ID card uploaded since the card issuer asked for them; else empty."
    )
    async def id_documents(self, info: Info) -> list[UploadedIdDocument]:
        return id_documents_of(info.context, await self._pictures(info))

    async def _pictures(self, info: Info) -> dict[PictureKind, Picture]:
        return await read(info.context, pictures_for_correction, self.progress.order, action=None)

    @strawberry.field(description="业务节点 · The six nodes in order.")
    def nodes(self) -> list[ProductionNodeState]:
        return [
            ProductionNodeState(
                state=state,
                closure=self.progress.order.closure,
                node=state.node,
                result=state.result,
            )
            for state in self.progress.order.nodes
        ]

    @strawberry.field(
        description="预计可领卡时间 · Null when the card is ready, while production stands or has ended, and "
        "while too few orders have been completed."
    )
    async def estimate(self, info: Info) -> ProductionEstimate | None:
        try:
            estimate = await info.context.application.history.estimate(self.progress.order)
        except DatabaseUnavailable as error:
            raise TryAgainLater(retry_after=5) from error
        return None if estimate is None else ProductionEstimate(estimate=estimate)

    @strawberry.field(
        description="续传位置 · Opaque cursor of this state. Pass it as `after` to resume a subscription "
        "after a lost connection."
    )
    def cursor(self) -> str:
        return self.progress.order.position.cursor

    @strawberry.field(
        description="变动记录 · What the card issuer reported, oldest first: in a subscription "
        "since the message before (the first one: since `after`), elsewhere from the beginning."
    )
    async def changes(self, info: Info) -> list[ProductionChange]:
        database = info.context.application.database
        try:
            changes = await changes_since(database, self.progress.order, self.seen)
        except DatabaseUnavailable as error:
            raise TryAgainLater(retry_after=5) from error
        return [ProductionChange(change=change) for change in changes]


def _message(info: Info, state: NodeState | Change, closure: Closure | None = None) -> str | None:
    sentence = failures.sentence(state.node, state.result, state.reason, state.corrections, closure)
    return None if sentence is None else unbroken(sentence.in_language(info.context.language))


def _day(at: Instant) -> Text:
    day = moment(at).astimezone(CHINA)
    return Text(f"{day.month}月{day.day}日", f"{day:%Y-%m-%d}")
