"""通知设置: which notices a citizen gets by SMS and in the channel's app.

Without a row every notice is sent, a new device's in the app only. Safety notices always go out by
SMS: they may be the only sign of an account takeover, and an intruder in a channel must not be able
to switch them off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Self

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, bindparam, select

from core.db import Query, Reader, Writes, metadata
from core.kernel.clock import Instant
from core.kernel.texts import Text

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


class Concern(Enum):
    """How far a notice goes.

    SAFETY: by SMS whatever was chosen, and into every bound channel. DEVICE: into every bound
    channel, by SMS only if that is chosen. COURSE: as chosen, into the channel in use.
    """

    SAFETY = auto()
    DEVICE = auto()
    COURSE = auto()


class Notice(StrEnum):
    """What a notice is about: its value, its name, and its text without the advice that follows.

    The text holds no number, no name and no address.
    """

    heading: Text
    text: Text
    concern: Concern

    def __new__(
        cls, value: str, heading: Text, text: Text, concern: Concern = Concern.COURSE
    ) -> Self:
        notice = str.__new__(cls, value)
        notice._value_ = value
        notice.heading = heading
        notice.text = text
        notice.concern = concern
        return notice

    LOSS_REPORTED = (
        "LOSS_REPORTED",
        Text("挂失成功", "Loss reported"),
        Text(
            "您的社会保障卡已正式挂失。如已找回请办理解挂，未找回请补卡。",
            "Your social security card is reported lost. Cancel the loss if you have found it, or "
            "request a reissue.",
        ),
        Concern.SAFETY,
    )
    LOSS_CANCELLED = (
        "LOSS_CANCELLED",
        Text("解挂成功", "Loss cancelled"),
        Text(
            "您的社会保障卡已解挂，恢复挂失前的状态。",
            "The loss of your social security card is cancelled; it is in the state before the loss.",
        ),
        Concern.SAFETY,
    )
    LOSS_LAPSED = (
        "LOSS_LAPSED",
        Text("临时挂失到期", "Temporary loss expired"),
        Text(
            "您的社会保障卡临时挂失已满七天，卡片恢复挂失前的状态。如卡仍未找到，请办理正式挂失。",
            "The temporary loss of your social security card ended after seven days; it is in the "
            "state before the loss. If it is still missing, report the loss formally.",
        ),
        Concern.SAFETY,
    )
    TEMPORARILY_LOST = (
        "TEMPORARILY_LOST",
        Text("电话临时挂失", "Temporarily lost by phone"),
        Text(
            "您的社会保障卡已通过电话临时挂失，七天内有效。如卡确已遗失，请办理正式挂失；已找回的请解挂。",
            "Your social security card was reported temporarily lost by phone, for seven days. Report "
            "the loss formally if it is lost, or cancel it if you have found the card.",
        ),
        Concern.SAFETY,
    )
    CARD_LOCKED = (
        "CARD_LOCKED",
        Text("卡应用锁定", "Card locked"),
        Text(
            "您的社会保障卡应用已锁定，暂不能使用。请持身份证到服务网点解锁。",
            "Your social security card is locked and cannot be used. Visit an outlet with your ID card "
            "to unlock it.",
        ),
        Concern.SAFETY,
    )
    CARD_UNLOCKED = (
        "CARD_UNLOCKED",
        Text("卡应用解锁", "Card unlocked"),
        Text(
            "您的社会保障卡应用锁定已解除。",
            "The lock of your social security card is removed.",
        ),
        Concern.SAFETY,
    )
    CARD_CANCELLED = (
        "CARD_CANCELLED",
        Text("卡已注销", "Card cancelled"),
        Text(
            "您的社会保障卡已注销，不能再使用。",
            "Your social security card is cancelled and can no longer be used.",
        ),
        Concern.SAFETY,
    )
    CARD_ACTIVATED = (
        "CARD_ACTIVATED",
        Text("激活成功", "Card activated"),
        Text(
            "您的社会保障卡人社功能已激活。金融功能请到开户银行激活。",
            "Your social security card is activated for social security. Visit the bank to activate "
            "its financial functions.",
        ),
        Concern.SAFETY,
    )
    PASSWORD_CHANGED = (
        "PASSWORD_CHANGED",
        Text("服务密码已修改", "Service password changed"),
        Text(
            "您的社会保障卡服务密码已修改。",
            "The service password of your social security card was changed.",
        ),
        Concern.SAFETY,
    )
    PHONE_CHANGED = (
        "PHONE_CHANGED",
        Text("手机号码已变更", "Phone changed"),
        Text(
            "您的社会保障卡绑定手机号码已变更为其他号码。",
            "The phone number of your social security card was changed to another one.",
        ),
        Concern.SAFETY,
    )
    NEW_BINDING = (
        "NEW_BINDING",
        Text("新账号绑定", "New binding"),
        Text(
            "您的社会保障卡已绑定新的渠道账号；同一渠道如有原绑定，已同时解除。",
            "Your social security card was bound to another account of an app; an earlier binding in "
            "the same app has ended.",
        ),
        Concern.SAFETY,
    )
    BINDING_ENDED = (
        "BINDING_ENDED",
        Text("绑定已解除", "Binding ended"),
        Text(
            "您的社会保障卡与原账号的绑定已解除。",
            "The binding of your social security card to its earlier account has ended.",
        ),
        Concern.SAFETY,
    )
    FIRST_SIGN_IN = (
        "FIRST_SIGN_IN",
        Text("首次登录", "First sign-in"),
        Text(
            "您的社会保障卡服务首次通过一个渠道登录。",
            "Your social security card service was signed in to through an app for the first time.",
        ),
        Concern.SAFETY,
    )
    NEW_DEVICE = (
        "NEW_DEVICE",
        Text("新设备登录", "Sign-in on a new device"),
        Text(
            "您的社会保障卡服务在一台新设备上登录。",
            "Your social security card service was signed in to on a new device.",
        ),
        Concern.DEVICE,
    )
    TRANSFERRED_IN = (
        "TRANSFERRED_IN",
        Text("归属地已转入", "Card transferred in"),
        Text(
            "您的社会保障卡归属地已转入成都。参保关系转入请到社保局办理。",
            "Your social security card now belongs to Chengdu. Visit the social insurance office to "
            "transfer your enrolments.",
        ),
    )
    TRANSFER_REFUSED = (
        "TRANSFER_REFUSED",
        Text("归属地转入未获受理", "Transfer not accepted"),
        Text(
            "您的社会保障卡归属地转入未获受理，卡片仍归属原城市。请核对后重新办理。",
            "The transfer of your social security card was not accepted; it still belongs to its city. "
            "Please check it and try again.",
        ),
    )
    ORDER_REFUSED = (
        "ORDER_REFUSED",
        Text("制卡申请未获受理", "Order not accepted"),
        Text(
            "您的制卡申请未获制卡中心受理，申请已关闭。请重新办理，或到服务网点咨询。",
            "The card issuer did not accept your application, which is closed. Please apply again, or "
            "ask at an outlet.",
        ),
    )
    APPLICATION_ACCEPTED = (
        "APPLICATION_ACCEPTED",
        Text("申请已受理", "Application accepted"),
        Text(
            "您的社会保障卡申请已受理，可在「制卡进度查询」中查看进度。",
            "Your application for a social security card is accepted; its progress is shown under "
            "“Production progress”.",
        ),
    )
    NODE_FAILED = (
        "NODE_FAILED",
        Text("制卡环节未通过", "A step of production failed"),
        Text(
            "您的社会保障卡制卡有一个环节未通过，请在「制卡进度查询」中查看原因和办法。",
            "A step of your card's production did not pass; “Production progress” says why, and what "
            "to do.",
        ),
    )
    CARD_READY = (
        "CARD_READY",
        Text("可领卡", "Card ready"),
        Text(
            "您的社会保障卡已制好，请携带身份证到所选网点领取，领取后在线激活。",
            "Your social security card is made. Collect it at the outlet with your ID card, then "
            "activate it online.",
        ),
    )
    CARD_WAITING = (
        "CARD_WAITING",
        Text("待领卡提醒", "Card waits for collection"),
        Text(
            "您的社会保障卡已制好，尚未激活。未领取的请携带身份证到网点领取，已领取的请在线激活。",
            "Your social security card is made, but not activated. Collect it at the outlet with your "
            "ID card if you have not, then activate it online.",
        ),
    )
    CORRECTION_NEEDED = (
        "CORRECTION_NEEDED",
        Text("申请待更正", "Correction needed"),
        Text(
            "您的社会保障卡申请需要更正资料，更正后原申请继续办理。请在「制卡进度查询」中查看并更正。",
            "Something in your application for a social security card needs correcting; then it goes on. "
            "“Production progress” says what.",
        ),
    )
    CHANGE_REFUSED = (
        "CHANGE_REFUSED",
        Text("申请变更未获受理", "Change not accepted"),
        Text(
            "您对社会保障卡申请提交的变更未获制卡中心受理，原申请不变。请在「制卡进度查询」中查看。",
            "The card issuer did not accept the change of your application, which stays as it was. See "
            "“Production progress”.",
        ),
    )
    OUTLET_CHANGED = (
        "OUTLET_CHANGED",
        Text("领卡网点已更改", "Pickup outlet changed"),
        Text(
            "您的社会保障卡领卡网点已更改。",
            "The pickup outlet of your social security card was changed.",
        ),
    )
    APPLICATION_CLOSED = (
        "APPLICATION_CLOSED",
        Text("申请已关闭", "Application closed"),
        Text(
            "您的社会保障卡申请已关闭。没有卡的可申办，原卡已挂失的可解挂或补卡。",
            "Your application for a social security card is closed. Without a card you can "
            "apply; if a card was reported lost, you can cancel the loss or request a reissue.",
        ),
        Concern.SAFETY,
    )
    SERVICES_ENDED = (
        "SERVICES_ENDED",
        Text("在线服务已停止", "Online services ended"),
        Text(
            "您的社会保障卡登记状态已变更，在线服务已停止。如有疑问，请本人持身份证到社保经办窗口核对。",
            "Your registration has changed, and the online services have ended. If this is wrong, visit "
            "a social security office with your ID card.",
        ),
        Concern.SAFETY,
    )

    @property
    def is_security(self) -> bool:
        return self.concern is Concern.SAFETY

    @property
    def default(self) -> "Choice":
        return _IN_APPS if self.concern is Concern.DEVICE else _BOTH


NOTICES: dict[str, Notice] = {notice.value: notice for notice in Notice}
"""By the value in a row."""


@dataclass(frozen=True, slots=True)
class Choice:
    sms: bool = True
    channel: bool = True


_BOTH, _IN_APPS = Choice(), Choice(sms=False)

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
    return {notice: chosen.get(notice.value, notice.default) for notice in Notice}


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
