"""Our own schema, over a real database: generated documents end alike by plan and by graphql-core.

Queries are asked as a citizen. Mutations are tried by somebody without a session, so that the
first run changes nothing for the second.
"""

import asyncio
import dataclasses
import secrets
import shutil
from pathlib import Path

import pytest
from graphql import GraphQLSchema, print_schema
from hypothesis import HealthCheck, Phase, given, seed, settings

from core.citizens import sessions
from core.kernel.texts import Language
from gateway.resolvers.context import Application, Context
from gateway.schema import build_schema
from tests.compiled.documents import Case, cases
from tests.compiled.proof import prove
from tests.front_end import FrontEnd

pytestmark = pytest.mark.slow

CASES = 60
_GROWS = "serviceHistory"
"""The history of what was looked at is longer each time it is looked at."""


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One engine is enough: what differs is above the database."""
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    return f"sqlite:///{tmp_path}/gateway.sqlite3"


@pytest.fixture
def still(application: Application, monkeypatch: pytest.MonkeyPatch) -> Application:
    """Time stands, and what is drawn is the same each time."""
    monkeypatch.setattr(secrets, "token_hex", lambda size=16: "0" * (2 * size))
    now = application.clock()
    return dataclasses.replace(application, clock=lambda: now)


async def test_plans_answer_as_graphql_core_does(active: FrontEnd, still: Application) -> None:
    token = active.headers["Authorization"].removeprefix("Bearer ")
    caller = await sessions.find_caller(
        still.database, still.dependencies.vault, token, still.clock(), "127.0.0.1", None
    )
    assert caller is not None
    schema = build_schema()._schema
    drawn = await asyncio.to_thread(_draw, schema)

    data = 0
    for case in drawn:
        is_mutation = case.text.startswith("mutation")
        context = Context(still, Language.EN, "127.0.0.1", None if is_mutation else caller)
        outcome = await prove(schema, case, None, context, strawberry=True)
        data += outcome.data != b"null"

    # What is drawn depends on more than the seed: hypothesis picks constants from what is imported.
    assert len(drawn) > CASES // 2
    assert data > len(drawn) // 10


def _draw(schema: GraphQLSchema) -> list[Case]:
    drawn: list[Case] = []

    @seed(5)
    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases(schema, print_schema(schema)))
    def draw(case: Case) -> None:
        if _GROWS not in case.text:
            drawn.append(case)

    draw()
    return drawn
