"""The fast path responds as the ASGI path does: each request is sent over both, and compared."""

import re
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from core.db import Database, DatabaseUnavailable
from gateway.app.factory import Gateway
from gateway.http.admission import Admission
from gateway.resolvers.context import Application
from tests.front_end import FrontEnd, World

STATUS = "{ cardStatus { __typename ... on CardStatus { name cardNumber state } ... on Refusal { code message } } }"
PROGRESS = "query P { productionProgress { ... on ProductionProgress { name nodes { node result at } } ... on Refusal { code message } } }"
VIEWER = "query V($more: Boolean = true) { viewer { bound name services @include(if: $more) { service available reason { code message } } } }"
CHANNELS = "query C($uri: String!) { channels { id name authorizeUrl(redirectUri: $uri) } }"
TWO = "query A { channels { id } } query B { channel(id: WECHAT) { name } }"


class Ways:
    """Sends a request both ways."""

    def __init__(self, app: Gateway, http: httpx.AsyncClient) -> None:
        assert app.fast_path is not None
        self._app = app
        self._fast_path = app.fast_path
        self._http = http
        self.went_on = 0
        asgi_path = app.by_asgi_path

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.went_on += 1
            await asgi_path(scope, receive, send)

        self._fast_path._asgi_path = counted

    @property
    def admission(self) -> Admission:
        return self._fast_path._admission

    @property
    def database(self) -> Database:
        database: Database = self._app.state.application.database
        return database

    def back(self) -> None:
        """Over the fast path only."""
        self.went_on = 0
        self._app.fast_path = self._fast_path

    async def send(self, content: Any, **headers: str) -> tuple[httpx.Response, httpx.Response]:
        """Over the ASGI path, then over the fast path."""
        self.went_on = 0
        headers = {"content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        answers = []
        for fast_path in (None, self._fast_path):
            self._app.fast_path = fast_path
            if isinstance(content, str | bytes):
                answers.append(await self._http.post("/graphql", content=content, headers=headers))
            else:
                answers.append(await self._http.post("/graphql", json=content, headers=headers))
        return answers[0], answers[1]

    async def alike(self, content: Any, **headers: str) -> httpx.Response:
        whole, fast = await self.send(content, **headers)
        assert fast.status_code == whole.status_code
        assert without_budgets(fast.headers) == without_budgets(whole.headers)
        assert shape(fast.content) == shape(whole.content)
        return fast


def without_budgets(headers: httpx.Headers) -> dict[str, str]:
    found = dict(headers)
    assert ("ratelimit" in found) == ("ratelimit-policy" in found)
    found.pop("ratelimit", None)
    return found


def shape(content: bytes) -> Any:
    """The answer, without what is drawn anew in each."""
    return _DRAWN.sub("", content.decode())


_DRAWN = re.compile(r"(state=[\w.~-]+|\"errorId\":\"\w+\"|\b[0-9a-f]{12}\b)")


@pytest.fixture
def ways(app: Gateway, http: httpx.AsyncClient, world: World) -> Ways:
    return Ways(app, http)


@pytest.fixture
def token(active: FrontEnd) -> str:
    return active.headers["Authorization"]


PLAIN: list[tuple[Any, dict[str, str]]] = [
    ({"query": STATUS}, {}),
    ({"query": STATUS}, {"accept_language": "en"}),
    ({"query": STATUS}, {"accept": "application/graphql-response+json"}),
    ({"query": STATUS}, {"accept": "application/json, */*;q=0.1"}),
    ({"query": STATUS}, {"x_card_channel": "UNIONPAY"}),
    ({"query": STATUS, "variables": None, "operationName": None, "extensions": {}}, {}),
    ({"query": STATUS}, {"content_type": "application/json; charset=utf-8"}),
    ({"query": STATUS}, {"origin": "http://127.0.0.1:8000"}),
    ({"query": PROGRESS}, {}),
    ({"query": PROGRESS, "operationName": "P"}, {}),
    ({"query": VIEWER}, {}),
    ({"query": VIEWER, "variables": {"more": False}}, {}),
    ({"query": TWO, "operationName": "B"}, {}),
    ({"query": CHANNELS, "variables": {"uri": "http://127.0.0.1:8000/"}}, {}),
    ({"query": CHANNELS, "variables": {"uri": "http://elsewhere.example/"}}, {}),
    ({"query": CHANNELS, "variables": {}}, {}),
    ({"query": CHANNELS}, {"accept": "application/graphql-response+json"}),
    ({"query": CHANNELS, "variables": {"uri": 7}}, {"accept_language": "en"}),
    (
        {
            "query": 'mutation { reportLoss(input: {phone: "1", code: "2"}) { ... on Refusal { code problems { field message } } } }'
        },
        {},
    ),
    ({"query": STATUS, "unknown": "kept aside"}, {}),
]


@pytest.mark.parametrize(("content", "headers"), PLAIN)
async def test_takes_what_is_plain(
    ways: Ways, token: str, content: Any, headers: dict[str, str]
) -> None:
    await ways.alike(content, authorization=token, **headers)

    assert ways.went_on == 0


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ({"query": STATUS}, {}),
        ({"query": VIEWER}, {}),
        ({"query": STATUS}, {"authorization": "Bearer of-nobody"}),
        ({"query": STATUS}, {"authorization": "Basic dXNlcg=="}),
    ],
)
async def test_without_a_session(ways: Ways, content: Any, headers: dict[str, str]) -> None:
    await ways.alike(content, **headers)

    assert ways.went_on == 0


async def test_a_session_of_another_channel(ways: Ways, token: str) -> None:
    answer = await ways.alike({"query": STATUS}, authorization=token, x_card_channel="WECHAT")

    assert answer.status_code == 401
    assert ways.went_on == 0


OTHER: list[tuple[Any, dict[str, str]]] = [
    ({"query": "{ __schema { queryType { name } } }"}, {}),
    ({"query": "{ cardStatus"}, {}),
    ({"query": "{ nothing }"}, {}),
    ({"query": TWO}, {}),
    ({"query": TWO, "operationName": "C"}, {}),
    ({"query": ""}, {}),
    ({"query": STATUS, "variables": []}, {}),
    ([{"query": STATUS}], {}),
    ("not JSON", {}),
    ("", {}),
    ({"query": STATUS}, {"content_type": "text/plain"}),
    ({"query": STATUS}, {"origin": "http://elsewhere.example"}),
    ({"query": STATUS}, {"idempotency_key": "k"}),
    ({"query": STATUS}, {"x_device_key": "short"}),
    ({"documentId": "unknown"}, {}),
    ({"query": STATUS + " " * 70_000}, {}),
]


@pytest.mark.parametrize(("content", "headers"), OTHER)
async def test_hands_on_all_else(
    ways: Ways, token: str, content: Any, headers: dict[str, str]
) -> None:
    await ways.alike(content, authorization=token, **headers)

    assert ways.went_on == 1


async def test_a_document_that_is_not_known_takes_the_asgi_path_once(
    ways: Ways, http: httpx.AsyncClient
) -> None:
    ways.back()
    for _ in range(3):
        answer = await http.post("/graphql", json={"query": "{ channels { appName } }"})
        assert answer.json()["data"]["channels"]

    assert ways.went_on == 1


@pytest.mark.slow
async def test_both_ways_take_from_the_same_budget(
    ways: Ways, application: Application, token: str
) -> None:
    budgets = ways.admission.budgets
    charged: list[int] = []
    charge = budgets.charge

    def counted(address: str, token: str | None, points: int) -> Any:
        charged.append(points)
        return charge(address, token, points)

    budgets.charge = counted  # type: ignore[method-assign]
    await ways.alike({"query": PROGRESS}, authorization=token)
    charged.clear()
    await ways.alike({"query": PROGRESS}, authorization=token)

    assert len(charged) == 2
    assert charged[0] == charged[1] > 1


async def test_an_exhausted_budget_is_refused_before_anything_is_looked_up(
    ways: Ways, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody was looked up")

    await ways.alike({"query": STATUS}, authorization=token)
    # Only a full bucket lets more pass than it holds; what was taken before has not flowed back.
    ways.admission.budgets.clear()
    ways.admission.budgets.charge("127.0.0.1", token.removeprefix("Bearer "), 2 * 10**8)
    monkeypatch.setattr(ways.database, "fetch", fail)

    answer = await ways.alike({"query": STATUS}, authorization=token)

    assert answer.status_code == 429
    assert "retry-after" in answer.headers


async def test_what_is_unexpected_is_masked(
    ways: Ways, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("with a number 510104199001011234")

    monkeypatch.setattr("gateway.schema.card_status.card_status", fail)
    answer = await ways.alike({"query": STATUS}, authorization=token)

    assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert b"5101" not in answer.content
    assert ways.went_on == 0


async def test_a_database_that_is_gone(
    ways: Ways, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise DatabaseUnavailable("gone")

    await ways.alike({"query": STATUS}, authorization=token)
    monkeypatch.setattr(ways.database, "fetch", fail)

    answer = await ways.alike({"query": STATUS}, authorization=token)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert ways.went_on == 0
