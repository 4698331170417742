"""A completer completes the value of a field or of a list item (the spec's CompleteValue).

It completes the value at once or after awaiting it, and handles errors: the result is null, or,
if the type is non-null, the error propagates to the parent.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from graphql import FieldNode

from gateway.compiled.runs import Path, Run, is_awaitable

CompleteFn: TypeAlias = Callable[[Run, Any, Any], Any]
"""Returns a part of the response, or an awaitable of it, from the run, a value and a `Path` (None
for the root). Raises the error of the value."""

NEVER = object()


class Completer:
    __slots__ = ("absent", "complete", "direct", "exact", "names", "nodes", "non_null")

    def __init__(
        self,
        nodes: list[FieldNode],
        complete: CompleteFn,
        *,
        non_null: bool,
        exact: type | None = None,
        direct: dict[type, CompleteFn],
        names: dict[int, Any],
    ) -> None:
        """Values of the class `exact` are their own result. `direct` maps a class to a faster
        equivalent of `complete`. `names` are the names of enum members, by their identity."""
        self.nodes = nodes
        self.complete = complete
        self.non_null = non_null
        self.absent = NEVER if non_null else None
        self.exact = exact
        self.direct = direct
        self.names = names

    def finish(self, run: Run, value: Any, path: Path) -> Any:
        part = self.direct.get(value.__class__)
        if part is None:
            if is_awaitable(value):
                return run.later(self.finish_awaited(run, value, path))
            part = self.complete
        pending = run.pending
        done = part(run, value, path)
        return done if run.pending == pending else self.caught(run, done, path)

    async def finish_awaited(self, run: Run, awaitable: Awaitable[Any], path: Path) -> Any:
        try:
            value = await awaitable
            pending = run.pending
            done = self.direct.get(value.__class__, self.complete)(run, value, path)
            if run.pending != pending and is_awaitable(done):
                done = await done
        except Exception as error:
            self.fail(run, error, path)
            return None
        return done

    def caught(self, run: Run, done: Any, path: Path) -> Any:
        """The result, wrapped to handle its errors if it is awaitable."""
        return self._caught(run, done, path) if is_awaitable(done) else done

    async def _caught(self, run: Run, awaitable: Awaitable[Any], path: Path) -> Any:
        try:
            return await awaitable
        except Exception as error:
            self.fail(run, error, path)
            return None

    def fail(self, run: Run, error: Exception, path: Path) -> None:
        run.fail(error, self.nodes, path, non_null=self.non_null)
