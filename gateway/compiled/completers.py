"""A slot is where a value of one type stands in the answer: a field, or an item of a list.

It finishes the value, now or once it has been awaited, and catches what goes wrong: null stands
in the slot, or, where null may not stand, the error goes up to the slot above.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from graphql import FieldNode

from gateway.compiled.runs import Path, Run, is_awaitable

CompleteFn: TypeAlias = Callable[[Run, Any, Any], Any]
"""Makes a part of the answer, or an awaitable of it, from the run, a value and a place (`Path`;
None for the root). Raises what went wrong."""

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
        """A value of the class `exact` is finished as it is; what `direct` makes of a value of
        one of its classes is what `complete` would make. `names` are those of an enum's members,
        by their identity."""
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
        waiting = run.waiting
        done = part(run, value, path)
        return done if run.waiting == waiting else self.caught(run, done, path)

    async def finish_awaited(self, run: Run, awaitable: Awaitable[Any], path: Path) -> Any:
        try:
            value = await awaitable
            waiting = run.waiting
            done = self.direct.get(value.__class__, self.complete)(run, value, path)
            if run.waiting != waiting and is_awaitable(done):
                done = await done
        except Exception as error:
            self.fail(run, error, path)
            return None
        return done

    def caught(self, run: Run, done: Any, path: Path) -> Any:
        """What a part has made, with its errors caught here where it must be awaited."""
        return self._caught(run, done, path) if is_awaitable(done) else done

    async def _caught(self, run: Run, awaitable: Awaitable[Any], path: Path) -> Any:
        try:
            return await awaitable
        except Exception as error:
            self.fail(run, error, path)
            return None

    def fail(self, run: Run, error: Exception, path: Path) -> None:
        run.fail(error, self.nodes, path, non_null=self.non_null)
