"""A small search for slow documents; `make soak-validation` is the large one."""

import pytest
from graphql import GraphQLSchema

from gateway.schema import build_schema
from tests.http.test_documents import EXPENSIVE
from tests.soak.validation_search import (
    MAX_LENGTH,
    MAX_MS,
    Generator,
    as_the_gateway,
    search,
    without_limits,
)

SEED = 20_260


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    found: GraphQLSchema = build_schema()._schema
    return found


def test_no_generated_document_is_slow(schema: GraphQLSchema) -> None:
    generator = Generator(schema, SEED)

    found = search(as_the_gateway(schema), generator, 300, first=EXPENSIVE.values())

    assert found.worst_ms <= MAX_MS, f"{found.worst_ms:.0f} ms: {found.worst[:300]}"
    assert len(found.worst) <= MAX_LENGTH
    assert len(found.ends) > 10
    assert found.ends["valid"]


def test_without_limits_a_slow_one_is_found(schema: GraphQLSchema) -> None:
    """The control: no examples to begin with."""
    found = search(without_limits(schema), Generator(schema, SEED), 2_000, until_ms=MAX_MS)

    assert found.worst_ms > MAX_MS
