"""Checks of every response for schemathesis, and its sign-in. Loaded by `tests.soak.fuzz_schema`."""

import os
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from hypothesis_graphql import nodes

BASE = os.environ["FUZZED_GATEWAY"]
PERSONAS = ("active", "lost", "sealed", "no-card", "in-production", "other-city")
# Codes of client errors; every other code is a server error. schemathesis' own check counts
# every resolver error as a server error.
CLIENTS_CODES = {
    "BAD_REQUEST",
    "BAD_USER_INPUT",
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "TOO_COMPLEX",
    "UNAUTHENTICATED",
    *os.environ["REFUSAL_CODES"].split(),
}
_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"

schemathesis.graphql.scalar("Upload", st.just("x").map(nodes.String))
schemathesis.graphql.scalar("DateTime", st.datetimes().map(lambda at: nodes.String(at.isoformat())))


@schemathesis.auth(refresh_interval=2)
class Session:
    """Another persona every two seconds: operations end sessions, and every card state is needed."""

    def __init__(self) -> None:
        self._count = 0

    def get(self, case: Any, context: Any) -> str:
        persona = PERSONAS[self._count % len(PERSONAS)]
        self._count += 1
        chosen: dict[str, Any] = {"channel": "UNIONPAY", "persona": persona}
        handed = requests.post(f"{BASE}/sandbox/authorize", json=chosen, timeout=10).json()
        body: dict[str, Any] = {
            "query": _SIGN_IN,
            "variables": {"i": {"channel": "UNIONPAY", **handed}},
        }
        reply = requests.post(f"{BASE}/graphql", json=body, timeout=10).json()
        return str((reply.get("data") or {}).get("signIn", {}).get("token", ""))

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.check  # type: ignore[untyped-decorator]
def is_no_server_error(ctx: Any, response: Any, case: Any) -> None:
    assert response.status_code < 500, response.text


@schemathesis.check  # type: ignore[untyped-decorator]
def tells_nothing_of_the_inside(ctx: Any, response: Any, case: Any) -> None:
    """A JSON response whose errors are client errors, each with its code."""
    reply = response.json()
    assert "Traceback" not in response.text
    for error in reply.get("errors", ()):
        code = error.get("extensions", {}).get("code")
        assert code in CLIENTS_CODES, f"an error of the server's: {error}"
