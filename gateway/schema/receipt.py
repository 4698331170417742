"""受理回执 receipt: of the newest application."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.applications import Application
from core.audit import Action
from core.kernel.clock import moment
from core.production import check_code
from core.services.receipt import receipt
from gateway.resolvers.run import read
from gateway.resolvers.signed_links import receipt_link
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.type(description="受理回执 · Receipt of an application for a card.")
class Receipt:
    application: strawberry.Private[Application]

    @strawberry.field(description="申请编号 · Number of the application.")
    def number(self) -> str:
        return self.application.number

    @strawberry.field(description="核验码 · For `verifyReceipt`; printed beside the number.")
    def check_code(self, info: Info) -> str:
        return check_code(info.context.dependencies.seals, self.application.number)

    @strawberry.field(description="受理时间 · When the application was accepted.")
    def applied_at(self) -> datetime:
        return moment(self.application.created_at)

    @strawberry.field(
        description="回执文件地址 · A link to the receipt as PDF, valid ten minutes. "
        "Name and numbers on it are masked; its QR code leads to where anybody can verify it."
    )
    def pdf_url(self, info: Info) -> str:
        return receipt_link(info.context, self.application.id)


ReceiptResult = Annotated[
    Receipt | RefusalPayload,
    strawberry.union("ReceiptResult", description="受理回执结果 · The receipt or a refusal."),
]


@strawberry.type
class ReceiptQuery:
    @strawberry.field(
        directives=[NEEDS_PERSON],
        description="受理回执 · Receipt of the viewer's newest application.",
    )
    async def receipt(self, info: Info) -> ReceiptResult:
        info.context.require_citizen()
        return Receipt(application=await read(info.context, receipt, None, action=Action.RECEIPT))
