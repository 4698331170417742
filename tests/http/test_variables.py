"""Variables cost what they weigh, by every way in, and large ones are refused before coercion."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import httpx
import pytest
from graphql import GraphQLSchema, get_variable_values, parse
from starlette.applications import Starlette
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from core.kernel.clock import MINUTE
from core.kernel.settings import Settings
from gateway.compiled import make_plan
from gateway.http.admission import (
    Admission,
    Budgets,
    Documents,
    Parameters,
    Prepared,
    PreparedDocuments,
    variables_cost,
)
from gateway.http.admission import variables as limits
from gateway.http.edge import BadRequest
from gateway.schema import build_schema
from gateway.schema.masking import sanitize_validation_error
from tests.clock import Clock
from tests.conftest import running, settings_for
from tests.front_end import World
from tests.sockets import socket

SAVE = """mutation($input: ApplicationDraftInput!) {
  saveApplicationDraft(input: $input) { __typename } }"""
MANY = {"input": {f"districtCod{n}": 1 for n in range(40_000)}}
PLAIN = "{ viewer { bound } }"
MAX_SECONDS = 0.050


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# --- the weight ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "points"),
    [
        (None, 0),
        ({}, 0),
        ({"input": {"phone": "19900001001", "code": "000000"}}, 0),
        ({"list": [1] * 99}, 2),
        ({"text": "x" * 25_000}, 2),
        ({"input": {"x" * 10_000: 1}}, 1),
        ({"deep": nested(10)}, 0),
    ],
)
def test_variables_cost_what_they_weigh(variables: Any, points: int) -> None:
    assert variables_cost(Parameters(variables=variables)) == points
    assert variables_cost(Parameters(extensions=variables)) == points


@pytest.mark.parametrize(
    "variables",
    [
        MANY,
        {"list": [1] * limits.MAX_NODES},
        {"lists": [[[1] * 20] * 20] * 20},
        {"text": "x" * (limits.MAX_CHARACTERS + 1)},
        {"x" * (limits.MAX_CHARACTERS + 1): 1},
        {"deep": nested(20)},
        {"deep": nested(900)},
    ],
    ids=["fields", "list", "lists", "text", "name", "deep", "very deep"],
)
def test_too_large_variables_are_refused_at_once(variables: Any) -> None:
    begin = time.thread_time()
    with pytest.raises(BadRequest) as refused:
        variables_cost(Parameters(variables=variables))

    assert refused.value.code == "TOO_COMPLEX"
    assert time.thread_time() - begin < MAX_SECONDS


# --- coercion ------------------------------------------------------------------------------

_SCHEMA = build_schema()._schema
_DOCUMENT = parse(SAVE)
_LONG = {"input": {f"districtCodeOfResidence{n}": "x" * 20 for n in range(limits.MAX_NODES - 2)}}


def coercing(variables: dict[str, Any]) -> tuple[float, list[str]]:
    plan = make_plan(_SCHEMA, _DOCUMENT, None, StrawberryGraphQLCoreExecutionContext)
    assert plan is not None
    begin = time.thread_time()
    result: Any = plan.execute(None, None, variables)
    return time.thread_time() - begin, [error.message for error in result.errors]


def test_as_many_variables_as_are_allowed_are_coerced_quickly() -> None:
    variables_cost(Parameters(variables=_LONG))

    spent, messages = min(coercing(_LONG) for _ in range(3))

    assert spent < MAX_SECONDS / 5
    assert len(messages) == 2
    assert "Did you mean" not in str(messages)


def test_with_suggestions_they_would_take_long() -> None:
    """The control: graphql-core's default."""
    [operation] = _DOCUMENT.definitions

    begin = time.thread_time()
    get_variable_values(_SCHEMA, operation.variable_definitions, _LONG, max_errors=50)  # type: ignore[attr-defined]

    assert time.thread_time() - begin > MAX_SECONDS / 5


# --- every way in --------------------------------------------------------------------------

Way: TypeAlias = Callable[[Starlette, httpx.AsyncClient, dict[str, Any]], Awaitable[Any]]


async def by_post(app: Starlette, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    return (await http.post("/graphql", json=body)).json()


async def by_get(app: Starlette, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    query = urlencode({"query": body["query"], "variables": json.dumps(body["variables"])})
    headers = {"GraphQL-Preflight": "1"}
    return (await http.get(f"/graphql?{query}", headers=headers)).json()


async def by_form(app: Starlette, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    answer = await http.post(
        "/graphql",
        data={"operations": json.dumps(body), "map": "{}"},
        files={"0": ("a", b"a")},
        headers={"GraphQL-Preflight": "1"},
    )
    return answer.json()


async def by_stream(app: Starlette, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    headers = {"Accept": "text/event-stream"}
    answer = await http.post("/graphql", json=body, headers=headers)
    return answer.json()


async def by_socket(app: Starlette, http: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    async with socket(app) as line:
        return {
            "errors": (await line.ask(body["query"], "1", variables=body["variables"]))["payload"]
        }


@pytest.mark.parametrize("way", [by_post, by_get, by_form, by_stream, by_socket])
@pytest.mark.parametrize("known", [False, True])
async def test_every_way_refuses_too_large_variables(
    world: World, app: Starlette, way: Way, known: bool
) -> None:
    query = "query($a: [ID!]) { channels { id } }" if way is by_get else SAVE
    if known:
        await world.http.post("/graphql", json={"query": SAVE})
    before = await world.rows()

    answer = await way(app, world.http, {"query": query, "variables": {"input": [1] * 1_000}})

    assert answer["errors"][0]["extensions"]["code"] == "TOO_COMPLEX"
    assert "data" not in answer
    assert await world.rows() == before


# --- what is charged -----------------------------------------------------------------------


@asynccontextmanager
async def limited(database_url: str, folder: Path, points: int) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(database_url, folder, address_budget=points)
    async with running(settings) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=settings.address) as http:
            yield http


def left(response: httpx.Response) -> int:
    return int(response.headers["ratelimit"].split("r=")[1].split(";")[0])


@pytest.mark.parametrize("known", [False, True])
async def test_large_bodies_and_variables_are_charged(
    database_url: str, tmp_path: Path, known: bool
) -> None:
    async with limited(database_url, tmp_path, 600) as http:

        async def points(**body: Any) -> int:
            """A point is regained in 100 ms."""
            query = PLAIN if known else f"{PLAIN}#{len(str(body))}"
            before = left(await http.post("/graphql", json={"query": PLAIN}))
            return before - left(await http.post("/graphql", json={"query": query, **body}))

        plain = await points()
        variables = await points(variables={"a": [1] * 950})
        junk = await points(junk="x" * 500_000)

    assert 0 <= plain <= 2
    assert 18 <= variables <= 18 + 2 + 1
    assert 49 <= junk <= 49 + 2 + 2


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a": ' + b"1" * 1_000_000, b"x" * 1_000_000])
async def test_what_cannot_be_read_is_charged(
    database_url: str, tmp_path: Path, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    async with limited(database_url, tmp_path, 250) as http:
        statuses = [
            (await http.post("/graphql", content=body, headers=headers)).status_code
            for _ in range(4)
        ]

    assert statuses == [400, 400, 429, 429]


def test_a_new_document_that_costs_more_than_a_minutes_points_can_be_run() -> None:
    """What was read is kept, so that the next full bucket suffices."""
    clock = Clock()
    admission = Admission(
        _SCHEMA,
        Documents({}, only_trusted=False),
        PreparedDocuments(sanitize=sanitize_validation_error),
        Budgets(Settings(address_budget=6), clock),
    )
    asked = Parameters(query="mutation { signOut { __typename } }")
    with pytest.raises(BadRequest):
        admission.admit(asked, "10.0.0.1", None)

    clock.now += MINUTE

    assert admission.admit(asked, "10.0.0.1", None).operation is not None


async def test_a_document_is_charged_before_it_is_read(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise one whose budget does not suffice could have documents validated for nothing."""
    read: list[str] = []
    prepare = PreparedDocuments.prepare

    def noted(self: PreparedDocuments, schema: GraphQLSchema, text: str) -> Prepared:
        read.append(text)
        return prepare(self, schema, text)

    monkeypatch.setattr(PreparedDocuments, "prepare", noted)
    async with limited(database_url, tmp_path, 130) as http:
        answers = [
            await http.post("/graphql", json={"query": f"{PLAIN}#{n}{'x' * 5_000}"})
            for n in range(6)
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429, 429]
    assert len(read) == 2
