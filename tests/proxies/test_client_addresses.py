"""Limits by the real client behind real proxies."""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.live import LiveServer, serving
from tests.proxies.conftest import ADDRESS_BUDGET, PLACES, Proxied

pytestmark = pytest.mark.server

_QUERY = {"query": "{ channels { id } }"}
_FORGED = "198.51.100.77"
_EXPENSIVE = f"{{ {' '.join(f'a{number}: channels {{ id name }}' for number in range(8))} }}"
_BY_ASGI = {"Content-Type": "application/json; charset=UTF-8"}
_NEAR = 300
"""Points of which a few cheap requests cost less."""
_numbers = itertools.count()


def ask(http: httpx.Client, **headers: str) -> httpx.Response:
    """A document that nobody sent before, which costs an eighth of the budget or more."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    query = f"{_EXPENSIVE} # {next(_numbers)} {'.' * 30_000}"
    return http.post("/graphql", json={"query": query}, headers=named)


def ask_cheaply(http: httpx.Client, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post("/graphql", json=_QUERY, headers=named)


def left(response: httpx.Response) -> int:
    """Points that the client's address has left."""
    found = re.search(r'"address";r=(\d+)', response.headers["RateLimit"])
    assert found is not None
    return int(found[1])


def spend(http: httpx.Client, **headers: str) -> None:
    for _ in range(10):
        if ask(http, **headers).status_code == 429:
            return
    pytest.fail("the budget of an address has no end")


def test_clients_of_one_proxy_have_budgets_of_their_own(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    with proxied.client(new_address()) as one, proxied.client(new_address()) as another:
        spend(one)
        refused = ask(one)
        little = [left(ask_cheaply(one)), left(ask_cheaply(one, **_BY_ASGI))]
        much = [left(ask_cheaply(another)), left(ask_cheaply(another, **_BY_ASGI))]

    assert refused.status_code == 429
    assert max(little) < ADDRESS_BUDGET - _NEAR < min(much)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "x_forwarded_for"])
def test_a_client_cannot_leave_its_budget_by_naming_another_address(
    proxied: Proxied, new_address: Callable[[], str], header: str
) -> None:
    forged = f"for={_FORGED}" if header == "Forwarded" else _FORGED
    with proxied.client(new_address()) as one, proxied.client(new_address()) as another:
        spend(one, **{header: forged})
        refused = ask(one, **{header: forged.replace("77", "78")})
        answered = ask_cheaply(another, **{header: forged})

    assert refused.status_code == 429
    assert left(answered) > ADDRESS_BUDGET - _NEAR


def test_without_naming_the_proxy_all_its_clients_share_one_budget(
    tmp_path_factory: pytest.TempPathFactory, new_address: Callable[[], str]
) -> None:
    """The control, as a careless proxy would send it."""
    folder = tmp_path_factory.mktemp("unnamed")
    with (
        serving(folder, address_budget=str(ADDRESS_BUDGET)) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        spend(http, **{"X-Forwarded-For": new_address()})
        refused = ask(http, X_Forwarded_For=new_address())

    assert refused.status_code == 429


def test_a_socket_is_charged_to_its_client(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    address = new_address()
    with proxied.client(address) as http, proxied.client(new_address()) as another:
        before = left(ask_cheaply(http))
        reply = _by_socket(proxied, address)
        after, other = left(ask_cheaply(http)), left(ask_cheaply(another))

    assert reply["payload"]["data"]["a0"]
    assert after < before - _NEAR < other


def test_the_sockets_of_one_client_take_no_places_of_another(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    one, another = new_address(), new_address()
    with contextlib.ExitStack() as stack:
        patient = stack.enter_context(_begun(proxied, another))
        many = [stack.enter_context(_begun(proxied, one)) for _ in range(PLACES + 2)]
        with pytest.raises(ConnectionClosed) as closed:
            many[0].recv(10)
        patient.send(json.dumps({"type": "ping"}))
        heard = json.loads(patient.recv(10))

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    assert heard == {"type": "pong"}


def test_without_naming_the_proxy_the_sockets_of_one_client_shut_another_out(
    tmp_path_factory: pytest.TempPathFactory, new_address: Callable[[], str]
) -> None:
    """The control, as a careless proxy would send it."""
    folder, one, another = tmp_path_factory.mktemp("unnamed"), new_address(), new_address()
    with (
        serving(folder, max_connections_per_address=str(PLACES)) as server,
        contextlib.ExitStack() as stack,
    ):
        patient = stack.enter_context(_forwarded(server, another))
        for _ in range(PLACES + 2):
            stack.enter_context(_forwarded(server, one))
        with pytest.raises(ConnectionClosed) as closed:
            patient.recv(10)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


def _forwarded(server: LiveServer, address: str) -> ClientConnection:
    url = f"{server.url.replace('http', 'ws')}/graphql"
    protocols, sent = [Subprotocol("graphql-transport-ws")], {"X-Forwarded-For": address}
    return connect(url, subprotocols=protocols, additional_headers=sent, proxy=None)


def test_the_connections_of_a_proxy_are_not_those_of_one_client(
    proxied: Proxied, new_address: Callable[[], str]
) -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_begun(proxied, new_address())) for _ in range(3 * PLACES)]
        for socket in sockets:
            socket.send(json.dumps({"type": "ping"}))
        heard = [json.loads(socket.recv(10)) for socket in sockets]

    assert heard == [{"type": "pong"}] * (3 * PLACES)


@contextlib.contextmanager
def _begun(proxied: Proxied, address: str) -> Iterator[ClientConnection]:
    with proxied.socket(address) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10)) == {"type": "connection_ack"}
        yield socket


def _by_socket(proxied: Proxied, address: str) -> Any:
    query = f"{_EXPENSIVE} # {next(_numbers)} {'.' * 30_000}"
    with _begun(proxied, address) as socket:
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        return json.loads(socket.recv(10))
