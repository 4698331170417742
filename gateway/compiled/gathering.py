"""Awaits the awaitables in an object or a list of the response."""

from collections.abc import Iterable
from typing import Any, TypeVar

from graphql.pyutils import gather_with_cancel

from gateway.compiled.runs import is_awaitable

Items = TypeVar("Items", list[Any], dict[str, Any])


def awaitables(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if is_awaitable(item)]


def gathered(items: Items) -> Any:
    """The object or list itself, or an awaitable of it if it contains awaitables."""
    entries = items.items() if isinstance(items, dict) else enumerate(items)
    awaited = [key for key, item in entries if is_awaitable(item)]
    return _gather(items, awaited) if awaited else items


async def _gather(items: Any, awaited: list[Any]) -> Any:
    """Concurrently, unless there is one only: like graphql-core, for the same order of errors."""
    if len(awaited) == 1:
        items[awaited[0]] = await items[awaited[0]]
        return items
    done = await gather_with_cancel(*(items[key] for key in awaited))
    for key, value in zip(awaited, done, strict=True):
        items[key] = value
    return items
