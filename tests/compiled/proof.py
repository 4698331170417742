"""One case, run by its plan and by graphql-core, must end alike: bytes, errors and their order."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute, parse
from graphql.execution import Executor
from graphql.execution.incremental.incremental_executor import IncrementalExecutor
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.compiled import COERCION, make_plan
from tests.compiled.documents import Case


@dataclass
class Root:
    seed: str


@dataclass(frozen=True)
class Outcome:
    data: bytes
    errors: list[Any]


async def prove(
    schema: GraphQLSchema, case: Case, root: Any, context: Any = None, *, strawberry: bool
) -> Outcome:
    """Raises AssertionError where the two differ."""
    document = parse(case.text)
    executor: type[Executor[Any]] = (
        StrawberryGraphQLCoreExecutionContext if strawberry else IncrementalExecutor
    )
    options: dict[str, Any] = {"operation_extensions": None} if strawberry else {}
    plan = make_plan(schema, document, None, executor)
    assert plan is not None, case.text
    reference = await _outcome(
        execute(
            schema,
            document,
            root,
            context,
            dict(case.variables),
            executor_class=executor,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            **COERCION,
            **options,
        )
    )
    for attempt in range(2):  # the second time by what was learnt in the first
        planned = await _outcome(plan.execute(root, context, dict(case.variables), **options))
        assert planned == reference, (attempt, case.text, case.variables, planned, reference)
    return reference


async def _outcome(result: Any) -> Outcome:
    if asyncio.iscoroutine(result):
        result = await result
    assert isinstance(result, ExecutionResult)
    data = orjson.dumps(result.data, default=repr)
    errors = [_facts(error) for error in result.errors or ()]
    for _ in range(8):  # what was abandoned ends
        await asyncio.sleep(0)
    assert len(result.errors or ()) == len(errors), "an error came after the answer"
    return Outcome(data, errors)


def _facts(error: GraphQLError) -> Mapping[str, Any]:
    cause = error.original_error
    return {
        "message": error.message,
        "path": error.path,
        "locations": error.locations,
        "extensions": error.extensions,
        "cause": (type(cause), str(cause)),
        "nodes": error.nodes and len(error.nodes),
    }
