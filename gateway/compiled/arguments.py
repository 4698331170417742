"""Variables of an operation and arguments of a field.

Constants are computed when the plan is compiled and simple values are read here. Everything
else, in particular invalid values, is left to graphql-core, which reports the errors.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_argument_values,
    get_variable_values,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution import VariableValues
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValueSource

from gateway.compiled.coercing import Coerce, coercer, exact_input_class

if TYPE_CHECKING:
    from gateway.compiled.runs import Run

ReadArguments: TypeAlias = Callable[["Run"], dict[str, Any]]

COERCION: Mapping[str, Any] = {"max_coercion_errors": 1, "hide_suggestions": True}
"""Options of `graphql.execute`: invalid input gets its first error, without suggestions, which
cost more than reading the input."""

_IMMUTABLE = (str, int, float, bool, bytes, Enum, type(None))


class Variables:
    """Reads the variables of one operation."""

    def __init__(
        self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]
    ) -> None:
        self._schema = schema
        self._definitions = definitions
        self._readers: (
            list[tuple[str, GraphQLVariableSignature, type | None, bool, Coerce]] | None
        ) = []
        for definition in definitions:
            signature = get_variable_signature(schema, definition)
            if isinstance(signature, GraphQLError) or _is_recursive(signature.type, ()):
                self._readers = None
                break
            type_ = signature.type
            is_optional = not is_non_null_type(type_) and signature.default is None
            self._readers.append(
                (
                    signature.name,
                    signature,
                    exact_input_class(type_),
                    is_optional,
                    coercer(type_),
                )
            )

    def read(self, given: dict[str, Any]) -> VariableValues | list[GraphQLError]:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        if self._readers is None:
            return self._by_graphql_core(given)
        for name, signature, exact, is_optional, coerce in self._readers:
            value = given.get(name, Undefined)
            if value is Undefined:
                if not is_optional:
                    return self._by_graphql_core(given)
                sources[name] = VariableValueSource(signature)
                continue
            if value.__class__ is not exact:
                value = coerce(value)
                if value is Undefined:
                    return self._by_graphql_core(given)
            sources[name] = VariableValueSource(signature, given[name])
            coerced[name] = value
        return VariableValues(sources, coerced)

    def _by_graphql_core(self, given: dict[str, Any]) -> VariableValues | list[GraphQLError]:
        return get_variable_values(
            self._schema,
            self._definitions,
            given,
            max_errors=COERCION["max_coercion_errors"],
            hide_suggestions=COERCION["hide_suggestions"],
        )


def _is_recursive(type_: GraphQLInputType, above: tuple[object, ...]) -> bool:
    """Whether the input type contains itself, so that the depth of values is unlimited."""
    while is_non_null_type(type_) or is_list_type(type_):
        type_ = type_.of_type
    if not is_input_object_type(type_):
        return False
    return type_ in above or any(
        _is_recursive(field.type, (*above, type_)) for field in type_.fields.values()
    )


def argument_reader(
    definition: GraphQLField, node: FieldNode
) -> dict[str, Any] | ReadArguments | None:
    """None: no arguments. A dict: constant arguments. A function: computes them in each run."""
    if not definition.args:
        return None

    def by_graphql_core(run: "Run") -> dict[str, Any]:
        return get_argument_values(
            definition, node, run.variables, hide_suggestions=COERCION["hide_suggestions"]
        )

    variables: dict[str, str] = {}
    others: list[ArgumentNode] = []
    for argument in node.arguments or ():
        if isinstance(argument.value, VariableNode):
            variables[argument.name.value] = argument.value.name.value
        elif _has_variable(argument.value):
            return by_graphql_core
        else:
            others.append(argument)
    constants = _constants(definition, node, variables, others)
    if constants is None:
        return by_graphql_core
    return _with_variables(definition, variables, constants, by_graphql_core)


def _constants(
    definition: GraphQLField,
    node: FieldNode,
    variables: Collection[str],
    others: list[ArgumentNode],
) -> dict[str, Any] | None:
    """None if a value is invalid, or mutable, so that a resolver could change it."""
    args = {name: arg for name, arg in definition.args.items() if name not in variables}
    try:
        values = get_argument_values(
            GraphQLField(definition.type, args=args),
            FieldNode(name=node.name, arguments=tuple(others)),
            hide_suggestions=COERCION["hide_suggestions"],
        )
    except GraphQLError:
        return None
    return values if all(isinstance(value, _IMMUTABLE) for value in values.values()) else None


def _with_variables(
    definition: GraphQLField,
    variables: dict[str, str],
    constants: dict[str, Any],
    by_graphql_core: ReadArguments,
) -> dict[str, Any] | ReadArguments:
    if not variables:
        return constants
    outs = {name: argument.out_name or name for name, argument in definition.args.items()}
    template = {
        out: constants.get(out)
        for name, out in outs.items()
        if name in variables or out in constants
    }
    steps = [
        (outs[name], variable, is_non_null_type(definition.args[name].type))
        for name, variable in variables.items()
        if name in outs
    ]

    def read(run: "Run") -> dict[str, Any]:
        coerced = run.variables.coerced
        values = template.copy()
        for out, variable, non_null in steps:
            value = coerced.get(variable, Undefined)
            if value is Undefined or (value is None and non_null):
                return by_graphql_core(run)
            values[out] = value
        return values

    return read


def _has_variable(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(_has_variable(item) for item in value.values)
    if isinstance(value, ObjectValueNode):
        return any(_has_variable(field.value) for field in value.fields)
    return isinstance(value, VariableNode)
