"""Notices: what a citizen is told after something of theirs changed. Never with a full number."""

from core import bindings, outbox
from core.citizens import Citizen
from core.outbox import EffectKind
from core.unit import Unit

LOSS_REPORTED = "LOSS_REPORTED"
LOSS_CANCELLED = "LOSS_CANCELLED"
PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - the name of a template
PHONE_CHANGED = "PHONE_CHANGED"
LOSS_LAPSED = "LOSS_LAPSED"
TRANSFERRED_IN = "TRANSFERRED_IN"
TRANSFER_REFUSED = "TRANSFER_REFUSED"
ORDER_REFUSED = "ORDER_REFUSED"
APPLICATION_ACCEPTED = "APPLICATION_ACCEPTED"
CARD_READY = "CARD_READY"

_TEXTS = {
    LOSS_REPORTED: "您的社会保障卡已正式挂失。如已找回请办理解挂，未找回请补卡。",
    LOSS_CANCELLED: "您的社会保障卡已解挂，恢复正常使用。",
    LOSS_LAPSED: "您的社会保障卡临时挂失已满七天，卡片恢复正常使用。如卡仍未找到，请办理正式挂失。",
    PASSWORD_CHANGED: "您的社会保障卡服务密码已修改。",
    PHONE_CHANGED: "您的社会保障卡绑定手机号码已变更为其他号码。",
    TRANSFERRED_IN: "您的社会保障卡归属地已转入成都。参保关系转入请到社保局办理。",
    TRANSFER_REFUSED: "您的社会保障卡归属地转入未获受理，卡片仍归属原城市。请核对后重新办理。",
    ORDER_REFUSED: "您的制卡申请未获制卡中心受理，申请已关闭。请重新办理，或到服务网点咨询。",
    APPLICATION_ACCEPTED: "您的社会保障卡申请已受理，可在「制卡进度查询」中查看进度。",
    CARD_READY: "您的社会保障卡已制好，请携带身份证到所选网点领取，领取后在线激活。",
}


async def send(unit: Unit, citizen: Citizen, notice: str) -> None:
    """By SMS to the phone that `citizen` holds, and into every channel that they are bound in and
    that has a template for it."""
    if citizen.phone is not None:
        await outbox.put_sms(
            unit,
            person=citizen.id,
            phone=citizen.phone.reveal(),
            template=notice,
            text=f"【成都人社】{text_of(notice)}",
        )
    for channel, account in await bindings.accounts_of(unit.db, citizen.id):
        template_id = unit.tools.settings.template(channel.value, notice)
        if template_id is not None:
            await outbox.put(
                unit,
                person=citizen.id,
                kind=EffectKind.CHANNEL_MESSAGE,
                payload={
                    "channel": channel.value,
                    "account": unit.tools.vault.open(account, "accounts", 0),
                    "template": notice,
                    "templateId": template_id,
                    "text": text_of(notice),
                },
            )


def text_of(notice: str) -> str:
    return f"{_TEXTS[notice]}如非本人操作，请拨打 028-12333。"
