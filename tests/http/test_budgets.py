"""What a client may ask for in a minute, by what its operations cost."""

import time
from typing import Any

import httpx
import pytest
import time_machine
from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema

from core.kernel.clock import MINUTE, SECOND, Monotonic, monotonic_clock
from core.kernel.settings import Settings
from gateway.http.admission import Budgets, PreparedDocuments
from gateway.http.admission.budgets import network
from gateway.http.admission.costs import LIST_SIZES, ROOT_COSTS
from gateway.http.edge import BadRequest
from gateway.resolvers.context import system_clock
from gateway.schema import build_schema
from gateway.schema.masking import sanitize_validation_error
from tests.clock import Clock
from tests.conftest import running, settings_for
from tests.front_end import FrontEnd, World
from tests.sockets import socket

VIEWER = "{ viewer { bound } }"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No statement differs here: one engine is enough."""
    return sqlite_url


def budgets(clock: Monotonic, **quotas: int) -> Budgets:
    given = {"session_budget": 60, "address_budget": 600, "total_budget": 6_000} | quotas
    return Budgets(Settings(**given), clock)  # type: ignore[arg-type]


# --- the bucket ----------------------------------------------------------------------------


def test_a_session_spends_its_points_and_gains_them_again() -> None:
    clock = Clock()
    purse = budgets(clock)

    for _ in range(6):
        purse.charge("10.0.0.1", "token", 10)
    with pytest.raises(BadRequest) as refused:
        purse.charge("10.0.0.1", "token", 10)
    clock.now += 10 * SECOND
    purse.charge("10.0.0.1", "token", 10)

    assert refused.value.status == 429
    assert refused.value.retry_after == 10
    assert refused.value.headers["RateLimit"] == '"session";r=0;t=10'


def test_what_is_refused_costs_nothing() -> None:
    clock = Clock()
    purse = budgets(clock)
    purse.charge("10.0.0.1", "token", 60)

    for _ in range(100):
        with pytest.raises(BadRequest):
            purse.charge("10.0.0.1", "token", 60)
    clock.now += MINUTE

    assert "r=0" in purse.charge("10.0.0.1", "token", 60).remaining


def test_sessions_share_their_address_and_all_share_the_total() -> None:
    clock = Clock()
    purse = budgets(clock, session_budget=1_000, address_budget=100, total_budget=150)

    purse.charge("10.0.0.1", "one", 60)
    with pytest.raises(BadRequest) as of_address:
        purse.charge("10.0.0.1", "two", 60)
    purse.charge("10.0.0.2", "three", 60)
    with pytest.raises(BadRequest) as of_all:
        purse.charge("10.0.0.3", "four", 60)

    assert of_address.value.headers["RateLimit-Policy"] == '"address";q=100;w=60'
    assert of_all.value.headers["RateLimit-Policy"] == '"all";q=150;w=60'


def test_an_exhausted_address_is_refused_before_it_is_read() -> None:
    clock = Clock()
    purse = budgets(clock, address_budget=10)
    purse.require_budget("10.0.0.1")

    purse.charge("10.0.0.1", None, 10)

    with pytest.raises(BadRequest):
        purse.require_budget("10.0.0.1")
    purse.require_budget("10.0.0.2")


def test_one_expensive_operation_passes_a_full_bucket() -> None:
    """Otherwise what costs more than a minute's points could never be run."""
    purse = budgets(Clock(), session_budget=10)

    purse.charge("10.0.0.1", "token", 50)

    with pytest.raises(BadRequest):
        purse.charge("10.0.0.1", "token", 1)


def test_a_clock_that_is_set_back_refuses_nobody() -> None:
    purse, of_the_wall = budgets(monotonic_clock), budgets(system_clock)
    for limiters in (purse, of_the_wall):
        limiters.charge("10.0.0.1", "token", 30)

    with time_machine.travel(time.time() - 600):
        purse.charge("10.0.0.1", "token", 29)

        with pytest.raises(BadRequest):  # the control
            of_the_wall.charge("10.0.0.1", "token", 1)


def test_an_ipv6_network_is_one_address() -> None:
    assert network("2001:db8:0:1::1") == network("2001:db8:0:1:ffff::2")
    assert network("2001:db8:0:1::1") != network("2001:db8:0:2::1")
    assert network("10.0.0.1") != network("10.0.0.2")
    assert network("fe80::1%eth0") == network("fe80::2")


def test_remembers_no_more_than_it_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http.admission.budgets.MAX_KEYS", 100)
    clock = Clock()
    purse = budgets(clock, total_budget=1_000_000, session_budget=1_000)

    for n in range(10_000):
        clock.now += 1
        purse.charge("10.0.0.1", f"token {n}", 1) if n % 600 == 0 else purse.charge(
            f"10.0.{n // 250}.{n % 250}", f"token {n}", 1
        )

    assert len(purse.sessions) <= 100
    assert len(purse.addresses) <= 100


def test_a_charge_takes_microseconds() -> None:
    """It stands before every look-up of a card: no statement, no round trip."""
    purse = budgets(Clock(), session_budget=10**9, address_budget=10**9, total_budget=10**9)
    rounds = 20_000

    best = min(_seconds_of(purse, rounds) for _ in range(3))

    assert best / rounds <= 50e-6


def _seconds_of(purse: Budgets, rounds: int) -> float:
    began = time.process_time()
    for _ in range(rounds):
        purse.require_budget("10.0.0.1")
        purse.charge("10.0.0.1", "token", 3)
    return time.process_time() - began


# --- over HTTP -----------------------------------------------------------------------------


@pytest.fixture
def settings(database_url: str, tmp_path: Any) -> Settings:
    return settings_for(database_url, tmp_path, session_budget=200, address_budget=5_000)


async def test_an_answer_says_what_it_cost_and_what_is_left(active: FrontEnd) -> None:
    first = await active.post(VIEWER)
    second = await active.post(VIEWER)

    assert first.json()["extensions"] == second.json()["extensions"] == {"cost": {"requested": 1}}
    assert second.headers["ratelimit-policy"] == ('"address";q=5000;w=60, "session";q=200;w=60')
    left = [
        int(r.headers["ratelimit"].split('"session";r=')[1].split(";")[0]) for r in (first, second)
    ]
    assert left[0] > left[1] >= left[0] - 2


async def test_a_session_past_its_budget_is_refused_and_changes_nothing(
    world: World, active: FrontEnd
) -> None:
    other = await world.enter("sealed")
    mutation = "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename } }"
    given = {"i": {"residentialPostalCode": "610000"}}

    answers = [await active.post(mutation, given) for _ in range(25)]

    before = await world.rows()
    refused = await active.post(mutation, {"i": {"residentialPostalCode": "610041"}})
    error = refused.json()["errors"][0]
    assert answers[0].status_code == 200
    assert refused.status_code == 429
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) == error["extensions"]["retryAfter"] > 0
    assert "请求过于频繁" in error["message"]
    assert await world.rows() == before
    assert await other.ask(VIEWER) == {"bound": True}


async def test_an_invalid_document_costs_its_reading(settings: Settings, tmp_path: Any) -> None:
    """Otherwise whoever sends new nonsense every time would be worked for without end."""
    few = settings_for(settings.database_url, tmp_path, address_budget=300)
    async with running(few) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            codes = [
                (
                    await http.post("/graphql", json={"query": "{ a" + " " * 5_000 + f"{n} }}"})
                ).status_code
                for n in range(10)
            ]

    assert codes[0] == 200
    assert codes[-1] == 429


async def test_a_socket_spends_the_same_budget(database_url: str, tmp_path: Any) -> None:
    few = settings_for(database_url, tmp_path, address_budget=30)
    async with running(few) as app, socket(app) as line:
        answers = [await line.ask(VIEWER, str(n)) for n in range(60)]

    assert answers[0]["payload"] == {
        "data": {"viewer": None},
        "extensions": {"cost": {"requested": 1}},
    }
    assert answers[-1]["type"] == "error"
    assert answers[-1]["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


# --- costs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    found: GraphQLSchema = build_schema()._schema
    return found


def cost(schema: GraphQLSchema, document: str) -> int:
    prepared = PreparedDocuments(sanitize=sanitize_validation_error).prepare(schema, document)
    assert not prepared.errors
    return prepared.operation(None).cost


@pytest.mark.parametrize(
    ("document", "points"),
    [
        ("{ __typename }", 1),
        ("{ viewer { bound name } }", 1),
        ("{ viewer { card { cardNumber } } }", 2),
        ("{ channels { name } }", 3),
        ("{ channels { name entrySteps { title } } }", 3 + 3 * 4),
        ("{ a: viewer { name } b: viewer { name } }", 2),
        ("{ ...v } fragment v on Query { viewer { name } }", 1),
        ("mutation { signOut { __typename } }", 10),
        ("{ __schema { types { fields { name } } } }", 100),
    ],
)
def test_points_are_counted_from_the_document(
    schema: GraphQLSchema, document: str, points: int
) -> None:
    assert cost(schema, document) == points


def test_what_costs_too_much_is_refused(schema: GraphQLSchema) -> None:
    many = " ".join(f"a{n}: channels {{ entrySteps {{ title }} }}" for n in range(9))
    form = "serviceForm(service: APPLY_CARD) { sections { fields { options { code } } } }"
    document = f"{{ {many} {form} b: {form} c: {form} d: {form} e: {form} }}"

    prepared = PreparedDocuments(sanitize=sanitize_validation_error).prepare(schema, document)

    assert [error.extensions for error in prepared.errors] == [{"code": "TOO_COMPLEX"}]
    assert "cost" in prepared.errors[0].message


def test_every_list_of_objects_has_its_size(schema: GraphQLSchema) -> None:
    lists = set()
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            bare = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
            if isinstance(bare, GraphQLList):
                lists.add(f"{kind.name}.{name}")

    assert set(LIST_SIZES) <= lists
    roots = {
        f"{root.name}.{name}"
        for root in (schema.query_type, schema.mutation_type, schema.subscription_type)
        if root
        for name in root.fields
    }
    assert set(ROOT_COSTS) <= roots
