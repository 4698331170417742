"""The LRU cache of plans, and the replacement of `graphql.execute`."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeGuard

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute
from graphql.execution import Executor, MiddlewareManager
from graphql.execution.incremental.incremental_executor import IncrementalExecutor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.compiled.plans import Plan, make_plan

MAX_PLANS = 512
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


class Plans:
    """An LRU cache of the plans of one schema, by document and operation name.

    Documents are compared by identity, so callers should cache parsed documents. A document or
    an option that plans do not support is executed by graphql-core entirely.
    """

    def __init__(self, schema: GraphQLSchema, most: int = MAX_PLANS) -> None:
        self._schema = schema
        self._max_plans = most
        self._cache: OrderedDict[tuple[int, str | None], tuple[DocumentNode, Plan | None]] = (
            OrderedDict()
        )

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
                **options,
            )
        return plan.execute(root_value, context_value, variable_values, **options)

    def plan(
        self,
        document: DocumentNode,
        operation_name: str | None,
        executor_class: type[Executor[Any]],
    ) -> Plan | None:
        key = (id(document), operation_name)
        cached = self._cache.get(key)
        if cached is not None:
            self._cache.move_to_end(key)
            return cached[1]
        plan = make_plan(self._schema, document, operation_name, executor_class)
        self._cache[key] = (document, plan)
        if len(self._cache) > self._max_plans:
            self._cache.popitem(last=False)
        return plan
