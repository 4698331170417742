"""Measures what bodies of up to 1 MB take of CPU, against the points that are charged for them.

    .venv/bin/python -m tests.soak.variables_search [--bodies 2000] [--seed 1] [--control]

Bodies are generated for every operation that takes an input: lists, nesting, long texts and names,
unknown fields, values of the wrong kind, keys beside `variables` that nothing reads; some are cut
off. Passes when none takes more than 5 ms of CPU and 0.3 ms for each point. `--control` charges
bodies nothing, coerces variables of any size and looks for suggestions: a body must be dearer.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from graphql import GraphQLInputObjectType, GraphQLSchema, get_named_type

from core import migrations
from gateway.cli.serve import GARBAGE_THRESHOLDS
from gateway.compiled import arguments
from gateway.http.admission import Budgets, RateLimitStatus, admission, variables
from gateway.schema import build_schema
from tests.conftest import running, settings_for

MAX_BODY = 1_048_576
MS, MS_OF_A_POINT = 5.0, 0.3
_LENGTHS = (1, 10, 100, 900, 1_100, 10_000, 100_000)


@dataclass
class Measured:
    ms: float
    points: int
    body: bytes

    @property
    def excess(self) -> float:
        """1 is the most that passes."""
        return self.ms / (MS + MS_OF_A_POINT * self.points)


class Bodies:
    def __init__(self, schema: GraphQLSchema, seed: int) -> None:
        self._random = random.Random(seed)
        mutation = schema.mutation_type
        assert mutation is not None
        self._inputs = {
            name: kind
            for name, field in mutation.fields.items()
            for argument in field.args.values()
            if isinstance(kind := get_named_type(argument.type), GraphQLInputObjectType)
        }

    def documents(self) -> Iterator[str]:
        for name, kind in self._inputs.items():
            yield f"mutation($input: {kind.name}!) {{ {name}(input: $input) {{ __typename }} }}"

    def body(self) -> bytes:
        chance = self._random
        place = chance.randrange(len(self._inputs))
        kind = list(self._inputs.values())[place]
        given: dict[str, Any] = {"query": list(self.documents())[place]}
        given["variables"] = {"input": self._input(kind)}
        if chance.random() < 0.2:
            given[chance.choice(("extensions", "junk"))] = {"a": self._anything()}
        body = json.dumps(given).encode()[:MAX_BODY]
        return body[: chance.randrange(len(body))] if chance.random() < 0.1 else body

    def _input(self, kind: GraphQLInputObjectType) -> Any:
        chance = self._random
        found: dict[str, Any] = {
            name: self._anything() if chance.random() < 0.1 else "19900001001"
            for name in kind.fields
        }
        change = chance.randrange(5)
        if change == 0:
            return self._anything()
        if change == 1:
            name = "districtCodeOfResidence" * chance.choice((1, 1, 10))
            found |= {f"{name}{n}": 1 for n in range(chance.choice(_LENGTHS) // 2)}
        elif change == 2:
            found[chance.choice(list(found))] = self._anything()
        return found

    def _anything(self) -> Any:
        chance = self._random
        length = chance.choice(_LENGTHS)
        nested: Any = 1
        for _ in range(min(length, 900)):
            nested = [nested]
        return chance.choice(
            (
                [1] * length,
                ["x"] * length,
                [[]] * length,
                [{}] * length,
                [{"phone": "1"}] * (length // 10),
                {f"a{n}": n for n in range(length)},
                chance.choice(("1", " ", "卡", "a ", "\n", "9" * 17 + "X")) * length,
                {"x" * length: 1},
                nested,
                {"a": [nested, nested]},
                10**18,
                1e300,
            )
        )


async def measure(bodies: int, seed: int, folder: Path) -> list[Measured]:
    generator = Bodies(build_schema()._schema, seed)
    points = 0
    charge = Budgets.charge

    def noted(self: Budgets, address: str, token: str | None, cost: int) -> RateLimitStatus:
        nonlocal points
        points += cost
        return charge(self, address, token, cost)

    Budgets.charge = noted  # type: ignore[assignment, method-assign]
    url = f"sqlite:///{folder}/gateway.sqlite3"
    await asyncio.to_thread(migrations.migrate, url)
    found = []
    async with running(settings_for(url, folder)) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            for document in generator.documents():
                await http.post("/graphql", json={"query": document, "variables": {"input": {}}})
            collect_as_the_server()
            for _ in range(bodies):
                body = generator.body()
                best = float("inf")
                for _ in range(3):
                    points, begin = 0, time.thread_time()
                    await http.post(
                        "/graphql", content=body, headers={"Content-Type": "application/json"}
                    )
                    best = min(best, (time.thread_time() - begin) * 1_000)
                    if best < MS:
                        break
                found.append(Measured(best, points, body))
    return found


def collect_as_the_server() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def without_limits() -> None:
    admission.BODY_BYTES_PER_POINT = 10**9
    variables.MAX_NODES = variables.MAX_CHARACTERS = variables.MAX_DEPTH = 10**9
    variables.NODES_PER_POINT = variables.CHARACTERS_PER_POINT = 10**9
    arguments.COERCION = {"max_coercion_errors": 50, "hide_suggestions": False}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bodies", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true")
    given = parser.parse_args()
    if given.control:
        without_limits()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(given.bodies, given.seed, Path(folder)))
    found.sort(key=lambda one: -one.excess)
    for one in found[:5]:
        print(
            f"{one.ms:6.1f} ms for {one.points:3} points:"
            f" {len(one.body):7} bytes, {one.body[:100]!r}…{one.body[-60:]!r}"
        )
    slowest = max(found, key=lambda one: one.ms)
    print(f"{len(found)} bodies; slowest {slowest.ms:.1f} ms for {slowest.points} points")
    passed = found[0].excess <= 1
    return int(passed if given.control else not passed)


if __name__ == "__main__":
    sys.exit(main())
