"""Load clients: sign in, and send operations over every transport, many at once."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

REFUSAL = "... on Refusal { code message field retryAfter }"
UNLIMITED: dict[str, Any] = {
    "session_budget": 10**9,
    "address_budget": 10**9,
    "total_budget": 10**9,
    "codes_own_hour": 10**6,
    "codes_own_day": 10**6,
    "codes_for_loss_hour": 10**6,
    "codes_for_loss_day": 10**6,
    "codes_from_others_hour": 10**6,
    "codes_from_others_day": 10**6,
    "codes_per_account_hour": 10**6,
    "codes_per_account_day": 10**6,
    "codes_per_address_hour": 10**6,
    "codes_in_all_hour": 10**8,
    "code_resend_seconds": 0,
    "bindings_per_account_hour": 10**6,
    "wrong_codes_per_account_hour": 10**6,
    "wrong_codes_per_address_hour": 10**6,
}
"""Lifts the outer limits, so that the defences behind them are tested."""

_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"
_SEND = (
    "mutation($i: SendVerificationCodeInput!) { sendVerificationCode(input: $i) { __typename"
    f" {REFUSAL} }} }}"
)

_NO_ANSWER: dict[str, Any] = {"errors": [{"extensions": {"code": "NO_ANSWER"}}]}
"""Of an operation on a socket that ends without a result."""

Send = Callable[[str, dict[str, Any], dict[str, str]], Awaitable[Any]]


def client(url: str) -> httpx.AsyncClient:
    # Well before the server closes an idle connection: none is used while it is being closed.
    limits = httpx.Limits(max_connections=128, max_keepalive_connections=128, keepalive_expiry=1)
    return httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits)


def mutation(name: str, success: str = "") -> str:
    """`success` is a fragment on the type of success."""
    kind = name[0].upper() + name[1:]
    return (
        f"mutation($i: {kind}Input!) {{ {name}(input: $i) {{ __typename {success} {REFUSAL} }} }}"
    )


async def sign_in(http: httpx.AsyncClient, persona: str, channel: str = "UNIONPAY") -> str:
    asked = {"channel": channel, "persona": persona}
    handed = (await http.post("/sandbox/authorize", json=asked)).json()
    body = {"query": _SIGN_IN, "variables": {"i": {"channel": channel, **handed}}}
    reply = (await http.post("/graphql", json=body)).json()
    return str(reply["data"]["signIn"]["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def send_code(http: httpx.AsyncClient, token: str, purpose: str, phone: str) -> Any:
    return await post(http)(_SEND, {"i": {"purpose": purpose, "phone": phone}}, bearer(token))


async def read_code(http: httpx.AsyncClient, purpose: str, phone: str) -> str:
    inbox = (await http.get("/sandbox/sms", params={"phone": phone})).json()
    codes = [sms["code"] for sms in inbox if sms["purpose"] == purpose]
    assert codes, f"no code for {purpose} was sent"
    return str(codes[0])


async def at_once(most: int, jobs: Iterable[Awaitable[Any]]) -> list[Any]:
    gate = asyncio.Semaphore(most)

    async def one(job: Awaitable[Any]) -> Any:
        async with gate:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))


# --- the transports ------------------------------------------------------------------------


def post(http: httpx.AsyncClient) -> Send:
    async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        body = {"query": document, "variables": variables}
        return _read(await http.post("/graphql", json=body, headers=headers))

    return send


def get(http: httpx.AsyncClient) -> Send:
    async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        given = {"query": document, "variables": json.dumps(variables)}
        accept = {"Accept": "application/graphql-response+json"}
        return _read(await http.get("/graphql", params=given, headers=headers | accept))

    return send


def form(http: httpx.AsyncClient) -> Send:
    async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        operations = json.dumps({"query": document, "variables": variables | {"file": None}})
        given = {"operations": operations, "map": json.dumps({"0": ["variables.file"]})}
        files = {"0": ("x.txt", b"x", "text/plain")}
        return _read(await http.post("/graphql", data=given, files=files, headers=headers))

    return send


def event_stream(http: httpx.AsyncClient) -> Send:
    async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        body = {"query": document, "variables": variables}
        accept = {"Accept": "text/event-stream"}
        response = await http.post("/graphql", json=body, headers=headers | accept)
        lines = response.text.splitlines()
        data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
        return json.loads(data[0]) if data and data[0] else _read(response)

    return send


def batch(http: httpx.AsyncClient) -> Send:
    async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
        body = [{"query": document, "variables": variables}] * 2
        return _read(await http.post("/graphql", json=body, headers=headers))

    return send


@contextlib.asynccontextmanager
async def socket(url: str, token: str) -> AsyncIterator[Send]:
    """One socket that carries any number of operations at once."""
    numbers, waiting = itertools.count(1), dict[str, "asyncio.Future[Any]"]()
    address = f"ws{url.removeprefix('http')}/graphql"
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(
        address, subprotocols=[protocol], proxy=None, ping_interval=None
    ) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": bearer(token)}))
        await connection.recv()

        async def receive() -> None:
            async for text in connection:
                message = json.loads(text)
                future = waiting.pop(message.get("id", ""), None)
                if future is not None and not future.done():
                    payload = message.get("payload")
                    answer = {"errors": payload} if isinstance(payload, list) else payload
                    future.set_result(answer or _NO_ANSWER)
            for future in waiting.values():
                future.cancel()

        async def send(document: str, variables: dict[str, Any], headers: dict[str, str]) -> Any:
            number = str(next(numbers))
            waiting[number] = future = asyncio.get_running_loop().create_future()
            payload = {"query": document, "variables": variables}
            await connection.send(
                json.dumps({"id": number, "type": "subscribe", "payload": payload})
            )
            return await future

        receiver = asyncio.create_task(receive())
        try:
            yield send
        finally:
            receiver.cancel()


def _read(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {
            "errors": [{"message": response.text, "extensions": {"code": response.status_code}}]
        }


def verdict(reply: Any) -> str:
    """The success type, the refusal's code, or the error's code."""
    if isinstance(reply, list):
        reply = reply[0]
    if reply.get("errors"):
        return str(reply["errors"][0].get("extensions", {}).get("code", "ERROR"))
    answer = next(iter(reply["data"].values()))
    return str(answer.get("code") or answer["__typename"])
