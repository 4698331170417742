"""A field of a plan, and its resolver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
)

from gateway.compiled.runs import Path, Run

Arguments: TypeAlias = dict[str, Any]
Plain: TypeAlias = Callable[[Any], Any]
Call: TypeAlias = Callable[[Run, Any, Path, Arguments], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A response key of one object type, with its definition and nodes. Immutable."""

    key: str
    definition: GraphQLField
    nodes: list[FieldNode]
    parent_type: GraphQLObjectType
    schema: GraphQLSchema

    def info(self, run: Run, path: Path) -> Any:
        return run.info(self.definition, self.nodes, self.parent_type, path)


@dataclass(frozen=True, slots=True)
class Resolver:
    call: Call
    """Called with the run, the source, the path and the arguments; may return an awaitable."""
    plain: Plain | None = None
    """Equivalent to `call`, if the resolver needs the source only."""
    is_async: bool = False
    """Whether `call` is a coroutine function."""


def resolver_of_default(field: Field) -> Resolver:
    """graphql-core's default resolver: the attribute or key of that name, called if callable."""
    name = field.nodes[0].name.value

    def call(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        return value(field.info(run, path), **arguments) if callable(value) else value

    return Resolver(call)


def resolver_as_given(field: Field) -> Resolver:
    """The resolver of the schema, called as graphql-core would."""
    resolve = field.definition.resolve
    assert resolve is not None

    def call(run: Run, source: Any, path: Path, arguments: Arguments) -> Any:
        return resolve(source, field.info(run, path), **arguments)

    return Resolver(call)
