"""Notices to a citizen after a change, by SMS and as channel messages, as the citizen chose.

They contain no personal number. A safety notice goes to every channel in which the citizen is bound,
because the one in use may be in somebody else's hands; any other notice to the channel in use. Each is
kept in the citizen's inbox.
"""

from collections.abc import Iterable, Mapping
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

from core import audit
from core.audit import Action
from core.citizens import (
    Binding,
    Choice,
    Citizen,
    Concern,
    Notice,
    bindings_table,
    notification_settings_table,
    sessions,
)
from core.crypto import open_account
from core.db import Query, Row, json_arrays
from core.kernel.callers import ChannelId
from core.kernel.clock import CHINA, Instant, moment
from core.kernel.texts import Text
from core.messaging import inbox, outbox
from core.messaging.outbox import MessageKind
from core.unit_of_work import UnitOfWork

_ADVICE = Text("如非本人操作，请拨打 028-12333。", "If this was not you, call 028-12333.")

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
    details: Text | None = None,
    only_by_sms: str = "",
    also_to: Account | None = None,
    but_not_to: Account | None = None,
) -> None:
    """Sends the SMS to `citizen.phone`, which may be the number before a change. `details` are sentences
    that only it and the inbox have, `only_by_sms` one that is kept nowhere else. `also_to` is an account that this unit of work binds, `but_not_to`
    one whose binding it gives to somebody else."""
    inbox.add(unit.writes, citizen.id, notice, details, unit.now)
    choice, bound = await _chosen(unit, citizen.id, notice)
    if citizen.phone is not None and (choice.sms or notice.is_security):
        outbox.put_sms(
            unit,
            subject_id=citizen.id,
            phone=citizen.phone.reveal(),
            template=notice.value,
            text=f"【成都人社】{text_of(notice, details, only_by_sms).zh}",
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
    choice, bound = notice.default, []
    for row in await unit.db.fetch(CHOSEN, subject_id=citizen_id, notice=notice.value):
        if row["account"] is None:
            choice = Choice(bool(row["sms"]), bool(row["by_channel"]))
        else:
            bound.append((ChannelId(row["channel"]), bytes(row["account"])))
    return choice, bound


async def _accounts(
    unit: UnitOfWork, citizen_id: int, notice: Notice, bound: list[Account]
) -> list[Account]:
    if notice.concern is not Concern.COURSE:
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
            "text": text_of(notice).zh,
            "values": {field: values[name] for field, name in template.fields.items()},
        },
    )


def _values(notice: Notice, now: Instant) -> dict[str, str]:
    """Values for the fields of a platform's template, by the names used in the settings."""
    at = moment(now).astimezone(CHINA)
    return {
        "content": text_of(notice).zh,
        "event": notice.heading.zh,
        "text": notice.text.zh,
        "time": f"{at.year}年{at.month:02}月{at.day:02}日 {at:%H:%M}",
        "advice": _ADVICE.zh,
    }


def text_of(notice: Notice, details: Text | None = None, only_by_sms: str = "") -> Text:
    """What a notice says, in both languages; an SMS and a platform's message are in Chinese."""
    more = details or Text("", "")
    english = (notice.text.en, more.en, _ADVICE.en)
    return Text(
        f"{notice.text.zh}{more.zh}{only_by_sms}{_ADVICE.zh}",
        " ".join(part for part in english if part),
    )


async def tell_previous_citizens(
    unit: UnitOfWork, replaced: Iterable[Binding], citizen_id: int
) -> None:
    """An account is bound to this citizen now: tells those to whom it was bound before."""
    for ended in replaced:
        if ended.citizen_id != citizen_id:
            previous = await unit.citizen(ended.citizen_id)
            await audit.record(unit, previous.id, Action.UNBOUND, channel=ended.channel.value)
            account = (ended.channel, ended.account)
            await send(unit, previous, Notice.BINDING_ENDED, but_not_to=account)
