"""领卡网点 outlets."""

from typing import Annotated

import strawberry

from core import reference
from gateway.resolvers.caching import public
from gateway.schema.info import Info
from gateway.schema.types import Option

_SECONDS = 3_600


@strawberry.type(description="领卡网点 · A bank branch where cards are collected.")
class Outlet:
    code: str = strawberry.field(description="网点代码 · For `outletCode`.")
    name: str = strawberry.field(description="网点名称 · Name.")
    address: str = strawberry.field(description="地址 · Address.")
    district_code: str = strawberry.field(description="所在区县 · As in `districts`.")
    bank_codes: list[str] = strawberry.field(
        description="办理银行 · Banks whose cards it hands out."
    )
    phone: str | None = strawberry.field(
        description="电话 · Phone; null if the operator gave none."
    )
    opening_hours: str | None = strawberry.field(
        description="营业时间 · In words, as the operator wrote them; null if not given."
    )
    longitude: float | None = strawberry.field(
        description="经度 · Degrees, GCJ-02 as maps in China use it; null if not given."
    )
    latitude: float | None = strawberry.field(description="纬度 · As `longitude`.")
    instant_issue: bool = strawberry.field(
        description="即时制卡 · Whether it makes cards at once; false if not given."
    )

    @classmethod
    def from_core(cls, outlet: reference.Outlet) -> "Outlet":
        return cls(
            code=outlet.code,
            name=outlet.name,
            address=outlet.address,
            district_code=outlet.district_code,
            bank_codes=list(outlet.bank_codes),
            phone=outlet.phone or None,
            opening_hours=outlet.opening_hours or None,
            longitude=outlet.longitude,
            latitude=outlet.latitude,
            instant_issue=outlet.instant_issue,
        )


@strawberry.type
class OutletsQuery:
    @strawberry.field(
        metadata=public(_SECONDS),
        description="领卡网点 · Outlets of a district, of one bank if given. No session needed. "
        "The built-in outlets are samples; the operator replaces them.",
    )
    def outlets(
        self,
        info: Info,
        district_code: Annotated[
            str, strawberry.argument(description="区县代码 · As in `districts`, like 510104.")
        ],
        bank_code: Annotated[
            str | None,
            strawberry.argument(description="银行代码 · Only outlets that serve this bank."),
        ] = None,
    ) -> list[Outlet]:
        found = info.context.dependencies.reference.outlets_in(district_code, bank_code)
        return [Outlet.from_core(outlet) for outlet in found]

    @strawberry.field(
        metadata=public(_SECONDS),
        description="领卡区县 · Districts, for `districtCode`: those of GB/T 2260, then the zones that the "
        "operator lists, like 高新区. No session needed.",
    )
    def districts(self, info: Info) -> list[Option]:
        return [
            Option.from_core(option)
            for option in info.context.dependencies.reference.districts.options
        ]

    @strawberry.field(
        metadata=public(_SECONDS),
        description="开户银行 · Banks that issue the card, for `bankCode`. No session needed. The built-in "
        "codes are samples; the operator replaces them.",
    )
    def banks(self, info: Info) -> list[Option]:
        return [
            Option.from_core(option) for option in info.context.dependencies.reference.banks.options
        ]
