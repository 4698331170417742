"""Coercion of variable values, by functions that are compiled once for each type.

Equivalent to graphql-core's `coerce_input_value`, which inspects the type for every value. It
is still called for invalid and unusual values; it returns `Undefined` for invalid ones.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLString,
    Undefined,
    coerce_input_value,
    is_input_object_type,
    is_non_null_type,
    is_required_input_field,
)
from graphql.utilities.coerce_input_value import coerce_default_value

Coerce: TypeAlias = Callable[[Any], Any]

_IDENTITY_CLASSES: dict[object, type] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}


def exact_input_class(type_: GraphQLInputType) -> type | None:
    """Values of exactly this class are coerced to themselves."""
    return _IDENTITY_CLASSES.get(type_.of_type if is_non_null_type(type_) else type_)


def coercer(type_: GraphQLInputType) -> Coerce:
    """`type_` must not be recursive."""
    inner = type_.of_type if is_non_null_type(type_) else type_
    if is_input_object_type(inner) and not inner.is_one_of:
        return _input_object(inner, nullable=inner is type_)
    return lambda value: coerce_input_value(value, type_)


def _input_object(type_: GraphQLInputObjectType, *, nullable: bool) -> Coerce:
    fields = [
        (
            name,
            field.out_name or name,
            field,
            exact_input_class(field.type),
            is_required_input_field(field),
            coercer(field.type),
        )
        for name, field in type_.fields.items()
    ]
    out_type = type_.out_type
    is_plain = out_type is GraphQLInputObjectType.out_type

    def coerce(value: Any) -> Any:
        if value is None and nullable:
            return None
        if value.__class__ is not dict:
            return Undefined if value is None else coerce_input_value(value, type_)
        coerced: dict[str, Any] = {}
        known = 0
        for name, out_name, field, exact, required, coerce_field in fields:
            given = value.get(name, Undefined)
            if given is Undefined:
                if required:
                    return Undefined
                default = coerce_default_value(field)
                if default is not Undefined:
                    coerced[out_name] = default
                continue
            known += 1
            if given.__class__ is not exact:
                given = coerce_field(given)
                if given is Undefined:
                    return Undefined
            coerced[out_name] = given
        if known != len(value):
            return coerce_input_value(value, type_)
        return coerced if is_plain else out_type(coerced)

    return coerce
