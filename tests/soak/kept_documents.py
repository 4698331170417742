"""Memory of what is kept: distinct documents, bodies and registered texts from one address.

    .venv/bin/python -m tests.soak.kept_documents [--documents 10000] [--control]

Sends as many distinct invalid documents, then as many distinct valid ones, of which each fifth is
registered by its hash and each is sent twice. Passes when the server's memory grows by at most
50 MB over what ordinary documents make it, and a document of another address is still kept.
`--control` lifts the bounds and keeps invalid documents too: memory must grow by more.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from bench.server import Server

MAX_GROWTH_MB = 50
_ORDINARY = "{ channels { id name entrySteps { order title instruction } } }"
_OTHERS = "{ channels { id } }"


def invalid(number: int) -> str:
    """3.9 kB."""
    fields = " ".join(f"a{number}x{n}: 1" for n in range(90))
    return (
        f"{{ {' '.join(f'unknown{number}x{n}' for n in range(230))} }}",
        f"mutation {{ saveApplicationDraft(input: {{ {fields} }}) {{ __typename }} }}",
        f"{{ {' '.join(f'channels {{ name }} #{number}x{n}' + chr(10) for n in range(10))} ",
        f"{{ {' '.join(f'a{number}x{n}: channels {{ name }}' for n in range(120))} }}",
        f"{{ outlets({' '.join(f'x{number}: {n}' for n in range(190))}) {{ name }} }}",
    )[number % 5]


def valid(number: int) -> str:
    parts = (
        f"a{n}x{number}: channels {{ id name entrySteps {{ order title }} }}" for n in range(20)
    )
    return f"{{ {' '.join(parts)} }}"


class Address:
    """A client of its own address."""

    def __init__(self, server: Server, address: str) -> None:
        transport = httpx.HTTPTransport(local_address=address)
        self._http = httpx.Client(
            base_url=server.url, trust_env=False, timeout=60, transport=transport
        )

    def send(self, document: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.post("/graphql", json={"query": document}).json()
        return answer

    def send_registered(self, document: str, *, text: bool) -> dict[str, Any]:
        """By its hash, with its text or without."""
        digest = hashlib.sha256(document.encode()).hexdigest()
        body: dict[str, Any] = {
            "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}
        }
        if text:
            body["query"] = document
        answer: dict[str, Any] = self._http.post("/graphql", json=body).json()
        return answer


def attack(server: Server, documents: int) -> tuple[float, bool]:
    """The growth in MB, and whether the other address's document was kept."""
    stranger, other = Address(server, "127.0.0.1"), Address(server, "127.0.0.2")
    for number in range(200):
        stranger.send(f"{_ORDINARY} #{number}")
    assert "errors" not in other.send_registered(_OTHERS, text=True)
    before = server.memory_mb()
    for number in range(documents):
        assert "errors" in stranger.send(invalid(number))
        _say("invalid", number, server.memory_mb() - before)
    for number in range(documents):
        text = valid(number)
        assert "errors" not in stranger.send(text)
        if number % 5:
            assert "errors" not in stranger.send(text)
        else:
            assert "errors" not in stranger.send_registered(text, text=True)
        _say("valid", number, server.memory_mb() - before)
    kept = "errors" not in other.send_registered(_OTHERS, text=False)
    return server.memory_mb() - before, kept


def _say(kind: str, number: int, grown: float) -> None:
    if number % 1_000 == 0:
        print(f"{number:6} {kind}: {grown:+.0f} MB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--control", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        if given.control:
            program = (sys.executable, "-m", "tests.soak.no_limits_control")
            server = Server(Path(folder), program=program)
            server.given["CONTROL"] = "documents"
        server.start()
        try:
            grown, kept = attack(server, given.documents)
        finally:
            server.stop()
    print(f"{grown:+.0f} MB; a document of another address was {'kept' if kept else 'pushed out'}")
    if given.control:
        return 0 if grown > MAX_GROWTH_MB else 1
    return 0 if grown <= MAX_GROWTH_MB and kept else 1


if __name__ == "__main__":
    sys.exit(main())
