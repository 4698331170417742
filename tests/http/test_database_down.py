"""A session that cannot be read because the database is down: the same clean error by every way in."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.database_faults import Rounds, faulty
from tests.front_end import as_read
from tests.sockets import socket

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

STATUS = "{ cardStatus { __typename } }"
PROGRESS = "subscription { productionProgress { __typename } }"
TOLD = {
    "message": "系统繁忙，本次操作没有生效，请 5 秒后重试。",
    "extensions": {"code": "TRY_AGAIN_LATER", "retryAfter": 5},
}


@pytest.fixture
async def rounds(database_url: str, tmp_path: Path) -> AsyncIterator[Rounds]:
    async with faulty(database_url, tmp_path, citizens=1) as rounds:
        yield rounds


def app_of(rounds: Rounds) -> Any:
    transport: Any = rounds.world.http._transport
    return transport.app


@pytest.mark.parametrize("operation", [STATUS, PROGRESS], ids=["query", "subscription"])
async def test_over_a_socket_it_is_an_error_and_the_socket_stays(
    rounds: Rounds, operation: str
) -> None:
    async with socket(app_of(rounds), **rounds.citizens[0].headers) as line:
        async with rounds.faults["rights revoked"].lasting():
            await line.send({"type": "subscribe", "id": "1", "payload": {"query": operation}})
            told = await line.hear()
        again = await line.ask(STATUS, "1")

    assert as_read(told) == {"type": "error", "id": "1", "payload": [TOLD]}
    assert again["payload"]["data"] == {"cardStatus": {"__typename": "CardStatus"}}


async def test_as_a_request_a_stream_and_an_upload_it_is_a_503(rounds: Rounds) -> None:
    citizen = rounds.citizens[0]

    async def stream() -> httpx.Response:
        return await citizen.post(PROGRESS, Accept="text/event-stream")

    async def upload() -> httpx.Response:
        document = "mutation($f: Upload!) { uploadPortrait(file: $f) { __typename } }"
        return await rounds.world.http.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": document, "variables": {"f": None}}),
                "map": '{"0": ["variables.f"]}',
            },
            files={"0": ("picture", b"x", "image/jpeg")},
            headers=citizen.headers,
        )

    async with rounds.faults["rights revoked"].lasting():
        answers = [await citizen.post(STATUS), await stream(), await upload()]
    after = await citizen.post(STATUS)

    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert as_read(answer.json()) == {"errors": [TOLD]}
    assert after.json()["data"] == {"cardStatus": {"__typename": "CardStatus"}}
