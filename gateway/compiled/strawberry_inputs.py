"""Converts GraphQL arguments to those of a strawberry resolver: Python names, input objects.

Equivalent to strawberry's `convert_arguments`, with all look-ups made at compile time. Unusual
types (`Maybe`, global ids, hooks, nested inputs) are left to strawberry.
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
_Converter: TypeAlias = Callable[[Any, Info, tuple[str, ...]], Any]


def argument_converter(schema: Schema, field: StrawberryField) -> Convert:
    names = schema.config.name_converter
    steps = [
        (names.from_argument(argument), argument.python_name, _converter(schema, argument.type))
        for argument in field.arguments
    ]

    def convert(given: Arguments, info: Info) -> Arguments:
        named: Arguments = {}
        for name, python_name, convert_value in steps:
            if name in given:
                value = given[name]
                named[python_name] = (
                    value if convert_value is None else convert_value(value, info, (name,))
                )
        return named

    return convert


def _converter(schema: Schema, type_: Any) -> _Converter | None:
    """None if graphql-core has converted the value already: scalars and enums."""
    inner = type_.of_type if _is_optional(type_) else type_
    if _is_leaf(schema, inner):
        return None
    if isinstance(inner, StrawberryList) and _is_leaf(schema, _item(inner)):
        return _copy_list
    definition = get_object_definition(inner)
    if definition is not None and definition.is_input and definition.from_input is None:
        return _input_object(schema, inner, definition)
    return _strawberry_converter(schema, type_)


def _is_optional(type_: Any) -> bool:
    return isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe)


def _item(type_: StrawberryList) -> Any:
    return type_.of_type.of_type if _is_optional(type_.of_type) else type_.of_type  # type: ignore[union-attr]


def _is_leaf(schema: Schema, type_: Any) -> bool:
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
        return True
    return type_ is not GlobalID and is_scalar(type_, schema.schema_converter.scalar_registry)


def _copy_list(value: Any, _info: Info, _path: tuple[str, ...]) -> Any:
    return value if value is None or value is UNSET else list(value)


def _strawberry_converter(schema: Schema, type_: Any) -> _Converter:
    registry, config = schema.schema_converter.scalar_registry, schema.config

    def convert_value(value: Any, info: Info, path: tuple[str, ...]) -> Any:
        return convert_argument(value, type_, registry, config, info, path=path)

    return convert_value


def _input_object(schema: Schema, type_: Any, definition: StrawberryObjectDefinition) -> _Converter:
    names = schema.config.name_converter
    absent = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }
    steps = [
        (names.from_field(field), field.python_name, _nested_converter(schema, field, definition))
        for field in definition.fields
    ]

    def convert_value(value: Any, info: Info, path: tuple[str, ...]) -> Any:
        if value is None or value is UNSET:
            return value
        named: Arguments = absent.copy()
        for name, python_name, convert_field in steps:
            if name in value:
                item = value[name]
                named[python_name] = (
                    item if convert_field is None else convert_field(item, info, (*path, name))
                )
        return type_(**named)

    return convert_value


def _nested_converter(
    schema: Schema, field: StrawberryField, definition: StrawberryObjectDefinition
) -> _Converter | None:
    type_ = field.resolve_type(type_definition=definition)
    inner = type_.of_type if _is_optional(type_) else type_  # type: ignore[union-attr]
    return None if _is_leaf(schema, inner) else _strawberry_converter(schema, type_)
