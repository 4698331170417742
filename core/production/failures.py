"""Why production stands at a node, in a sentence for the citizen."""

from core.kernel.texts import Text
from core.production.closures import CLOSE_REASON_NAMES, Closure
from core.production.corrections import Correction
from core.production.orders import NODE_NAMES, NodeResult, ProductionNode
from core.reference import LABELS

_HELP = Text("如需帮助请拨打 028-12333。", "For help, call 028-12333.")


def sentence(
    node: ProductionNode,
    result: NodeResult,
    reason: str | None,
    corrections: tuple[Correction, ...] = (),
    closure: Closure | None = None,
) -> Text | None:
    """None unless production stands, or stood, at the node."""
    if not result.stops:
        return None
    if result is NodeResult.NEEDS_CORRECTION:
        found = _correction(node, corrections, reason or "")
        way_out = Text(
            "更正后原申请继续办理，无需重新申请。",
            "The same application then goes on; you do not need to apply again.",
        )
    else:
        found = _failure(node, reason or "")
        way_out = Text(
            "制卡中心处理后会继续办理，结果在此更新。",
            "The card issuer is dealing with it; the result will be shown here.",
        )
    if closure is not None:
        way_out = closed(closure)
    return Text(f"{found.zh}{way_out.zh}{_HELP.zh}", f"{found.en} {way_out.en} {_HELP.en}")


def closed(closure: Closure) -> Text:
    why = CLOSE_REASON_NAMES[closure.reason]
    return Text(
        f"申请已关闭（{why.zh}）。没有卡的可申办，原卡已挂失的可解挂或补卡。",
        f"The application is closed ({why.en}). Without a card you can apply; if a card was reported "
        "lost, you can cancel the loss or request a reissue.",
    )


def _failure(node: ProductionNode, why: str) -> Text:
    name = NODE_NAMES[node]
    return Text(
        f"「{name.zh}」未通过{f'：{why}' if why else ''}。",
        f"“{name.en}” did not pass{f'. Reason given by the card issuer: {why}' if why else ''}.",
    )


def _correction(node: ProductionNode, corrections: tuple[Correction, ...], why: str) -> Text:
    name, labels = NODE_NAMES[node], [LABELS[correction.value] for correction in corrections]
    what = Text("、".join(label.zh for label in labels), ", ".join(label.en for label in labels))
    return Text(
        f"「{name.zh}」需要您更正{what.zh}{f'（{why}）' if why else ''}。",
        f"“{name.en}” needs you to correct: {what.en}"
        f"{f'. Reason given by the card issuer: {why}' if why else ''}.",
    )
