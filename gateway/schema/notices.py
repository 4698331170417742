"""通知 notices: a Relay connection over the viewer's inbox, and markNoticesRead."""

import re
from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.citizens import Notice
from core.kernel.clock import moment
from core.kernel.ids import id_from
from core.kernel.line_breaks import unbroken
from core.messaging import SentNotice, notices
from core.services.own_notices import (
    MarkNoticesRead,
    NoticePage,
    OwnNotices,
    mark_notices_read,
    own_notices,
    unread_notices,
)
from gateway.resolvers.run import read, run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON, NEEDS_SESSION
from gateway.schema.pages import DEFAULT_FIRST, PageInfo, cursor_of, place_of, wrong_cursor

_CURSOR = re.compile(r"notice:([0-9]{1,19})", re.ASCII)


@strawberry.type(
    name="SentNotice",
    description="通知 · What the viewer was told after something of theirs had changed.",
)
class SentNoticeEntry:
    sent: strawberry.Private[SentNotice]

    @strawberry.field(description="通知编号 · For `markNoticesRead`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.sent.id))

    @strawberry.field(description="通知事项 · What it is about.")
    def notice(self) -> Notice:
        return self.sent.notice

    @strawberry.field(description="标题 · What it is about, in words.")
    def title(self, info: Info) -> str:
        return self.sent.notice.heading.in_language(info.context.language)

    @strawberry.field(
        description="内容 · The text, as the SMS has it. No personal number is in it."
    )
    def text(self, info: Info) -> str:
        text = notices.text_of(self.sent.notice, self.sent.details)
        return unbroken(text.in_language(info.context.language))

    @strawberry.field(
        description="涉及安全 · Whether it concerns the security of card and account; its SMS cannot be "
        "switched off."
    )
    def concerns_safety(self) -> bool:
        return self.sent.notice.is_security

    @strawberry.field(description="时间 · When it was sent.")
    def at(self) -> datetime:
        return moment(self.sent.at)

    @strawberry.field(description="阅读时间 · When it was marked as read; null if it is unread.")
    def read_at(self) -> datetime | None:
        return None if self.sent.read_at is None else moment(self.sent.read_at)


@strawberry.type(description="通知及其游标 · A notice with its cursor (Relay).")
class NoticeEdge:
    node: SentNoticeEntry = strawberry.field(description="通知 · The notice.")
    cursor: str = strawberry.field(description="游标 · For `after`.")


@strawberry.type(description="通知列表 · A page of the inbox, newest first (Relay).")
class NoticeConnection:
    edges: list[NoticeEdge] = strawberry.field(description="通知 · The notices.")
    page_info: PageInfo = strawberry.field(description="分页信息 · Whether there is more.")

    @strawberry.field(description="未读条数 · Of the whole inbox, not of the page.")
    async def unread_count(self, info: Info) -> int:
        return await read(info.context, unread_notices, None, action=None)

    @classmethod
    def of(cls, page: NoticePage, *, is_first: bool) -> "NoticeConnection":
        edges = [
            NoticeEdge(node=SentNoticeEntry(sent=sent), cursor=cursor_of(f"notice:{sent.id}"))
            for sent in page.notices
        ]
        cursors = [edge.cursor for edge in edges]
        return cls(
            edges=edges,
            page_info=PageInfo.of(cursors, has_more=page.has_more, is_first=is_first),
        )


@strawberry.input(description="标记已读 · Which notices have been read.")
class MarkNoticesReadInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description="通知编号 · At most 100 ids of `notices`; null or omitted: all that have been sent.",
    )


@strawberry.type(description="已标记为已读 · The read marks are set.")
class NoticesRead:
    at: datetime = strawberry.field(description="时间 · When.")


MarkNoticesReadResult = Annotated[
    NoticesRead | RefusalPayload,
    strawberry.union("MarkNoticesReadResult", description="标记已读结果 · Marked or refusal."),
]


@strawberry.type
class NoticesQuery:
    @strawberry.field(
        directives=[NEEDS_SESSION],
        description="通知 · All notices that the viewer was sent, newest first, for `retention_days` "
        "(180 unless the operator says otherwise). Empty before the viewer is bound.",
    )
    async def notices(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description="条数 · How many at most, 1 to 100.")
        ] = DEFAULT_FIRST,
        after: Annotated[
            str | None,
            strawberry.argument(description="游标 · The notices after this cursor, older ones."),
        ] = None,
    ) -> NoticeConnection:
        info.context.require_session()
        command = OwnNotices(first) if after is None else OwnNotices(first, _id_in(after))
        page = await read(info.context, own_notices, command, action=Action.NOTICES)
        return NoticeConnection.of(page, is_first=after is None)


@strawberry.type
class MarkNoticesReadMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="标记通知为已读 · Sets the read mark of some notices, or of all. What is read already, "
        "or not the viewer's, stays as it is.",
    )
    async def mark_notices_read(
        self, info: Info, input: Annotated[MarkNoticesReadInput, FORM]
    ) -> MarkNoticesReadResult:
        info.context.require_citizen()
        command = MarkNoticesRead(None if input.ids is None else [id_from(id) for id in input.ids])
        at = await run(info.context, mark_notices_read, command, action=Action.MARK_NOTICES_READ)
        return NoticesRead(at=moment(at))


def _id_in(cursor: str) -> int:
    found = _CURSOR.fullmatch(place_of(cursor))
    notice_id = id_from(found[1]) if found else 0
    if not notice_id:
        raise wrong_cursor()
    return notice_id
