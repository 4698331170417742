"""A plan is freed with its document, at once: full collections are rare."""

import gc
import weakref
from typing import Annotated

import strawberry
from graphql import ExecutionResult, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.compiled import Plans


@strawberry.type
class Cat:
    name: str


@strawberry.type
class Dog:
    name: str
    friend: Cat

    @classmethod
    def is_type_of(cls, value: object, info: object) -> bool:
        return isinstance(value, Dog)


Pet = Annotated[Cat | Dog, strawberry.union("Pet")]


@strawberry.type
class Query:
    @strawberry.field
    def pets(self) -> list[Pet]:
        return [Cat(name="Mao"), Dog(name="Gou", friend=Cat(name="Mi"))]

    @strawberry.field
    def cat(self) -> Cat:
        return Cat(name="Mao")


def test_a_plan_that_was_executed_is_freed_without_a_collection() -> None:
    schema = strawberry.Schema(query=Query)._schema
    plans = Plans(schema)
    document = parse(
        "{ cat { name } pets { __typename ... on Cat { name } ... on Dog { friend { name } } } }",
        no_location=True,
    )
    plan = plans.plan(document, None, StrawberryGraphQLCoreExecutionContext)
    assert plan is not None
    for _ in range(3):
        result = plan.execute(None, None, None, operation_extensions=None)
        assert isinstance(result, ExecutionResult)
        assert result.errors is None
    gone = weakref.ref(plan), weakref.ref(next(iter(plan._variants.values())))
    gc.disable()
    try:
        del plan, document, result

        assert [one() for one in gone] == [None, None]
    finally:
        gc.enable()
    assert len(plans) == 0
