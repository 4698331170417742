"""Completion of scalars and enums."""

import datetime
import decimal
import uuid
from collections.abc import Iterable
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import inspect
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from gateway.compiled.completers import CompleteFn
from gateway.compiled.runs import Path, Run, is_awaitable

_IDENTITY_CLASSES: dict[GraphQLLeafType, type] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
}
_PLAIN = (
    bool,
    bytes,
    datetime.date,
    datetime.datetime,
    datetime.time,
    decimal.Decimal,
    float,
    int,
    str,
    uuid.UUID,
)


def exact_class(type_: GraphQLLeafType) -> type | None:
    """Values of exactly this class are serialised as themselves."""
    return _IDENTITY_CLASSES.get(type_)


def complete_leaf(type_: GraphQLLeafType) -> CompleteFn:
    coerce = type_.coerce_output_value

    def complete(run: Run, value: Any, path: Path) -> Any:
        if value is None or value is Undefined:
            return None
        if isinstance(value, Exception):
            raise value
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise TypeError(
                f"Expected `{inspect(type_)}.coerce_output_value({inspect(value)})` to return"
                f" non-nullable value, returned: {inspect(coerced)}"
            )
        if is_awaitable(coerced):
            run.pending += 1
        return coerced

    return complete


def direct_leaf(type_: GraphQLLeafType, complete: CompleteFn) -> dict[type, CompleteFn]:
    """Completion functions for classes that are never awaitable."""
    direct = dict.fromkeys(_PLAIN, complete)
    if type_ is GraphQLInt:
        direct[int] = _small_int(complete)
    return direct


def _small_int(complete: CompleteFn) -> CompleteFn:
    def direct(run: Run, value: Any, path: Path) -> Any:
        if GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT:
            return value
        return complete(run, value, path)

    return direct


def member_names(type_: GraphQLLeafType) -> dict[int, Any]:
    """Names of enum members by identity, which is stable; empty for other types."""
    if type(type_) is not CustomGraphQLEnumType:
        return {}
    members: Iterable[Any] = type_.wrapped_cls
    return {id(member): type_.coerce_output_value(member) for member in members}
