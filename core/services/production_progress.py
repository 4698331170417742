"""制卡进度查询 production progress."""

from core.cards import CardState, holders, ways_out
from core.kernel.card_services import CardService
from core.kernel.clock import china_date
from core.kernel.next_steps import HOTLINE, NextStep
from core.kernel.refusals import NoApplication
from core.kernel.texts import Text
from core.production import NodeResult, ProductionOrder, Progress, collect_by, orders
from core.unit_of_work import Preparation

_CORRECT = NextStep(
    CardService.PRODUCTION_PROGRESS,
    Text(
        "请在「制卡进度查询」中更正，制卡随即继续。",
        "Correct it under Production progress; production then goes on.",
    ),
)
_FAILED = NextStep(
    None,
    Text(
        "制卡中心处理后会继续办理；如需帮助请拨打 028-12333。",
        "The card issuer is dealing with it; for help, call 028-12333.",
    ),
    HOTLINE,
)
_WAIT = NextStep(
    None,
    Text(
        "您提交的变更正在由制卡中心确认，结果将短信告知。",
        "The card issuer is confirming your change. We will send you a message.",
    ),
)
_OVERDUE = NextStep(
    CardService.ACTIVATE_CARD,
    Text(
        "已领取的请激活；未领取的，领取期限已过，请拨打 028-12333 咨询。",
        "If you have collected the card, activate it; if not, its last day has passed: please call 028-12333.",
    ),
    HOTLINE,
)
_COLLECT = NextStep(
    CardService.ACTIVATE_CARD,
    Text(
        "请持身份证到领卡网点领卡，领取后请激活。",
        "Collect the card at its outlet with your ID card, then activate it.",
    ),
)


async def production_progress(preparation: Preparation, _: None) -> Progress:
    db, vault, now = preparation.db, preparation.dependencies.vault, preparation.now
    progress = await orders.latest_progress(db, vault, preparation.citizen_id)
    if progress is None:
        holder = await holders.find(db, vault, now, preparation.citizen_id)
        raise ways_out.show_way(NoApplication(), CardService.PRODUCTION_PROGRESS, holder)
    return progress


async def after_production(preparation: Preparation, order: ProductionOrder) -> NextStep | None:
    """What the citizen can do now; None while there is only to wait, and once the card is in use."""
    if order.closure is None and not order.ready:
        return _while_it_is_made(order)
    db, vault, now = preparation.db, preparation.dependencies.vault, preparation.now
    holder = await holders.find(db, vault, now, preparation.citizen_id)
    if holder.in_state(CardState.ACTIVE):
        return None
    if order.ready_at is not None and order.closure is None and holder.in_state(CardState.SEALED):
        within = preparation.dependencies.settings.collect_within_days
        last_day = collect_by(order.ready_at, within)
        return _OVERDUE if last_day is not None and last_day < china_date(now) else _COLLECT
    return ways_out.next_step(CardService.CARD_STATUS, holder)


def _while_it_is_made(order: ProductionOrder) -> NextStep | None:
    if order.pending_change is not None:
        return _WAIT
    current = order.current
    if current is None or not current.result.stops:
        return None
    return _CORRECT if current.result is NodeResult.NEEDS_CORRECTION else _FAILED
