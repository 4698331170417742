"""Objects in the answer: their fields, side by side or one after another."""

from collections.abc import Awaitable, Iterator
from typing import Any

from gateway.compiled.gathering import awaitables, gathered
from gateway.compiled.runs import Run, Where, is_awaitable
from gateway.compiled.slots import Part


def make_selection(fields: list[tuple[str, Part]]) -> Part:
    """Fields that are resolved side by side."""

    def select(run: Run, source: Any, where: Where | None) -> Any:
        waiting = run.waiting
        answer: dict[str, Any] = {}
        try:
            for key, part in fields:
                answer[key] = part(run, source, where)
        except Exception:
            run.abandon(awaitables(answer.values()))
            raise
        return answer if run.waiting == waiting else gathered(answer)

    return select


def make_serial_selection(fields: list[tuple[str, Part]]) -> Part:
    """Fields that are resolved one after another: those of a mutation."""

    def select(run: Run, source: Any, where: Where | None) -> Any:
        answer: dict[str, Any] = {}
        remaining = iter(fields)
        for key, part in remaining:
            value = part(run, source, where)
            if is_awaitable(value):
                return go_on(run, source, where, answer, key, value, remaining)
            answer[key] = value
        return answer

    async def go_on(
        run: Run,
        source: Any,
        where: Any,
        answer: dict[str, Any],
        key: str,
        awaitable: Awaitable[Any],
        remaining: Iterator[tuple[str, Part]],
    ) -> dict[str, Any]:
        answer[key] = await awaitable
        for key, part in remaining:
            value = part(run, source, where)
            answer[key] = await value if is_awaitable(value) else value
        return answer

    return select
