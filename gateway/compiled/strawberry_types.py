"""Object types that can be determined by the Python class of a value alone."""

from typing import Any

from graphql import GraphQLNamedType, GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.union import StrawberryUnion

from gateway.compiled.completers import CompleteFn
from gateway.compiled.runs import Path, Run

_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


def decides_by_class(
    declared: GraphQLNamedType, object_type: GraphQLObjectType, value: Any
) -> bool:
    """Whether all values of exactly this class, unless cast, have the same GraphQL type.

    False for generic types, types with `is_type_of` or `resolve_type`, and classes whose
    instances are exceptions or awaitable.
    """
    class_ = value.__class__
    own = class_.__dict__.get("__strawberry_definition__")
    definition = object_type.extensions.get(_BACKREF)
    return (
        own is definition
        and isinstance(own, StrawberryObjectDefinition)
        and own.origin is class_
        and not own.is_graphql_generic
        and own.concrete_of is None
        and own.is_type_of is None
        and _uses_default_type_resolver(declared)
        and not issubclass(class_, Exception)
        and not hasattr(class_, "__await__")
        and getattr(value, TYPE_CAST_ATTRIBUTE, None) is None
    )


def _uses_default_type_resolver(declared: GraphQLNamedType) -> bool:
    definition = declared.extensions.get(_BACKREF)
    if isinstance(definition, StrawberryUnion):
        return type(definition).get_type_resolver is StrawberryUnion.get_type_resolver
    return isinstance(definition, StrawberryObjectDefinition) and definition.resolve_type is None


def recast(part: CompleteFn, complete: CompleteFn) -> CompleteFn:
    """`part`, except for a value that `strawberry.cast` has marked as another type."""

    def direct(run: Run, value: Any, path: Path) -> Any:
        if getattr(value, TYPE_CAST_ATTRIBUTE, None) is None:
            return part(run, value, path)
        return complete(run, value, path)

    return direct
