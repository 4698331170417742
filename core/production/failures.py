"""Why a node failed, in a sentence for the citizen."""

from core.kernel.refusals import Text
from core.production.orders import NODE_NAMES, ProductionNode


def sentence(node: ProductionNode, reason: str | None) -> Text:
    name, why = NODE_NAMES[node], reason or ""
    return Text(
        f"「{name.zh}」未通过{f'：{why}' if why else ''}。"
        "处理后会继续办理，您无需重新申请；如需帮助请拨打 028-12333。",
        f"“{name.en}” did not pass{f'. Reason given by the card issuer: {why}' if why else ''}. "
        "Production continues once this is resolved; you do not need to apply again. For help, call 028-12333.",
    )
