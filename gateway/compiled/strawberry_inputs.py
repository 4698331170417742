"""From GraphQL's arguments to those of a strawberry resolver: its names, its input objects.

As strawberry's `convert_arguments`, with what it looks up at every call looked up once. Types
that are not plain (`Maybe`, global ids, hooks, inputs within inputs) are left to strawberry.
"""

from collections.abc import Callable
from dataclasses import MISSING
from typing import Any, TypeAlias

from strawberry import UNSET, Schema
from strawberry.relay.types import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import convert_argument
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info

Arguments: TypeAlias = dict[str, Any]
Convert: TypeAlias = Callable[[Arguments, Info], Arguments]
_Change: TypeAlias = Callable[[Any, Info, tuple[str, ...]], Any]


def conversion(schema: Schema, field: StrawberryField) -> Convert:
    names = schema.config.name_converter
    steps = [
        (names.from_argument(argument), argument.python_name, _change(schema, argument.type))
        for argument in field.arguments
    ]

    def convert(given: Arguments, info: Info) -> Arguments:
        named: Arguments = {}
        for name, python_name, change in steps:
            if name in given:
                value = given[name]
                named[python_name] = value if change is None else change(value, info, (name,))
        return named

    return convert


def _change(schema: Schema, type_: Any) -> _Change | None:
    """None where graphql-core has made the value what it should be: scalars and enums."""
    inner = type_.of_type if _is_optional(type_) else type_
    if _is_leaf(schema, inner):
        return None
    if isinstance(inner, StrawberryList) and _is_leaf(schema, _item(inner)):
        return _copied
    definition = get_object_definition(inner)
    if definition is not None and definition.is_input and definition.from_input is None:
        return _input_object(schema, inner, definition)
    return _as_strawberry_does(schema, type_)


def _is_optional(type_: Any) -> bool:
    return isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe)


def _item(type_: StrawberryList) -> Any:
    return type_.of_type.of_type if _is_optional(type_.of_type) else type_.of_type  # type: ignore[union-attr]


def _is_leaf(schema: Schema, type_: Any) -> bool:
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
        return True
    return type_ is not GlobalID and is_scalar(type_, schema.schema_converter.scalar_registry)


def _copied(value: Any, _info: Info, _path: tuple[str, ...]) -> Any:
    return value if value is None or value is UNSET else list(value)


def _as_strawberry_does(schema: Schema, type_: Any) -> _Change:
    registry, config = schema.schema_converter.scalar_registry, schema.config

    def change(value: Any, info: Info, path: tuple[str, ...]) -> Any:
        return convert_argument(value, type_, registry, config, info, path=path)

    return change


def _input_object(schema: Schema, type_: Any, definition: StrawberryObjectDefinition) -> _Change:
    names = schema.config.name_converter
    absent = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }
    steps = [
        (names.from_field(field), field.python_name, _change_within(schema, field, definition))
        for field in definition.fields
    ]

    def change(value: Any, info: Info, path: tuple[str, ...]) -> Any:
        if value is None or value is UNSET:
            return value
        named: Arguments = absent.copy()
        for name, python_name, change_field in steps:
            if name in value:
                item = value[name]
                named[python_name] = (
                    item if change_field is None else change_field(item, info, (*path, name))
                )
        return type_(**named)

    return change


def _change_within(
    schema: Schema, field: StrawberryField, definition: StrawberryObjectDefinition
) -> _Change | None:
    type_ = field.resolve_type(type_definition=definition)
    inner = type_.of_type if _is_optional(type_) else type_  # type: ignore[union-attr]
    return None if _is_leaf(schema, inner) else _as_strawberry_does(schema, type_)
