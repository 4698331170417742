"""CollectFields: the fields of a selection set for an object type, with @skip and @include applied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
    type_from_ast,
)

_NOT_COVERED = ("defer", "stream", "experimental_disableErrorPropagation")


class NotCovered(Exception):
    """Plans do not support it: introspection, incremental delivery, fragment arguments."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The schema and fragments of an operation, and the values of its @skip/@include variables."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    conditions: Mapping[str, bool]


def collect(
    scope: Scope, type_: GraphQLObjectType, selection_sets: Iterable[SelectionSetNode]
) -> dict[str, list[FieldNode]]:
    """The field nodes of each response key, in response order."""
    fields: dict[str, list[FieldNode]] = {}
    spread: set[str] = set()
    for selections in selection_sets:
        _collect(scope, type_, selections, fields, spread)
    return fields


def _collect(
    scope: Scope,
    type_: GraphQLObjectType,
    selections: SelectionSetNode,
    fields: dict[str, list[FieldNode]],
    spread: set[str],
) -> None:
    for node in selections.selections:
        if not _is_included(node.directives, scope.conditions):
            continue
        if isinstance(node, FieldNode):
            fields.setdefault((node.alias or node.name).value, []).append(node)
        elif isinstance(node, InlineFragmentNode):
            if _applies(scope.schema, node, type_):
                _collect(scope, type_, node.selection_set, fields, spread)
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            fragment = scope.fragments.get(name)
            if fragment and name not in spread and _applies(scope.schema, fragment, type_):
                spread.add(name)
                _collect(scope, type_, fragment.selection_set, fields, spread)


def _applies(
    schema: GraphQLSchema,
    fragment: FragmentDefinitionNode | InlineFragmentNode,
    type_: GraphQLObjectType,
) -> bool:
    if fragment.type_condition is None:
        return True
    condition = type_from_ast(schema, fragment.type_condition)
    return condition is type_ or (
        is_abstract_type(condition) and schema.is_sub_type(condition, type_)
    )


def _is_included(
    directives: Iterable[DirectiveNode] | None, conditions: Mapping[str, bool]
) -> bool:
    """@skip takes precedence over @include."""
    found: dict[str, bool] = {}
    for directive in directives or ():
        name = directive.name.value
        if name in ("skip", "include") and name not in found:
            found[name] = _condition(directive, conditions)
    return not found.get("skip", False) and found.get("include", True)


def _condition(directive: DirectiveNode, conditions: Mapping[str, bool]) -> bool:
    value = _value(directive)
    if isinstance(value, VariableNode):
        return conditions[value.name.value]
    assert isinstance(value, BooleanValueNode)
    return value.value


def _value(directive: DirectiveNode) -> object:
    return next(
        (argument.value for argument in directive.arguments or () if argument.name.value == "if"),
        None,
    )


def collect_conditions(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> tuple[str, ...]:
    """The variables that @skip and @include use. Raises `NotCovered`."""
    variables: dict[str, None] = {}
    if any(node.name.value in _NOT_COVERED for node in operation.directives or ()):
        raise NotCovered
    for directive in _directives(operation.selection_set, fragments, set()):
        name = directive.name.value
        if name in _NOT_COVERED:
            raise NotCovered
        if name in ("skip", "include"):
            value = _value(directive)
            if isinstance(value, VariableNode):
                variables[value.name.value] = None
            elif not isinstance(value, BooleanValueNode):
                raise NotCovered
    return tuple(variables)


def _directives(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[DirectiveNode]:
    for node in selections.selections:
        yield from node.directives or ()
        inner: SelectionSetNode | None = None
        if isinstance(node, FieldNode):
            if node.name.value in ("__schema", "__type"):
                raise NotCovered
            inner = node.selection_set
        elif isinstance(node, InlineFragmentNode):
            inner = node.selection_set
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            fragment = fragments.get(name)
            if fragment is not None and name not in seen:
                seen.add(name)
                if fragment.variable_definitions:
                    raise NotCovered
                inner = fragment.selection_set
        if inner is not None:
            yield from _directives(inner, fragments, seen)
