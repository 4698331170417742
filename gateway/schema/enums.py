"""Publishes the core's enums in the schema, with a Chinese and English description per value."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry

from core.kernel.texts import Text

EnumT = TypeVar("EnumT", bound=Enum)


def publish(
    enum: type[EnumT], description: str, words: Mapping[EnumT, Text], name: str | None = None
) -> None:
    strawberry.enum(enum, name=name, description=description)
    definition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        text = words[enum(value.value)]
        value.description = f"{text.zh} · {text.en}"
