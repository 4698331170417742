"""核验回执 verifyReceipt: for anybody who holds a paper receipt."""

from datetime import date
from typing import Annotated

import strawberry

from core.services.verify_receipt import ReceiptCheck, VerifyReceipt, verify_receipt
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info


@strawberry.type(
    name="ReceiptCheck", description="回执核验结果 · Whether a receipt is one of ours."
)
class ReceiptCheckPayload:
    check: strawberry.Private[ReceiptCheck]

    @strawberry.field(
        description="是否有效 · Whether an application with this number was accepted, and the code is "
        "that of its receipt."
    )
    def valid(self) -> bool:
        return self.check.accepted_on is not None

    @strawberry.field(description="受理日期 · The day in China; null if it is not valid.")
    def accepted_on(self) -> date | None:
        return self.check.accepted_on


VerifyReceiptResult = Annotated[
    ReceiptCheckPayload | RefusalPayload,
    strawberry.union("VerifyReceiptResult", description="核验回执结果 · Checked or refusal."),
]


@strawberry.type
class VerifyReceiptQuery:
    @strawberry.field(
        description="核验回执 · Whether a paper receipt is genuine. No session needed; nothing else of the "
        "application is told. At most 20 an hour for a receipt and 600 for a network.",
    )
    async def verify_receipt(
        self,
        info: Info,
        number: Annotated[
            str,
            strawberry.argument(description="申请编号 · As printed, like SBK202612011234567890."),
        ],
        code: Annotated[
            str, strawberry.argument(description="核验码 · As printed, like ABCDE-FGHJK.")
        ],
    ) -> VerifyReceiptResult:
        command = VerifyReceipt(number, code, info.context.address)
        check = await run(info.context, verify_receipt, command, action=None)
        return ReceiptCheckPayload(check=check)
