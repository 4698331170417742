"""The state of one execution of a plan: context, errors and pending awaitables."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeGuard, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    located_error,
)
from graphql.execution import (
    Executor,
    VariableValues,
    default_field_resolver,
    default_type_resolver,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.pyutils import Path as CorePath
from strawberry.execution import optimized_is_awaitable

Path: TypeAlias = tuple[Any, str | int, str | None]
"""A path in the response: the parent path, the key or index, and the name of the parent type.
Like graphql-core's `Path`, but as a plain tuple, which is created five times faster."""


is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


class PlannedOperation(Protocol):
    """The attributes of a plan that a run uses."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    executor_class: type[Executor[Any]]
    fragments: dict[str, FragmentDefinitionNode]
    fragment_details: dict[str, FragmentDetails]


class Run:
    """`pending` counts the awaitables put into the response, so that one comparison tells whether
    a part of it contains any."""

    __slots__ = (
        "_executor",
        "_nulled",
        "context",
        "errors",
        "options",
        "pending",
        "plan",
        "root",
        "variables",
    )

    def __init__(
        self,
        plan: PlannedOperation,
        root: Any,
        context: Any,
        variables: VariableValues,
        options: dict[str, Any],
    ) -> None:
        self.plan = plan
        self.root = root
        self.context = context
        self.variables = variables
        self.options = options
        self.pending = 0
        self.errors: list[GraphQLError] = []
        self._nulled: set[Path | None] = set()
        self._executor: Executor[Any] | None = None

    def later(self, awaitable: Awaitable[Any]) -> Awaitable[Any]:
        self.pending += 1
        return awaitable

    def fail(self, error: Exception, nodes: list[FieldNode], path: Path, *, non_null: bool) -> None:
        """Records the error for a nullable position, or raises it for the parent to handle."""
        located = located_error(error, nodes, keys(path))
        if non_null:
            raise located
        self.add(located, path)

    def add(self, error: GraphQLError, path: Path | None) -> None:
        """Ignores the error if the position or a parent of it is null already."""
        above = path
        while above is not None:
            if above in self._nulled:
                return
            above = above[0]
        if None not in self._nulled:
            self._nulled.add(path)
            self.errors.append(error)

    @property
    def executor(self) -> "Executor[Any]":
        """graphql-core's executor, created lazily: builds `info` and tracks background tasks."""
        if self._executor is None:
            plan = self.plan
            self._executor = plan.executor_class(
                plan.schema,
                plan.fragments,
                plan.fragment_details,
                self.root,
                self.context,
                plan.operation,
                self.variables,
                default_field_resolver,
                default_type_resolver,
                default_field_resolver,
                is_awaitable=is_awaitable,
                **self.options,
            )
        return self._executor

    def info(
        self,
        definition: GraphQLField,
        nodes: list[FieldNode],
        parent_type: GraphQLObjectType,
        path: Path,
    ) -> Any:
        return self.executor.build_resolve_info(
            definition, list(nodes), parent_type, core_path(path)
        )

    def abandon(self, awaitables: list[Any]) -> None:
        """An error propagates at once; the awaitables of its siblings finish in the background."""
        if awaitables:
            self.executor.async_helpers.track(awaitables)


def keys(path: Path | None) -> list[str | int]:
    """The keys of the path, from the root."""
    found: list[str | int] = []
    while path is not None:
        found.append(path[1])
        path = path[0]
    found.reverse()
    return found


def field_path(path: Path) -> Path:
    """The path of the field that contains the item of a (nested) list."""
    while isinstance(path[1], int):
        path = path[0]
    return path


def core_path(path: Path) -> CorePath:
    above, key, typename = path
    return CorePath(None if above is None else core_path(above), key, typename)
