"""Checks that response times do not reveal who exists: refusals for another citizen's data are timed
against refusals for data of nobody.

    .venv/bin/python -m tests.soak.account_enumeration [--samples 2000] [--only bindCard] [--control]

For each operation both kinds are sent in random order over one connection, and the times are
compared by the area under the ROC curve: 0.5 means indistinguishable, 1 means always
distinguishable. The run fails above 0.55. The responses must be equal byte for byte. `--control`
uses a gateway that takes five milliseconds longer for an existing citizen, and must fail.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from bench.server import Server
from tests.soak import ws_load
from tests.soak.ws_load import UNLIMITED, bearer, mutation

MAX_AREA = 0.55
_TRIES_OF_A_SESSION = 10

Question: TypeAlias = tuple[str, dict[str, Any]]
Pair: TypeAlias = tuple[Question, Question]
"""Somebody else's, and nobody's."""

NOBODY = {
    "name": "吴有之",
    "socialSecurityNumber": "510104198806057717",
    "phone": "19912345678",
    "cardNumber": "ZZZZZZZZ9",
}


def auc(one: list[float], other: list[float]) -> float:
    """The probability that one takes longer than the other, folded to 0.5 or more."""
    ranked = sorted([(value, 1) for value in one] + [(value, 0) for value in other])
    ranks = sum(rank for rank, (_, is_one) in enumerate(ranked, 1) if is_one)
    area = (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))
    return max(area, 1 - area)


def form(name: str, **given: Any) -> Question:
    return mutation(name), {"i": given}


def pairs(victim: dict[str, Any]) -> dict[str, Pair]:
    def both(build: Any) -> Pair:
        return build(victim), build(NOBODY)

    return {
        "reportLoss, phone": both(lambda p: form("reportLoss", phone=p["phone"], code="123456")),
        "cancelLoss, card": both(
            lambda p: form(
                "cancelLoss", phone=p["phone"], cardNumber=p["cardNumber"], code="123456"
            )
        ),
        "sendVerificationCode, phone": both(
            lambda p: form("sendVerificationCode", purpose="REPORT_LOSS", phone=p["phone"])
        ),
        "changePhone, phone": both(
            lambda p: form("changePhone", newPhone=p["phone"], code="123456")
        ),
        "insurances, card": both(
            lambda p: (
                "query($n: String!) { insurances(cardNumber: $n) { __typename"
                f" {ws_load.REFUSAL} }} }}",
                {"n": p["cardNumber"]},
            )
        ),
    }


async def sessions_for(
    http: httpx.AsyncClient, pair: Pair, count: int
) -> AsyncIterator[tuple[dict[str, str], Pair]]:
    """One session is enough where tries are not counted."""
    headers = bearer(await ws_load.sign_in(http, "locked"))
    for _ in range(count):
        yield headers, pair


async def binding_sessions(
    http: httpx.AsyncClient, victim: dict[str, Any], count: int
) -> AsyncIterator[tuple[dict[str, str], Pair]]:
    """Ten tries per session, each with a correct code to the caller's own phone."""
    phone, document = "19912345678", mutation("bindCard")
    for number in range(count):
        if number % (_TRIES_OF_A_SESSION // 2) == 0:
            token = await ws_load.sign_in(http, "sealed", "WECHAT")
            await ws_load.send_code(http, token, "BIND_CARD", phone)
            code = await ws_load.read_code(http, "BIND_CARD", phone)
        theirs, nobodys = (
            {
                "name": person["name"],
                "socialSecurityNumber": person["socialSecurityNumber"],
                "phone": phone,
                "code": code,
            }
            for person in (victim, NOBODY)
        )
        yield bearer(token), ((document, {"i": theirs}), (document, {"i": nobodys}))


async def measure(http: httpx.AsyncClient, rounds: Any) -> tuple[float, bool]:
    """The area under the curve, and whether the responses were equal."""
    times: tuple[list[float], list[float]] = ([], [])
    answers = set()
    async for headers, pair in rounds:
        order = [0, 1]
        random.shuffle(order)
        for which in order:
            document, variables = pair[which]
            body = {"query": document, "variables": variables}
            began = time.perf_counter()
            response = await http.post("/graphql", json=body, headers=headers)
            times[which].append(time.perf_counter() - began)
            answers.add(response.content)
    assert all(b"Refusal" in answer for answer in answers), answers
    return auc(*times), len(answers) == 1


async def ask(given: argparse.Namespace, folder: Path, control: bool) -> bool:
    server = Server(folder, **UNLIMITED)
    if control:
        server = Server(
            folder, program=(sys.executable, "-m", "tests.soak.no_limits_control"), **UNLIMITED
        )
        server.given["CONTROL"] = "who_exists"
    server.start()
    good = True
    try:
        async with ws_load.client(server.url) as http:
            personas = (await http.get("/sandbox/personas")).json()
            victim = next(persona for persona in personas if persona["id"] == "active")
            runs = {
                name: sessions_for(http, pair, given.samples)
                for name, pair in pairs(victim).items()
            }
            runs["bindCard, name and number"] = binding_sessions(http, victim, given.samples)
            for name, rounds in runs.items():
                if given.only in name:
                    area, equal = await measure(http, rounds)
                    fine = area <= MAX_AREA and equal
                    good = good and fine
                    told = "equal" if equal else "DIFFERENT"
                    print(f"  {name}: AUC {area:.3f}, answers {told}", flush=True)
    finally:
        server.stop()
    return good


async def run(given: argparse.Namespace) -> bool:
    print(f"{given.samples:,} samples of each kind")
    with tempfile.TemporaryDirectory() as name:
        good = await ask(given, Path(name), control=False)
    if given.control:
        print("control: a person on file costs five milliseconds more")
        with tempfile.TemporaryDirectory() as name:
            good = not await ask(given, Path(name), control=True) and good
    print("nobody can tell who exists" if good else "FAILED")
    return good


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--samples", type=int, default=2_000)
    options.add_argument("--only", default="")
    options.add_argument("--control", action="store_true")
    raise SystemExit(0 if asyncio.run(run(options.parse_args())) else 1)


if __name__ == "__main__":
    main()
