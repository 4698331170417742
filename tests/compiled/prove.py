"""Runs many generated cases through plans and through graphql-core, and compares.

.venv/bin/python -m tests.compiled.prove [--cases 100000] [--seed 1]
"""

import argparse
import asyncio
import time
import warnings
from collections import Counter

import hypothesis.strategies as st
from graphql import GraphQLSchema, print_schema
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.compiled.documents import Case, cases
from tests.compiled.graphql_fixture import SDL, build_graphql_fixture
from tests.compiled.proof import Root, prove
from tests.compiled.strawberry_fixture import build_strawberry_fixture

WORLDS = 4
"""Each document is run in so many worlds: its resolvers do other things in each."""


def schemas() -> dict[str, tuple[GraphQLSchema, str, bool]]:
    schema = build_strawberry_fixture()._schema
    return {
        "strawberry": (schema, print_schema(schema), True),
        "graphql": (build_graphql_fixture(), SDL, False),
    }


def run(name: str, count: int, seeded: int, worlds: int = WORLDS) -> Counter[str]:
    schema, sdl, strawberry = schemas()[name]
    seen: Counter[str] = Counter()

    @seed(seeded)
    @settings(
        max_examples=count // worlds,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases(schema, sdl), st.integers(0, 2**20))
    def check(case: Case, world: int) -> None:
        seen["documents"] += 1
        seen["with variables"] += bool(case.variables)
        seen["with fragments"] += "fragment " in case.text
        seen["with conditions"] += "@skip" in case.text or "@include" in case.text
        for number in range(world, world + worlds):
            outcome = runner.run(prove(schema, case, Root(f"{number}"), strawberry=strawberry))
            seen["cases"] += 1
            seen["with errors"] += bool(outcome.errors)
            seen["with data"] += outcome.data != b"null"

    with asyncio.Runner() as runner, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        check()
    return seen


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cases", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    given_options = options.parse_args()
    for name in schemas():
        began = time.monotonic()
        seen = run(name, given_options.cases // len(schemas()), given_options.seed)
        print(f"{name}: alike in {dict(seen)}; {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
