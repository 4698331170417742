"""ExecuteSelectionSet: the fields of an object, in parallel or serially."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gateway.compiled.completers import NEVER, CompleteFn
from gateway.compiled.gathering import awaitables, gathered
from gateway.compiled.runs import Path, Run, is_awaitable


class Step(NamedTuple):
    """A field of a selection set: `part` executes it.

    If `resolve` needs the source only, its result is used directly when it is of the class
    `exact`, is `absent`, or is an enum member in `names`. Otherwise `finished` completes it, and
    `failed` handles an exception of `resolve`.
    """

    key: str
    part: CompleteFn
    resolve: Callable[[Any], Any] | None = None
    exact: type | None = None
    absent: object = NEVER
    names: Mapping[int, Any] = {}
    finished: CompleteFn | None = None
    failed: Callable[[Run, Exception, Any], None] | None = None


def make_selection(steps: list[Step]) -> CompleteFn:
    """The fields of a query, resolved concurrently."""
    if len(steps) == 1:
        return _selection_of_one(steps[0].key, steps[0].part)

    def select(run: Run, source: Any, path: Path | None) -> Any:
        pending = run.pending
        answer: dict[str, Any] = {}
        try:
            for key, part, resolve, exact, absent, names, finished, failed in steps:
                if resolve is None or finished is None or failed is None:
                    answer[key] = part(run, source, path)
                    continue
                try:
                    value = resolve(source)
                except Exception as error:
                    answer[key] = failed(run, error, path)
                    continue
                if value.__class__ is exact or value is absent:
                    answer[key] = value
                elif (name := names.get(id(value))) is not None:
                    answer[key] = name
                else:
                    answer[key] = finished(run, value, path)
        except Exception:
            run.abandon(awaitables(answer.values()))
            raise
        return answer if run.pending == pending else gathered(answer)

    return select


def _selection_of_one(key: str, part: CompleteFn) -> CompleteFn:
    def select(run: Run, source: Any, path: Path | None) -> Any:
        pending = run.pending
        value = part(run, source, path)
        if run.pending != pending and is_awaitable(value):
            return awaited(value)
        return {key: value}

    async def awaited(value: Awaitable[Any]) -> dict[str, Any]:
        return {key: await value}

    return select


def make_serial_selection(steps: list[Step]) -> CompleteFn:
    """The root fields of a mutation, resolved one after another."""

    fields = [(step.key, step.part) for step in steps]

    def select(run: Run, source: Any, path: Path | None) -> Any:
        answer: dict[str, Any] = {}
        remaining = iter(fields)
        for key, part in remaining:
            value = part(run, source, path)
            if is_awaitable(value):
                return resume(run, source, path, answer, key, value, remaining)
            answer[key] = value
        return answer

    async def resume(
        run: Run,
        source: Any,
        path: Any,
        answer: dict[str, Any],
        key: str,
        awaitable: Awaitable[Any],
        remaining: Iterator[tuple[str, CompleteFn]],
    ) -> dict[str, Any]:
        answer[key] = await awaitable
        for key, part in remaining:
            value = part(run, source, path)
            answer[key] = await value if is_awaitable(value) else value
        return answer

    return select
