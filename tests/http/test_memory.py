"""What the server holds: a small machine must do for it."""

from pathlib import Path

import httpx
import pytest

from tests.live import LiveServer, serving, sign_in

pytestmark = pytest.mark.server

_CHANGE = """mutation { changePassword(input: {oldPassword: "40917259", newPassword: "58203716",
  confirmPassword: "58203716"}) { __typename } }"""


def test_a_first_start_leaves_little_behind(tmp_path: Path) -> None:
    """The personas' passwords were hashed for it, in 19 MB each."""
    with serving(tmp_path) as server:
        assert megabytes(server) < 120


def test_hashing_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http,
    ):
        headers = {"Authorization": f"Bearer {sign_in(http, 'active')}"}
        before = megabytes(server)

        answers = [
            http.post("/graphql", json={"query": _CHANGE}, headers=headers).json() for _ in range(4)
        ]

        assert [answer["data"]["changePassword"]["__typename"] for answer in answers] == [
            "Refusal"
        ] * 4
        assert megabytes(server) - before < 15


def megabytes(server: LiveServer) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024 / 1e6
