"""Resolvers that do everything a resolver may do wrong, and the same again when asked again.

What a field does follows from its seed alone, so two executors that ask it get the same.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from graphql import GraphQLError


class Refused(Exception):
    """Becomes a member of a result's union, where there is one."""


class Odd:
    """Fits no type."""

    def __repr__(self) -> str:
        return "<odd>"


def behave(seed: str, make: Callable[[], Any]) -> Any:
    roll = zlib.crc32(seed.encode()) % 24
    match roll:
        case 0:
            raise ValueError(f"broken {seed}")
        case 1 | 2:
            return None
        case 3:
            return ValueError(f"returned {seed}")
        case 4:
            raise GraphQLError(f"said {seed}", extensions={"code": "SAID"})
        case 5:
            return Odd()
        case 6:
            raise Refused(seed)
        case 7 | 8:
            return _later(0, make)
        case 9:
            return _later(2, make)
        case 10:
            return _later(1, lambda: None)
        case 11:
            return _later(1, lambda: _raise(ValueError(f"late {seed}")))
        case 12:
            return _later(0, lambda: _raise(Refused(f"late {seed}")))
        case _:
            return make()


async def behave_async(seed: str, make: Callable[[], Any]) -> Any:
    value = behave(seed, make)
    while hasattr(value, "__await__"):
        value = await value
    return value


def many(seed: str, make: Callable[[str], Any]) -> Any:
    """A list, or what may stand for one, of items that behave as badly."""
    count = zlib.crc32(f"count {seed}".encode()) % 4
    seeds = [f"{seed}.{index}" for index in range(count)]
    match zlib.crc32(f"kind {seed}".encode()) % 9:
        case 0:
            return (behave(item, partial(make, item)) for item in seeds)
        case 1:
            return tuple(make(item) for item in seeds)
        case 2:
            return _asynchronously(seeds, make)
        case 3:
            return {make(seeds[0]) if seeds else 1: 2} if _is_plain(make, seeds) else 7
        case 4:
            return [_later(index % 2, partial(make, item)) for index, item in enumerate(seeds)]
        case _:
            return [_quietly(item, make) for item in seeds]


def _is_plain(make: Callable[[str], Any], seeds: list[str]) -> bool:
    return bool(seeds) and isinstance(make(seeds[0]), int | str)


def _quietly(seed: str, make: Callable[[str], Any]) -> Any:
    """What would be raised is an item instead."""
    try:
        return behave(seed, lambda: make(seed))
    except Exception as error:
        return error


async def _later(ticks: int, make: Callable[[], Any]) -> Any:
    for _ in range(ticks):
        await asyncio.sleep(0)
    return make()


async def _asynchronously(seeds: list[str], make: Callable[[str], Any]) -> AsyncIterator[Any]:
    for seed in seeds:
        await asyncio.sleep(0)
        yield behave(seed, partial(make, seed))


def _raise(error: Exception) -> Any:
    raise error
