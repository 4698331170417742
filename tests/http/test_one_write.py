"""Over real sockets: what the fast lane writes at once is the answer that uvicorn would send."""

import asyncio
import json
from urllib.parse import urlsplit

CHANNELS = "{ channels { id appName } }"


def request(document: str, *headers: str) -> bytes:
    body = json.dumps({"query": document}).encode()
    lines = [
        "POST /graphql HTTP/1.1",
        "Host: gateway",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def read(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return head[0].encode(), headers, await reader.readexactly(int(headers["content-length"]))


def without_moving(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("date", "ratelimit")}


async def connect(live_server: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(live_server)
    return await asyncio.open_connection(address.hostname, address.port)


async def test_is_the_answer_that_uvicorn_sends(live_server: str) -> None:
    reader, writer = await connect(live_server)
    document = "{ channels { id name } }"

    answers = []
    for _ in range(3):  # the first goes the whole way
        writer.write(request(document))
        answers.append(await asyncio.wait_for(read(reader), 10))
    writer.close()

    (line, headers, body), *fast = answers
    assert line == b"HTTP/1.1 200 OK"
    for other_line, other_headers, other_body in fast:
        assert other_line == line
        assert without_moving(other_headers) == without_moving(headers)
        assert other_body == body
        assert "ratelimit" in other_headers


async def test_closes_the_connection_when_asked_to(live_server: str) -> None:
    for _ in range(2):
        reader, writer = await connect(live_server)
        writer.write(request(CHANNELS, "Connection: close"))
        line, headers, _ = await asyncio.wait_for(read(reader), 10)

        assert line == b"HTTP/1.1 200 OK"
        assert headers["connection"] == "close"
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_pipelined_requests_are_answered_in_order(live_server: str) -> None:
    reader, writer = await connect(live_server)
    documents = [f"{{ a{number}: channels {{ id }} }}" for number in range(3)]
    for _ in range(2):
        writer.write(b"".join(map(request, documents)))
        for number in range(3):
            _, _, body = await asyncio.wait_for(read(reader), 10)
            assert list(json.loads(body)["data"]) == [f"a{number}"]
    writer.close()
