"""A plan: one operation of a validated document, compiled once and executed many times."""

from collections.abc import Awaitable
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FragmentDetails
from graphql.type import assert_valid_schema

from gateway.compiled.arguments import COERCION, Variables
from gateway.compiled.collecting import NotCovered, Scope, collect, collect_conditions
from gateway.compiled.completers import CompleteFn
from gateway.compiled.field_steps import step_for
from gateway.compiled.fields import Field
from gateway.compiled.runs import Run, is_awaitable
from gateway.compiled.selecting import Step, make_selection, make_serial_selection

MAX_VARIANTS = 8


def make_plan(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    executor_class: type[Executor[Any]],
) -> "Plan | None":
    """None if plans do not support the operation. The document must be valid."""
    operations = [
        node
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        and (operation_name is None or (node.name and node.name.value == operation_name))
    ]
    if len(operations) != 1 or schema.get_directive("defer") or schema.get_directive("stream"):
        return None
    assert_valid_schema(schema)
    try:
        return Plan(schema, document, operations[0], executor_class)
    except NotCovered:
        return None


class Plan:
    """Has a variant for each combination of `@skip` and `@include` values, compiled on first use."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        executor_class: type[Executor[Any]],
    ) -> None:
        self.schema = schema
        self.operation = operation
        self.executor_class = executor_class
        self.fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.fragment_details = {
            name: FragmentDetails(node) for name, node in self.fragments.items()
        }
        self._definitions = (operation, *self.fragments.values())
        self._conditions = collect_conditions(operation, self.fragments)
        self._root_type = _root_type(schema, operation)
        self._variables = Variables(schema, operation.variable_definitions or ())
        self._variants: dict[tuple[bool, ...], CompleteFn] = {}

    def execute(
        self,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        **options: Any,
    ) -> Awaitable[ExecutionResult] | ExecutionResult:
        """Like `graphql.execute`. `options` go to the executor class, which builds the resolvers' info."""
        variables = self._variables.read(variable_values or {})
        if isinstance(variables, list):
            return ExecutionResult(None, variables)
        conditions: tuple[Any, ...] = ()
        if self._conditions:
            conditions = tuple([variables.coerced.get(name) for name in self._conditions])
        select = self._variants.get(conditions) or self._variant(conditions)
        if select is None:
            return self._by_graphql_core(root_value, context_value, variable_values, options)
        run = Run(self, root_value, context_value, variables, options)
        try:
            data = select(run, root_value, None)
        except GraphQLError as error:
            run.add(error, None)
            data = None
        if run.pending and is_awaitable(data):
            return _awaited(run, data)
        return ExecutionResult(data, run.errors or None)

    def _variant(self, conditions: tuple[Any, ...]) -> CompleteFn | None:
        """None if a condition has no value: graphql-core then reports the error."""
        if not all(isinstance(value, bool) for value in conditions):
            return None
        if len(self._variants) == MAX_VARIANTS:
            del self._variants[next(iter(self._variants))]
        made = self._variants[conditions] = self._root(conditions)
        return made

    def _root(self, conditions: tuple[bool, ...]) -> CompleteFn:
        values = dict(zip(self._conditions, conditions, strict=True))
        scope = Scope(self.schema, self.fragments, values)
        is_mutation = self.operation.operation is OperationType.MUTATION
        make = make_serial_selection if is_mutation else make_selection
        return make(_steps(scope, self._root_type, [self.operation.selection_set]))

    def _by_graphql_core(
        self, root: Any, context: Any, variables: dict[str, Any] | None, options: dict[str, Any]
    ) -> Awaitable[ExecutionResult] | ExecutionResult:
        return execute(
            self.schema,
            DocumentNode(definitions=self._definitions),
            root,
            context,
            variables,
            self.operation.name.value if self.operation.name else None,
            executor_class=self.executor_class,
            is_awaitable=is_awaitable,
            **{**COERCION, **options},
        )


def _root_type(schema: GraphQLSchema, operation: OperationDefinitionNode) -> GraphQLObjectType:
    root_type = schema.get_root_type(operation.operation)
    if root_type is None or operation.operation is OperationType.SUBSCRIPTION:
        raise NotCovered
    return root_type


def _steps(
    scope: Scope, type_: GraphQLObjectType, selection_sets: list[SelectionSetNode]
) -> list[Step]:
    def selection_of(object_type: GraphQLObjectType, field: Field) -> CompleteFn:
        inner = [node.selection_set for node in field.nodes if node.selection_set]
        return make_selection(_steps(scope, object_type, inner))

    steps: list[Step] = []
    for key, nodes in collect(scope, type_, selection_sets).items():
        definition = scope.schema.get_field(type_, nodes[0].name.value)
        if definition is not None:
            field = Field(key, definition, nodes, type_, scope.schema)
            steps.append(step_for(field, selection_of))
    return steps


async def _awaited(run: Run, data: Awaitable[dict[str, Any]]) -> ExecutionResult:
    try:
        return ExecutionResult(await data, run.errors or None)
    except GraphQLError as error:
        run.add(error, None)
        return ExecutionResult(None, run.errors or None)
