"""Notices to a citizen after a change, by SMS and as channel messages, as the citizen chose.

They contain no personal number. A safety notice goes to every channel in which the citizen is bound,
because the one in use may be in somebody else's hands; any other notice to the channel in use.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    LargeBinary,
    String,
    bindparam,
    cast,
    null,
    select,
)

from core.citizens import (
    NOTICE_NAMES,
    Choice,
    Citizen,
    Notice,
    bindings_table,
    notification_settings_table,
    sessions,
)
from core.crypto import open_account
from core.db import Query, Row, json_arrays
from core.kernel.callers import ChannelId
from core.kernel.clock import CHINA, Instant, moment
from core.messaging import outbox
from core.messaging.outbox import MessageKind
from core.unit_of_work import UnitOfWork

_TEXTS = {
    Notice.LOSS_REPORTED: "您的社会保障卡已正式挂失。如已找回请办理解挂，未找回请补卡。",
    Notice.LOSS_CANCELLED: "您的社会保障卡已解挂，恢复挂失前的状态。",
    Notice.LOSS_LAPSED: "您的社会保障卡临时挂失已满七天，卡片恢复挂失前的状态。如卡仍未找到，请办理正式挂失。",
    Notice.PASSWORD_CHANGED: "您的社会保障卡服务密码已修改。",
    Notice.PHONE_CHANGED: "您的社会保障卡绑定手机号码已变更为其他号码。",
    Notice.NEW_BINDING: "您的社会保障卡已绑定新的渠道账号；同一渠道如有原绑定，已同时解除。",
    Notice.BINDING_ENDED: "您的社会保障卡与原账号的绑定已解除。",
    Notice.TRANSFERRED_IN: "您的社会保障卡归属地已转入成都。参保关系转入请到社保局办理。",
    Notice.TRANSFER_REFUSED: "您的社会保障卡归属地转入未获受理，卡片仍归属原城市。请核对后重新办理。",
    Notice.ORDER_REFUSED: "您的制卡申请未获制卡中心受理，申请已关闭。请重新办理，或到服务网点咨询。",
    Notice.APPLICATION_ACCEPTED: "您的社会保障卡申请已受理，可在「制卡进度查询」中查看进度。",
    Notice.CARD_READY: "您的社会保障卡已制好，请携带身份证到所选网点领取，领取后在线激活。",
    Notice.CORRECTION_NEEDED: "您的社会保障卡申请需要更正资料，更正后原申请继续办理。请在「制卡进度查询」中查看并更正。",
    Notice.CHANGE_REFUSED: "您对社会保障卡申请提交的变更未获制卡中心受理，原申请不变。请在「制卡进度查询」中查看。",
    Notice.OUTLET_CHANGED: "您的社会保障卡领卡网点已更改。",
    Notice.APPLICATION_CLOSED: "您的社会保障卡申请已关闭。如需用卡，可重新申办；原卡已挂失的，可解挂或补卡。",
    Notice.SERVICES_ENDED: "您的社会保障卡登记状态已变更，在线服务已停止。如有疑问，请本人持身份证到社保经办窗口核对。",
}
_ADVICE = "如非本人操作，请拨打 028-12333。"

Account = tuple[ChannelId, bytes]

_nothing = null()
CHOSEN = Query(
    select(
        bindings_table.c.id.label("id"),
        bindings_table.c.channel.label("channel"),
        bindings_table.c.account.label("account"),
        cast(_nothing, Boolean).label("sms"),
        cast(_nothing, Boolean).label("by_channel"),
    )
    .where(
        bindings_table.c.subject_id == bindparam("subject_id"), bindings_table.c.ended_at.is_(None)
    )
    .union_all(
        select(
            cast(_nothing, BigInteger),
            cast(_nothing, String),
            cast(_nothing, LargeBinary),
            notification_settings_table.c.sms,
            notification_settings_table.c.channel,
        ).where(
            notification_settings_table.c.subject_id == bindparam("subject_id"),
            notification_settings_table.c.notice == bindparam("notice"),
        )
    )
    .order_by("id")
)
"""One round trip for what is sent and where."""


def prefetched_columns(subject_id: ColumnElement[int]) -> tuple[ColumnElement[str], ...]:
    """The subject's bindings and settings, for `answer_prefetched`."""
    bound = select(
        json_arrays(bindings_table.c.id, bindings_table.c.channel, bindings_table.c.account)
    ).where(bindings_table.c.subject_id == subject_id, bindings_table.c.ended_at.is_(None))
    chosen = select(
        json_arrays(
            notification_settings_table.c.notice,
            notification_settings_table.c.sms,
            notification_settings_table.c.channel,
        )
    ).where(notification_settings_table.c.subject_id == subject_id)
    return bound.scalar_subquery().label("bound"), chosen.scalar_subquery().label("chosen")


def answer_prefetched(first: Row, values: Mapping[str, Any]) -> list[Row]:
    """What `CHOSEN` would read."""
    bound: list[Row] = [
        {"id": id, "channel": channel, "account": bytes.fromhex(account)}
        for id, channel, account in sorted(orjson.loads(first["bound"] or "[]"))
    ]
    return bound + [
        {"account": None, "sms": sms, "by_channel": by_channel}
        for notice, sms, by_channel in orjson.loads(first["chosen"] or "[]")
        if notice == values["notice"]
    ]


async def send(
    unit: UnitOfWork,
    citizen: Citizen,
    notice: Notice,
    *,
    details: str = "",
    also_to: Account | None = None,
    but_not_to: Account | None = None,
) -> None:
    """Sends the SMS to `citizen.phone`, which may be the number before a change. `details` are sentences
    that only it has: it is all that somebody without the app gets. `also_to` is an account that this unit of work binds, `but_not_to` one whose binding it gives to somebody else."""
    choice, bound = await _chosen(unit, citizen.id, notice)
    if citizen.phone is not None and (choice.sms or notice.is_security):
        outbox.put_sms(
            unit,
            subject_id=citizen.id,
            phone=citizen.phone.reveal(),
            template=notice.value,
            text=f"【成都人社】{_TEXTS[notice]}{details}{_ADVICE}",
        )
    if choice.channel:
        accounts = await _accounts(unit, citizen.id, notice, bound)
        for channel, account in [*accounts, *([also_to] if also_to else [])]:
            if (channel, account) != but_not_to:
                _put_message(unit, citizen.id, notice, channel, account)


async def _chosen(
    unit: UnitOfWork, citizen_id: int, notice: Notice
) -> tuple[Choice, list[Account]]:
    """What the citizen chose for this notice, and the bound accounts, oldest first."""
    choice, bound = Choice(), []
    for row in await unit.db.fetch(CHOSEN, subject_id=citizen_id, notice=notice.value):
        if row["account"] is None:
            choice = Choice(bool(row["sms"]), bool(row["by_channel"]))
        else:
            bound.append((ChannelId(row["channel"]), bytes(row["account"])))
    return choice, bound


async def _accounts(
    unit: UnitOfWork, citizen_id: int, notice: Notice, bound: list[Account]
) -> list[Account]:
    if notice.is_security:
        return bound
    used = await _channel_in_use(unit, citizen_id)
    return [account for account in bound if account[0] == used] or bound[-1:]


async def _channel_in_use(unit: UnitOfWork, citizen_id: int) -> ChannelId | None:
    """The channel of the request; without a request, that of the citizen's last sign-in."""
    if unit.caller is not None:
        return unit.caller.channel
    return await sessions.last_channel(unit.db, citizen_id)


def _put_message(
    unit: UnitOfWork, citizen_id: int, notice: Notice, channel: ChannelId, account: bytes
) -> None:
    template = unit.dependencies.settings.template(channel.value, notice.value)
    if template is None:
        return
    values = _values(notice, unit.now)
    outbox.put(
        unit,
        subject_id=citizen_id,
        kind=MessageKind.CHANNEL_MESSAGE,
        payload={
            "channel": channel.value,
            "account": open_account(unit.dependencies.vault, account),
            "template": notice.value,
            "templateId": template.id,
            "text": text_of(notice),
            "values": {field: values[name] for field, name in template.fields.items()},
        },
    )


def _values(notice: Notice, now: Instant) -> dict[str, str]:
    """Values for the fields of a platform's template, by the names used in the settings."""
    at = moment(now).astimezone(CHINA)
    return {
        "content": text_of(notice),
        "event": NOTICE_NAMES[notice].zh,
        "text": _TEXTS[notice],
        "time": f"{at.year}年{at.month:02}月{at.day:02}日 {at:%H:%M}",
        "advice": _ADVICE,
    }


def text_of(notice: Notice) -> str:
    return f"{_TEXTS[notice]}{_ADVICE}"
