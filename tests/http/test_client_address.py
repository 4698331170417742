"""Whose address counts: the peer's, or the one that a named proxy reports."""

import ipaddress
from dataclasses import replace
from typing import Literal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from core.kernel.settings import Settings, SettingsError
from gateway.http.edge import EdgeMiddleware, TrustedProxies
from tests.conftest import running

PROXY, CLIENT, FORGED = "10.0.0.1", "203.0.113.9", "198.51.100.66"
NETWORKS = "10.0.0.0/8, 192.168.7.7, fd00::/8"
XFF, STANDARD = b"x-forwarded-for", b"forwarded"


def client(
    *headers: tuple[bytes, str],
    peer: str = PROXY,
    networks: str = NETWORKS,
    header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for",
) -> str:
    proxies = TrustedProxies.of(Settings(trusted_proxies=networks, forwarded_header=header))
    return proxies.client(peer, [(name, value.encode("latin-1")) for name, value in headers])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (CLIENT, CLIENT),
        (f"{FORGED}, {CLIENT}", CLIENT),
        (f"{FORGED},{CLIENT} , 10.3.2.1,192.168.7.7", CLIENT),
        (f"{CLIENT}:49152", CLIENT),
        ("2001:db8::17", "2001:db8::17"),
        ("[2001:db8::17]:4711", "2001:db8::17"),
        ("[2001:0DB8:0::17]", "2001:db8::17"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"[::ffff:{CLIENT}]:1", CLIENT),
        (f"{CLIENT}, ::ffff:10.9.9.9", CLIENT),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("fd00::9", "fd00::9"),
    ],
)
def test_the_first_address_from_the_right_that_is_not_a_proxys(value: str, found: str) -> None:
    assert client((XFF, value)) == found


@pytest.mark.parametrize(
    "value",
    ["", "unknown", "_hidden", "localhost", "1.2.3", "1.2.3.4.5", "01.2.3.4", "::1::", "[::1", "::1]",
     "[1.2.3.4", "1.2.3.4:", "1.2.3.4:123456", "fe80::1%eth0", "\xb2.2.3.4", f"{FORGED};", f'"{FORGED}"',
     f"{FORGED},", f"{FORGED}, unknown", "9" * 5_000, "," * 5_000],
)  # fmt: skip
def test_what_is_no_address_leaves_the_last_that_is_known(value: str) -> None:
    assert client((XFF, value)) == PROXY
    assert client((XFF, f"{value}, 10.0.0.2")) == "10.0.0.2"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={CLIENT};Proto=https;by=10.0.0.2", CLIENT),
        (f'for="{CLIENT}:80"', CLIENT),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for="[2001:db8:cafe::17]";proto=http', "2001:db8:cafe::17"),
        (f"for={FORGED}, for={CLIENT};host=a.example, for=10.4.4.4", CLIENT),
        (f'for={FORGED},host="a, for={FORGED}";for={CLIENT}', CLIENT),
        (f'for="{CLIENT[:4]}\\{CLIENT[4:]}"', CLIENT),
    ],
)
def test_the_standard_header(value: str, found: str) -> None:
    assert client((STANDARD, value), header="forwarded") == found


@pytest.mark.parametrize(
    "value",
    ["", "for=unknown", "for=_secret", 'for="_secret:80"', "proto=https", f"for={FORGED};", f"for {FORGED}",
     f"for={FORGED}, unknown", f"for={FORGED}, proto=https", f"for={FORGED};for={CLIENT}",
     f'for={FORGED};x="', f'for="{FORGED}', f'for={FORGED};x=", for="[2001:db8::1]";proto=https',
     "for=2001:db8::1", f"for={FORGED}\x0b", f"for={FORGED}" + ";x" * 3_000 + "=1"],
)  # fmt: skip
def test_what_the_standard_header_hides_or_garbles_leaves_the_peer(value: str) -> None:
    assert client((STANDARD, value), header="forwarded") == PROXY


def test_lines_are_read_from_the_last_to_the_first() -> None:
    """HAProxy adds a line of its own below the client's."""
    forged, real = (XFF, FORGED), (XFF, CLIENT)
    assert client(forged, real) == CLIENT
    assert client(forged, real, (XFF, "10.7.7.7")) == CLIENT

    opened = (STANDARD, f'for={FORGED};x="')
    assert client(opened, (STANDARD, f"for={CLIENT}"), header="forwarded") == CLIENT


def test_one_header_alone_is_read() -> None:
    both = (STANDARD, f"for={FORGED}"), (XFF, CLIENT)

    assert client(*both) == CLIENT
    assert client(*both, header="forwarded") == FORGED
    assert client((STANDARD, f"for={FORGED}")) == PROXY


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::1", "", "testclient"])
def test_a_peer_that_is_no_proxy_is_not_believed(peer: str) -> None:
    assert client((XFF, FORGED), peer=peer) == peer


def test_without_the_setting_nobody_is_believed() -> None:
    assert client((XFF, FORGED), networks="") == PROXY
    assert client((XFF, FORGED), networks="", peer="127.0.0.1") == "127.0.0.1"


def test_one_peer_has_one_address_on_either_kind_of_socket() -> None:
    assert client(peer=f"::ffff:{CLIENT}") == CLIENT
    assert client((XFF, CLIENT), peer=f"::ffff:{PROXY}") == CLIENT
    assert client(peer="fe80::1%eth0") == "fe80::1"


def test_by_trusting_all_networks_a_forged_address_would_be_believed() -> None:
    networks = (ipaddress.ip_network("0.0.0.0/0"),)
    headers = [(XFF, f"{FORGED}, {CLIENT}".encode())]

    assert TrustedProxies(networks, "x-forwarded-for").client(PROXY, headers) == FORGED


_addresses = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(network="10.0.0.0/8").map(str),
    st.ip_addresses(v=6).map("[{}]:1".format),
)
_parts = st.one_of(_addresses, st.text(st.characters(max_codepoint=255), max_size=12))


@given(
    st.lists(st.lists(_parts, max_size=20).map(", ".join), max_size=4),
    st.sampled_from([XFF, STANDARD]),
)
def test_whatever_clients_send_the_proxy_has_the_last_word(lines: list[str], header: bytes) -> None:
    name: Literal["x-forwarded-for", "forwarded"] = (
        "forwarded" if header == STANDARD else "x-forwarded-for"
    )
    sent = [(header, line) for line in lines]
    added = (header, f"for={CLIENT}" if header == STANDARD else CLIENT)

    assert client(*sent, added, header=name) == CLIENT
    assert client(*sent, header=name)


@pytest.mark.parametrize(
    "text",
    ["proxy.internal", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2", "*"],
)
def test_a_wrong_network_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES.*10\.1\.0\.0/16"):
        Settings(trusted_proxies=f"10.0.0.7, {text}")


def test_a_wrong_header_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="FORWARDED_HEADER"):
        Settings.read({"CARD_GATEWAY_FORWARDED_HEADER": "x-real-ip"})


# --- where it is used ----------------------------------------------------------------------


_QUERY = {"query": "{ channels { id } }"}


async def _statuses(settings: Settings, *forwarded: str, repeat: int = 2) -> list[list[int]]:
    """For each X-Forwarded-For the statuses of requests by the ASGI path and by the fast path."""
    async with running(settings) as app:
        transport = httpx.ASGITransport(app, client=(PROXY, 1))
        async with httpx.AsyncClient(transport=transport, base_url=settings.address) as http:
            # Reading a document that is not kept would be charged too.
            await http.post("/graphql", json=_QUERY, headers={"X-Forwarded-For": "203.0.113.99"})
            return [
                [
                    (
                        await http.post("/graphql", json=_QUERY, headers={"X-Forwarded-For": value})
                    ).status_code
                    for _ in range(repeat)
                ]
                for value in forwarded
            ]


async def test_clients_of_one_proxy_have_budgets_of_their_own(settings: Settings) -> None:
    limited = replaced(settings, trusted_proxies=PROXY)

    first, second, forging = await _statuses(limited, CLIENT, "203.0.113.10", f"{FORGED}, {CLIENT}")

    assert (first, second, forging) == ([200, 429], [200, 429], [429, 429])


async def test_without_naming_the_proxy_they_share_one(settings: Settings) -> None:
    """The client that was there before has used it up."""
    first, second = await _statuses(replaced(settings), CLIENT, "203.0.113.10")

    assert (first, second) == ([429, 429], [429, 429])


async def test_the_edge_corrects_client_and_scheme() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def nothing(*_: object) -> dict[str, object]:
        return {"type": "http.request"}

    settings = Settings(trusted_proxies=PROXY, public_url="https://card.example")
    edge = EdgeMiddleware(app, settings)
    for kind, scheme in (("http", "http"), ("websocket", "ws")):
        await edge(
            {"type": kind, "scheme": scheme, "client": (PROXY, 7), "method": "GET", "path": "/",
             "headers": [(b"host", b"gateway"), (XFF, CLIENT.encode())]},
            nothing,
            nothing,  # type: ignore[arg-type]
        )  # fmt: skip

    assert [(scope["client"], scope["scheme"]) for scope in seen] == [
        ((CLIENT, 7), "https"),
        ((CLIENT, 7), "wss"),
    ]


def replaced(settings: Settings, **given: object) -> Settings:
    return replace(settings, address_budget=1, **given)  # type: ignore[arg-type]
