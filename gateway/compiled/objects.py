"""Completion of object types, and of unions and interfaces."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLObjectType,
    Undefined,
    default_type_resolver,
    is_object_type,
)
from graphql.pyutils import inspect

from gateway.compiled.completers import CompleteFn
from gateway.compiled.fields import Field
from gateway.compiled.runs import Path, Run, field_path, is_awaitable
from gateway.compiled.strawberry_types import decides_by_class, recast

SelectionOf: TypeAlias = Callable[[GraphQLObjectType, Field], CompleteFn]
"""Compiles the selection set of a field for an object type."""


def complete_object(
    field: Field,
    type_: GraphQLObjectType,
    selection_of: SelectionOf,
    direct: dict[type, CompleteFn],
) -> CompleteFn:
    as_object, selection = _as_object(field, type_, selection_of)

    def complete(run: Run, value: Any, path: Path) -> Any:
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        if decides_by_class(type_, type_, value):
            checked = type_.is_type_of is not None
            direct[value.__class__] = recast(selection(), as_object) if checked else selection()
        return as_object(run, value, path)

    return complete


def _as_object(
    field: Field, type_: GraphQLObjectType, selection_of: SelectionOf
) -> tuple[CompleteFn, Callable[[], CompleteFn]]:
    """Checks the type of the value and executes its selection set, which is compiled lazily."""

    @cache
    def selection() -> CompleteFn:
        return selection_of(type_, field)

    def select(run: Run, value: Any, path: Path) -> Any:
        return selection()(run, value, path)

    is_type_of = type_.is_type_of
    if is_type_of is None:
        return select, selection

    def check(run: Run, value: Any, path: Path) -> Any:
        is_type = is_type_of(value, field.info(run, field_path(path)))
        if is_awaitable(is_type):
            return run.later(check_awaited(run, value, path, is_type))
        return checked(run, value, path, is_type)

    async def check_awaited(run: Run, value: Any, path: Path, is_type: Any) -> Any:
        part = checked(run, value, path, await is_type)
        return await part if is_awaitable(part) else part

    def checked(run: Run, value: Any, path: Path, is_type: object) -> Any:
        if not is_type:
            raise GraphQLError(
                f"Expected value of type '{type_}' but got: {inspect(value)}.", field.nodes
            )
        return select(run, value, path)

    return check, selection


def complete_abstract(
    field: Field,
    type_: GraphQLAbstractType,
    selection_of: SelectionOf,
    direct: dict[type, CompleteFn],
) -> CompleteFn:
    resolve_type = type_.resolve_type or default_type_resolver

    @cache
    def part_for(object_type: GraphQLObjectType) -> tuple[CompleteFn, Callable[[], CompleteFn]]:
        return _as_object(field, object_type, selection_of)

    def complete(run: Run, value: Any, path: Path) -> Any:
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        name = resolve_type(value, field.info(run, field_path(path)), type_)
        if is_awaitable(name):
            return run.later(complete_awaited(run, value, path, name))
        object_type = _valid_type(field, type_, value, name)
        as_object, selection = part_for(object_type)
        if decides_by_class(type_, object_type, value):
            direct[value.__class__] = recast(selection(), complete_cast)
        return as_object(run, value, path)

    def complete_cast(run: Run, value: Any, path: Path) -> Any:
        """As `complete`, but without a reference to `direct`, which refers to this function."""
        name = resolve_type(value, field.info(run, field_path(path)), type_)
        if is_awaitable(name):
            return run.later(complete_awaited(run, value, path, name))
        as_object, _ = part_for(_valid_type(field, type_, value, name))
        return as_object(run, value, path)

    async def complete_awaited(run: Run, value: Any, path: Path, name: Any) -> Any:
        as_object, _ = part_for(_valid_type(field, type_, value, await name))
        part = as_object(run, value, path)
        return await part if is_awaitable(part) else part

    return complete


def _valid_type(
    field: Field, type_: GraphQLAbstractType, value: Any, name: Any
) -> GraphQLObjectType:
    """The object type of that name. The messages of its errors are graphql-core's."""
    name_of_field = f"'{field.parent_type}.{field.nodes[0].name.value}'"
    if name is None:
        raise GraphQLError(
            f"Abstract type '{type_}' must resolve to an Object type at runtime for field"
            f" {name_of_field}. Either the '{type_}' type should provide a 'resolve_type'"
            " function or each possible type should provide an 'is_type_of' function.",
            field.nodes,
        )
    if not isinstance(name, str):
        raise GraphQLError(
            f"Abstract type '{type_}' must resolve to an Object type at runtime for field"
            f" {name_of_field} with value {inspect(value)}, received '{inspect(name)}', which is"
            " not a valid Object type name.",
            field.nodes,
        )
    found = field.schema.get_type(name)
    if found is None:
        raise GraphQLError(
            f"Abstract type '{type_}' was resolved to a type '{name}' that does not exist inside"
            " the schema.",
            field.nodes,
        )
    if not is_object_type(found):
        raise GraphQLError(
            f"Abstract type '{type_}' was resolved to a non-object type '{name}'.", field.nodes
        )
    if not field.schema.is_sub_type(type_, found):
        raise GraphQLError(
            f"Runtime Object type '{found}' is not a possible type for '{type_}'.", field.nodes
        )
    return found
