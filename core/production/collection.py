"""Where and until when a card that is ready is collected, in sentences for the citizen."""

from core.kernel.clock import Instant
from core.kernel.texts import Text
from core.production.orders import collect_by
from core.reference import Reference


def where_and_until(
    reference: Reference, outlet_code: str, ready_at: Instant, within_days: int
) -> Text:
    """`within_days` are those that the outlet keeps it, 0 if citizens are not told. Empty if nothing
    is known."""
    sentences = []
    if outlet := reference.outlet(outlet_code):
        sentences.append(
            Text(f"领取地点：{outlet.in_words}。", f"Collect it at: {outlet.in_words}.")
        )
    if last_day := collect_by(ready_at, within_days):
        sentences.append(
            Text(
                f"请在{last_day.month}月{last_day.day}日前领取。",
                f"Collect it before {last_day:%-d %B}.",
            )
        )
    return Text(
        "".join(sentence.zh for sentence in sentences),
        " ".join(sentence.en for sentence in sentences),
    )
