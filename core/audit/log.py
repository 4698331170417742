"""The audit log: who changed what, when and through which channel, as a MAC chain per subject.

Each entry's MAC covers its content and the previous MAC; each subject's head stores the last number
and MAC. A change writes its entry in its own transaction; reads are logged in batches
(`access_log.py`). Chains of different subjects never lock each other, and each statement names one
subject. The heads are anchored together (`anchors.py`), and `verify.py` detects tampering. An entry
holds no personal data.
"""

from enum import StrEnum
from typing import Any, Self

import orjson
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    select,
    text,
)
from sqlalchemy import Text as LongText

from core.audit.well_formed import text_of
from core.citizens import NO_HEAD, Head, audit_heads_table, heads
from core.crypto import Seals
from core.db import Query, Row, Transaction, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import Caller
from core.kernel.clock import Instant
from core.kernel.texts import Text
from core.unit_of_work import UnitOfWork

audit_entries_table = Table(
    "audit_entries",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("result", String(lengths.PARTNER_CODE), nullable=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("session_id", BigInteger, nullable=False),
    Column("details", LongText, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


class Action(StrEnum):
    """What an entry is about: its value, its name, and whether it only read personal data."""

    text: Text
    is_access: bool

    def __new__(cls, value: str, text: Text, is_access: bool = False) -> Self:
        action = str.__new__(cls, value)
        action._value_ = value
        action.text = text
        action.is_access = is_access
        return action

    SIGN_IN = "SIGN_IN", Text("登录", "sign-in")
    SIGN_OUT = "SIGN_OUT", Text("退出登录", "sign-out")
    END_SESSION = "END_SESSION", Text("结束其他登录", "another session ended")
    BIND_CARD = "BIND_CARD", Text("绑卡", "binding")
    UNBOUND = "UNBOUND", Text("解除绑定", "binding ended")
    SEND_CODE = "SEND_CODE", Text("获取验证码", "verification code sent")
    REQUEST_UPLOAD = "REQUEST_UPLOAD", Text("申请上传地址", "upload address requested")
    UPLOAD_PORTRAIT = "UPLOAD_PORTRAIT", Text("上传照片", "portrait uploaded")
    CONFIRM_PORTRAIT = "CONFIRM_PORTRAIT", Text("确认照片", "portrait confirmed")
    UPLOAD_ID_DOCUMENT = "UPLOAD_ID_DOCUMENT", Text("上传身份证", "ID document uploaded")
    CONFIRM_ID_DOCUMENTS = "CONFIRM_ID_DOCUMENTS", Text("确认身份证", "ID documents confirmed")
    DELETE_PICTURE = "DELETE_PICTURE", Text("删除照片", "picture deleted")
    GIVE_CONSENT = "GIVE_CONSENT", Text("同意个人信息处理告知", "privacy notice agreed to")
    SAVE_DRAFT = "SAVE_DRAFT", Text("保存申办表单", "application draft saved")
    APPLY_CARD = "APPLY_CARD", Text("申办", "application")
    ACTIVATE_CARD = "ACTIVATE_CARD", Text("激活", "activation")
    REPORT_LOSS = "REPORT_LOSS", Text("挂失", "loss report")
    CANCEL_LOSS = "CANCEL_LOSS", Text("解挂", "loss cancellation")
    CHANGE_PASSWORD = "CHANGE_PASSWORD", Text("服务密码变更", "password change")
    CHANGE_PHONE = "CHANGE_PHONE", Text("手机号码变更", "phone change")
    CHANGE_CONTACT = "CHANGE_CONTACT", Text("其他信息变更", "contact change")
    CHANGE_NOTIFICATIONS = (
        "CHANGE_NOTIFICATIONS",
        Text("通知设置变更", "notification settings changed"),
    )
    RATE_SERVICE = "RATE_SERVICE", Text("服务评价", "service rated")
    MARK_NOTICES_READ = "MARK_NOTICES_READ", Text("标记通知为已读", "notices marked as read")
    TRANSFER_IN = "TRANSFER_IN", Text("卡归属地转入", "transfer in")
    REISSUE_CARD = "REISSUE_CARD", Text("补卡", "reissue")
    CANCEL_APPLICATION = "CANCEL_APPLICATION", Text("取消申请", "application cancelled")
    CHANGE_PICKUP_OUTLET = (
        "CHANGE_PICKUP_OUTLET",
        Text("更改领卡网点", "pickup outlet changed"),
    )
    CORRECT_APPLICATION = "CORRECT_APPLICATION", Text("更正申请", "application corrected")
    APPLICATION_CLOSED = "APPLICATION_CLOSED", Text("申请关闭", "application closed")
    DEATH_RECORDED = "DEATH_RECORDED", Text("登记持卡人已故", "death recorded")
    DEATH_CORRECTED = "DEATH_CORRECTED", Text("更正已故登记", "death record corrected")
    CHANGE_REFUSED = "CHANGE_REFUSED", Text("申请变更未获受理", "change not accepted")
    ISSUER_EVENT = "ISSUER_EVENT", Text("制卡机构通知", "report of the card issuer")
    CARD_ISSUED = "CARD_ISSUED", Text("卡片制成", "card made")
    CARD_CANCELLED = "CARD_CANCELLED", Text("旧卡注销", "old card cancelled")
    TRANSFER_REFUSED = "TRANSFER_REFUSED", Text("转入未获受理", "transfer not accepted")
    ORDER_REFUSED = "ORDER_REFUSED", Text("制卡申请未获受理", "order of a card not accepted")
    LOSS_LAPSED = "LOSS_LAPSED", Text("临时挂失到期", "temporary loss over")
    OPERATOR_COMMAND = "OPERATOR_COMMAND", Text("工作人员操作", "act of an operator")
    IMPORTED = "IMPORTED", Text("资料导入", "data imported")
    VIEWER = "VIEWER", Text("查看个人信息", "personal data viewed"), True
    SESSIONS = "SESSIONS", Text("查看登录会话", "sessions viewed"), True
    CARD_STATUS = "CARD_STATUS", Text("卡状态查询", "card status viewed"), True
    PRODUCTION_PROGRESS = (
        "PRODUCTION_PROGRESS",
        Text("制卡进度查询", "production progress viewed"),
        True,
    )
    APPLICATION_FORM = "APPLICATION_FORM", Text("查看申办表单", "application form viewed"), True
    INSURANCES = "INSURANCES", Text("查询险种", "insurances viewed"), True
    PICTURE = "PICTURE", Text("查看照片", "picture viewed"), True
    RECEIPT = "RECEIPT", Text("查看受理回执", "receipt viewed"), True
    NOTIFICATION_SETTINGS = (
        "NOTIFICATION_SETTINGS",
        Text("查看通知设置", "notification settings viewed"),
        True,
    )
    NOTICES = "NOTICES", Text("查看通知", "notices viewed"), True
    SERVICE_HISTORY = "SERVICE_HISTORY", Text("查看办理记录", "service history viewed"), True


ACTIONS: dict[str, Action] = {action.value: action for action in Action}
"""By the value in a row."""

DONE = "DONE"
ISSUER = "ISSUER"
OPERATOR = "OPERATOR"
LINK = "LINK"
"""Channel of an access through a signed link, without a session."""
WORKER = "WORKER"

_HEAD = Query(
    select(audit_heads_table.c.number, audit_heads_table.c.mac, audit_heads_table.c.version)
    .where(audit_heads_table.c.subject_id == bindparam("subject_id"))
    .with_for_update()
)
ADD_ENTRY = insert_into(audit_entries_table)
MOVE_HEAD = Query(
    lambda insert: (
        insert(audit_heads_table)
        .values(
            subject_id=bindparam("subject_id"),
            number=bindparam("number"),
            mac=bindparam("mac"),
            version=text("1"),
        )
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={
                "number": text("excluded.number"),
                "mac": text("excluded.mac"),
                "version": text("audit_heads.version + 1"),
            },
        )
    )
)


class AuditRecord(Struct, frozen=True):
    """An entry to be written. `subject_id` is a citizen's id, or a session's before a citizen is known."""

    subject_id: int
    at: Instant
    action: str
    result: str
    channel: str
    session_id: int
    details: str = "{}"


async def record(
    unit: UnitOfWork,
    subject_id: int,
    action: Action,
    result: str = DONE,
    *,
    actor: str = ISSUER,
    **details: str | int,
) -> None:
    """Adds an entry to a subject's chain, in the unit of work of the change that it describes.

    `actor` stands for the channel if there is no caller.
    """
    channel, session_id = _origin(unit.caller, actor)
    entry = AuditRecord(
        subject_id,
        unit.now,
        action,
        result,
        channel,
        session_id,
        orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode(),
    )
    await write(unit, entry)


async def write(unit: UnitOfWork, entry: AuditRecord) -> None:
    """As `record`, for an entry that is made already."""
    head = await unit.head(entry.subject_id)
    row = _entry(unit.dependencies.seals, entry, head.number + 1, head.mac)
    unit.writes.add(ADD_ENTRY, **row)
    unit.heads[entry.subject_id] = head._replace(number=head.number + 1, mac=row["mac"])
    heads.move(unit.writes, entry.subject_id, unit.heads[entry.subject_id])


async def head_of(db: Transaction, subject_id: int) -> Head:
    """The end of a chain, locked until the transaction ends."""
    row = await db.fetch_one(_HEAD, subject_id=subject_id)
    return Head(row["number"], bytes(row["mac"]), row["version"]) if row else NO_HEAD


async def extend(db: Transaction, seals: Seals, head: Head, record: AuditRecord) -> None:
    """Adds an entry after the head that `head_of` returned in this transaction."""
    row = _entry(seals, record, head.number + 1, head.mac)
    await db.fetch(ADD_ENTRY, **row)
    moved = {name: row[name] for name in ("subject_id", "number", "mac")}
    await db.fetch(MOVE_HEAD, **moved)


def is_intact(seals: Seals, row: Row, mac_before: bytes) -> bool:
    """Whether an entry is unchanged and follows the one with `mac_before`."""
    values = []
    for name in _MAC_INPUT:
        value = row[name] if isinstance(row[name], int) else text_of(row[name])
        if value is None:
            return False
        values.append(value)
    return seals.matches_audit(bytes(row["mac"]), *values, mac_before.hex())


_MAC_INPUT = ("subject_id", "number", "at", "action", "result", "channel", "session_id", "details")


def _entry(seals: Seals, record: AuditRecord, number: int, mac_before: bytes) -> dict[str, Any]:
    row: dict[str, Any] = {
        "subject_id": record.subject_id,
        "number": number,
        "at": record.at,
        "action": str(record.action),
        "result": record.result,
        "channel": record.channel,
        "session_id": record.session_id,
        "details": record.details,
    }
    row["mac"] = seals.audit(*(row[name] for name in _MAC_INPUT), mac_before.hex())
    return row


def _origin(caller: Caller | None, actor: str) -> tuple[str, int]:
    return (actor, 0) if caller is None else (caller.channel.value, caller.session_id)
