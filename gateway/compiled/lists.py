"""Completion of lists."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from graphql import GraphQLError, Undefined, located_error
from graphql.pyutils import is_iterable
from strawberry.utils.await_maybe import await_maybe

from gateway.compiled.completers import CompleteFn, Completer
from gateway.compiled.fields import Field
from gateway.compiled.gathering import awaitables, gathered
from gateway.compiled.runs import Path, Run, is_awaitable, keys


def complete_list(field: Field, completer: Completer) -> CompleteFn:
    def complete(run: Run, value: Any, path: Path) -> Any:
        if value.__class__ is list or value.__class__ is tuple:
            return items_of(run, iter(value), path)
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        if hasattr(value, "__aiter__"):
            return run.later(_async_items(run, value.__aiter__(), path, field, completer))
        if not is_iterable(value):
            raise GraphQLError(
                "Expected Iterable, but did not find one for field"
                f" '{field.parent_type}.{field.nodes[0].name.value}'."
            )
        return items_of(run, iter(value), path)

    def items_of(run: Run, iterator: Iterator[Any], path: Path) -> Any:
        exact, absent, finish, direct = (
            completer.exact,
            completer.absent,
            completer.finish,
            completer.direct,
        )
        items: list[Any] = []
        pending = run.pending
        try:
            for item in iterator:
                if item.__class__ is exact or item is absent:
                    items.append(item)
                    continue
                item_path = (path, len(items), None)
                try:
                    part = direct.get(item.__class__)
                    if part is None:
                        items.append(finish(run, item, item_path))
                        continue
                    before = run.pending
                    done = part(run, item, item_path)
                    if run.pending != before:
                        done = completer.caught(run, done, item_path)
                    items.append(done)
                except Exception as error:
                    completer.fail(run, error, item_path)
                    items.append(None)
        except Exception:
            abandoned = awaitables(items)
            with suppress(Exception):
                abandoned.extend(item for item in iterator if is_awaitable(item))
            run.abandon(abandoned)
            raise
        return items if run.pending == pending else gathered(items)

    return complete


async def _async_items(
    run: Run, iterator: AsyncIterator[Any], path: Path, field: Field, completer: Completer
) -> list[Any]:
    items: list[Any] = []
    close = getattr(iterator, "aclose", None)
    try:
        while True:
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                break
            except Exception as error:
                raise located_error(error, field.nodes, keys(path)) from error
            item_path = (path, len(items), None)
            try:
                items.append(completer.finish(run, item, item_path))
            except Exception as error:
                completer.fail(run, error, item_path)
                items.append(None)
    except Exception:
        if close is not None:
            with suppress(Exception):
                await close()
        run.abandon(awaitables(items))
        raise
    done: list[Any] = await await_maybe(gathered(items))
    return done
