"""通知设置: which notices a citizen gets by SMS and in the channel's app.

Without a row every notice is sent. Security notices always go out by SMS: they may be the only
sign of an account takeover, and an intruder in a channel must not be able to switch them off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, bindparam, select

from core.db import Query, Reader, Writes, metadata
from core.kernel.clock import Instant
from core.kernel.refusals import Text

notification_settings_table = Table(
    "notification_settings",
    metadata,
    Column(
        "subject_id",
        BigInteger,
        ForeignKey("citizens.subject_id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("notice", String(32), primary_key=True),
    Column("sms", Boolean, nullable=False),
    Column("channel", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


class Notice(StrEnum):
    LOSS_REPORTED = "LOSS_REPORTED"
    LOSS_CANCELLED = "LOSS_CANCELLED"
    LOSS_LAPSED = "LOSS_LAPSED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - the name of a notice
    PHONE_CHANGED = "PHONE_CHANGED"
    NEW_BINDING = "NEW_BINDING"
    BINDING_ENDED = "BINDING_ENDED"
    TRANSFERRED_IN = "TRANSFERRED_IN"
    TRANSFER_REFUSED = "TRANSFER_REFUSED"
    ORDER_REFUSED = "ORDER_REFUSED"
    APPLICATION_ACCEPTED = "APPLICATION_ACCEPTED"
    CARD_READY = "CARD_READY"
    CORRECTION_NEEDED = "CORRECTION_NEEDED"
    CHANGE_REFUSED = "CHANGE_REFUSED"
    OUTLET_CHANGED = "OUTLET_CHANGED"
    APPLICATION_CLOSED = "APPLICATION_CLOSED"
    SERVICES_ENDED = "SERVICES_ENDED"

    @property
    def is_security(self) -> bool:
        return self in _SECURITY


_SECURITY = frozenset(
    {
        Notice.LOSS_REPORTED,
        Notice.LOSS_CANCELLED,
        Notice.LOSS_LAPSED,
        Notice.PASSWORD_CHANGED,
        Notice.PHONE_CHANGED,
        Notice.NEW_BINDING,
        Notice.BINDING_ENDED,
        Notice.APPLICATION_CLOSED,
        Notice.SERVICES_ENDED,
    }
)

NOTICE_NAMES = {
    Notice.LOSS_REPORTED: Text("挂失成功", "Loss reported"),
    Notice.LOSS_CANCELLED: Text("解挂成功", "Loss cancelled"),
    Notice.LOSS_LAPSED: Text("临时挂失到期", "Temporary loss expired"),
    Notice.PASSWORD_CHANGED: Text("服务密码已修改", "Service password changed"),
    Notice.PHONE_CHANGED: Text("手机号码已变更", "Phone changed"),
    Notice.NEW_BINDING: Text("新账号绑定", "New binding"),
    Notice.BINDING_ENDED: Text("绑定已解除", "Binding ended"),
    Notice.TRANSFERRED_IN: Text("归属地已转入", "Card transferred in"),
    Notice.TRANSFER_REFUSED: Text("归属地转入未获受理", "Transfer not accepted"),
    Notice.ORDER_REFUSED: Text("制卡申请未获受理", "Order not accepted"),
    Notice.APPLICATION_ACCEPTED: Text("申请已受理", "Application accepted"),
    Notice.CARD_READY: Text("可领卡", "Card ready"),
    Notice.CORRECTION_NEEDED: Text("申请待更正", "Correction needed"),
    Notice.CHANGE_REFUSED: Text("申请变更未获受理", "Change not accepted"),
    Notice.OUTLET_CHANGED: Text("领卡网点已更改", "Pickup outlet changed"),
    Notice.APPLICATION_CLOSED: Text("申请已关闭", "Application closed"),
    Notice.SERVICES_ENDED: Text("在线服务已停止", "Online services ended"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    sms: bool = True
    channel: bool = True


_DEFAULT = Choice()

_OF_SUBJECT = Query(
    select(
        notification_settings_table.c.notice,
        notification_settings_table.c.sms,
        notification_settings_table.c.channel,
    ).where(notification_settings_table.c.subject_id == bindparam("subject_id"))
)
_SAVE = Query(
    lambda insert: (
        insert(notification_settings_table)
        .values(
            subject_id=bindparam("subject_id"),
            notice=bindparam("of_notice"),
            sms=bindparam("by_sms"),
            channel=bindparam("by_channel"),
            changed_at=bindparam("at"),
        )
        .on_conflict_do_update(
            index_elements=["subject_id", "notice"],
            set_={
                "sms": bindparam("by_sms"),
                "channel": bindparam("by_channel"),
                "changed_at": bindparam("at"),
            },
        )
    )
)


async def choices_of(db: Reader, citizen_id: int) -> dict[Notice, Choice]:
    """One choice per notice, in the order of the enum."""
    rows = await db.fetch(_OF_SUBJECT, subject_id=citizen_id)
    chosen = {row["notice"]: Choice(bool(row["sms"]), bool(row["channel"])) for row in rows}
    return {notice: chosen.get(notice.value, _DEFAULT) for notice in Notice}


def save(writes: Writes, citizen_id: int, choices: Mapping[Notice, Choice], now: Instant) -> None:
    for notice, choice in choices.items():
        writes.add(
            _SAVE,
            subject_id=citizen_id,
            of_notice=notice.value,
            by_sms=choice.sms,
            by_channel=choice.channel,
            at=now,
        )
