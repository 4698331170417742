"""The plans of documents, and the replacement of `graphql.execute`."""

import weakref
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeGuard

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute
from graphql.execution import Executor, MiddlewareManager
from graphql.execution.incremental.incremental_executor import IncrementalExecutor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.compiled.arguments import COERCION
from gateway.compiled.plans import Plan, make_plan

_EXECUTORS = (IncrementalExecutor, StrawberryGraphQLCoreExecutionContext)
_UNSUPPORTED_OPTIONS = frozenset(
    (
        "abort_signal",
        "enable_early_execution",
        "field_resolver",
        "hide_suggestions",
        "hooks",
        "is_async_iterable",
        "max_coercion_errors",
        "subscribe_field_resolver",
        "type_resolver",
    )
)


class _Made(NamedTuple):
    plan: Plan | None
    document: weakref.ref[DocumentNode]


class Plans:
    """The plans of one schema, by document and operation name.

    A plan is kept as long as its document, compared by identity: callers should cache parsed
    documents. A document or an option that plans do not support is executed by graphql-core
    entirely.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._made: dict[tuple[int, str | None], _Made] = {}

    def __len__(self) -> int:
        return len(self._made)

    def execute(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        operation_name: str | None = None,
        *,
        middleware: MiddlewareManager | None = None,
        executor_class: type[Executor[Any]] | None = None,
        is_awaitable: Callable[[Any], TypeGuard[Awaitable[Any]]] | None = None,
        **options: Any,
    ) -> Awaitable[ExecutionResult] | ExecutionResult:
        """Like `graphql.execute`. Unknown `options` are passed to the executor class."""
        executor_class = executor_class or IncrementalExecutor
        plan = None
        if (
            schema is self._schema
            and executor_class in _EXECUTORS
            and not (middleware and middleware.middlewares)
            and _UNSUPPORTED_OPTIONS.isdisjoint(options)
        ):
            plan = self.plan(document, operation_name, executor_class)
        if plan is None:
            return execute(
                schema,
                document,
                root_value,
                context_value,
                variable_values,
                operation_name,
                middleware=middleware,
                executor_class=executor_class,
                is_awaitable=is_awaitable,
                **{**COERCION, **options},
            )
        return plan.execute(root_value, context_value, variable_values, **options)

    def plan(
        self,
        document: DocumentNode,
        operation_name: str | None,
        executor_class: type[Executor[Any]],
    ) -> Plan | None:
        key = (id(document), operation_name)
        made = self._made.get(key)
        if made is None:
            plan = make_plan(self._schema, document, operation_name, executor_class)
            forget = weakref.ref(document, lambda _: self._made.pop(key, None))
            made = self._made[key] = _Made(plan, forget)
        return made.plan
