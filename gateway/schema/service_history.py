"""办理记录 serviceHistory: a Relay connection over the citizen's own audit and access records."""

import operator
import re
from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import NEWEST, Action, Entry, Place
from core.kernel.callers import ChannelId
from core.kernel.clock import moment
from core.services.rate_service import can_be_rated
from core.services.service_history import HistoryPage, ServiceHistory, service_history
from gateway.resolvers.run import read
from gateway.schema.enums import publish
from gateway.schema.history_words import words_of
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_SESSION
from gateway.schema.pages import DEFAULT_FIRST, PageInfo, cursor_of, place_of, wrong_cursor

publish(
    Action,
    "办理事项 · What was done or viewed.",
    {action: action.text for action in Action},
    name="ServiceAction",
)

_CURSOR = re.compile(r"entry(?::[0-9]{1,19}){6}", re.ASCII)
_CHANNELS = {channel.value for channel in ChannelId}


@strawberry.type(description="办理记录 · An operation on, or an access to, the citizen's own data.")
class ServiceHistoryEntry:
    entry: strawberry.Private[Entry]

    @strawberry.field(description="记录编号 · For `rateService`; null for what was only viewed.")
    def id(self) -> strawberry.ID | None:
        entry = self.entry
        return None if entry.action.is_access else strawberry.ID(str(entry.place.number))

    @strawberry.field(description="可否评价 · Whether it is a service that can still be rated.")
    def can_rate(self) -> bool:
        return can_be_rated(self.entry)

    @strawberry.field(description="评价等级 · The score given, 1 to 5; null if there is none.")
    def score(self) -> int | None:
        return self.entry.score

    @strawberry.field(description="时间 · When.")
    def at(self) -> datetime:
        return moment(self.entry.at)

    @strawberry.field(
        description="渠道 · Through which app; null where the card issuer, the operator or a "
        "picture's link did it."
    )
    def channel(self) -> ChannelId | None:
        return ChannelId(self.entry.channel) if self.entry.channel in _CHANNELS else None

    @strawberry.field(description="事项 · What.")
    def action(self) -> Action:
        return self.entry.action

    @strawberry.field(description="事项名称 · What, in words.")
    def title(self, info: Info) -> str:
        return self.entry.action.text.in_language(info.context.language)

    @strawberry.field(description="是否仅查询 · Whether it only read data.")
    def viewed_only(self) -> bool:
        return self.entry.action.is_access

    @strawberry.field(
        description="结果代码 · `DONE`, the code of a refusal, or what the card issuer reported."
    )
    def result(self) -> str:
        return self.entry.result

    @strawberry.field(description="结果 · The result in words.")
    def result_text(self, info: Info) -> str:
        return words_of(self.entry).in_language(info.context.language)


@strawberry.type(description="办理记录及其游标 · An entry with its cursor (Relay).")
class ServiceHistoryEdge:
    node: ServiceHistoryEntry = strawberry.field(description="办理记录 · The entry.")
    cursor: str = strawberry.field(description="游标 · For `after`.")


@strawberry.type(description="办理记录列表 · A page of the history, newest first (Relay).")
class ServiceHistoryConnection:
    edges: list[ServiceHistoryEdge] = strawberry.field(description="记录 · The entries.")
    page_info: PageInfo = strawberry.field(description="分页信息 · Whether there is more.")

    @classmethod
    def of(cls, page: HistoryPage, *, is_first: bool) -> "ServiceHistoryConnection":
        edges = [
            ServiceHistoryEdge(node=ServiceHistoryEntry(entry=entry), cursor=_cursor(entry))
            for entry in page.entries
        ]
        return cls(
            edges=edges,
            page_info=PageInfo.of(
                [edge.cursor for edge in edges], has_more=page.has_more, is_first=is_first
            ),
        )


@strawberry.type
class ServiceHistoryQuery:
    @strawberry.field(
        directives=[NEEDS_SESSION],
        description="办理记录 · The viewer's own history, newest first: when, through which "
        "channel, what, and with which result. What was only viewed appears within a second.",
    )
    async def service_history(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description="条数 · How many at most, 1 to 100.")
        ] = DEFAULT_FIRST,
        after: Annotated[
            str | None,
            strawberry.argument(description="游标 · The entries after this cursor, older ones."),
        ] = None,
    ) -> ServiceHistoryConnection:
        info.context.require_session()
        command = ServiceHistory(first, NEWEST if after is None else _place(after))
        page = await read(info.context, service_history, command, action=Action.SERVICE_HISTORY)
        return ServiceHistoryConnection.of(page, is_first=after is None)


def _cursor(entry: Entry) -> str:
    return cursor_of("entry:" + ":".join(map(str, entry.place)))


def _place(cursor: str) -> Place:
    found = _CURSOR.fullmatch(place_of(cursor))
    numbers = [int(number) for number in found[0].split(":")[1:]] if found else []
    if not numbers or any(map(operator.gt, numbers, NEWEST)):
        raise wrong_cursor()
    return Place(*numbers)
