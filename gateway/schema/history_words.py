"""The result of a history entry in words, in both languages."""

import re
from collections.abc import Mapping

import orjson

from core.audit import DONE, Action, Entry
from core.issuer import EVENT_NAMES, IssuerEventType
from core.kernel.refusals import BY_CODE, RefusalCode
from core.kernel.texts import Text
from core.production import CLOSE_REASON_NAMES, NODE_NAMES, RESULT_NAMES, NodeResult, ProductionNode

_SUCCEEDED = Text("成功", "done")
_REFUSED = Text("未成功", "refused")
_NOT_ACCEPTED = Text("未受理", "not accepted")
_TAKEN_BACK = "NOT "
_REFUSALS = {code.value for code in RefusalCode}
_CLAUSE_END = re.compile(r"[，。；：,.;:]")
_REASONS: Mapping[str, Text] = {reason.value: name for reason, name in CLOSE_REASON_NAMES.items()}


def words_of(entry: Entry) -> Text:
    """A refusal's first clause unless that contains placeholders; a partner's code is not a word."""
    if entry.action is Action.ISSUER_EVENT:
        return _event(entry)
    if entry.result == DONE:
        return _SUCCEEDED
    if entry.result in _REFUSALS:
        return _refusal(RefusalCode(entry.result))
    return _REASONS.get(entry.result, _NOT_ACCEPTED)


def _refusal(code: RefusalCode) -> Text:
    text = BY_CODE[code].text
    zh, en = (_CLAUSE_END.split(words)[0] for words in (text.zh, text.en))
    return Text(
        _REFUSED.zh if "{" in zh else f"{_REFUSED.zh}：{zh}",
        _REFUSED.en if "{" in en else f"{_REFUSED.en}: {en}",
    )


def _event(entry: Entry) -> Text:
    details: Mapping[str, str] = orjson.loads(entry.details)
    what = entry.result.removeprefix(_TAKEN_BACK)
    if "node" in details:
        node, result = NODE_NAMES[ProductionNode(details["node"])], RESULT_NAMES[NodeResult(what)]
        text = Text(f"「{node.zh}」{result.zh}", f"“{node.en}”: {result.en}")
    else:
        text = EVENT_NAMES[IssuerEventType(what)]
    if reason := _REASONS.get(details.get("reason", "")):
        text = Text(
            f"{text.zh}（{reason.zh}）", f"{text.en} ({reason.en[:1].lower()}{reason.en[1:]})"
        )
    if what != entry.result:
        text = Text(f"已更正，此前为：{text.zh}", f"corrected; before: {text.en}")
    return text
