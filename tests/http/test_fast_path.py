"""Over real sockets: the single write of the fast path is the response that uvicorn would send."""

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
    for _ in range(3):  # the first takes the ASGI path
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


async def _exchange(live_server: str, *parts: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Sends the parts one after another, and reads one answer."""
    reader, writer = await connect(live_server)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.02)
    answer = await asyncio.wait_for(read(reader), 10)
    writer.close()
    return answer


async def test_a_request_in_pieces_is_one_request(live_server: str) -> None:
    whole = request("{ channels { id shortName: appName } }")
    usual = await _exchange(live_server, whole)
    cut = len(whole) - 10

    for parts in ((whole,), (whole[:30], whole[30:]), (whole[:cut], whole[cut:])):
        line, headers, body = await _exchange(live_server, *parts)

        assert (line, body) == (usual[0], usual[2])
        assert without_moving(headers) == without_moving(usual[1])


async def test_what_is_not_plain_is_answered_as_ever(live_server: str) -> None:
    """Each of these is left to uvicorn, at its head or once its body is known."""
    document = "{ channels { id nick: appName } }"
    usual = await _exchange(live_server, request(document))
    body = json.dumps({"query": document}).encode()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"

    for sent in (
        request(document, "X-Forwarded-For: 192.0.2.7"),
        request(document, "Accept-Language: zh", "Accept-Language: zh"),
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
    ):
        line, _, answer = await _exchange(live_server, sent)

        assert (line, answer) == (usual[0], usual[2])

    line, _, answer = await _exchange(live_server, request("{ nothing }"))
    assert line == b"HTTP/1.1 200 OK"
    assert json.loads(answer)["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert (await _exchange(live_server, request("{ channels { id nick: appName } }")))[2] == usual[
        2
    ]


async def test_plain_and_other_requests_take_turns_on_a_connection(live_server: str) -> None:
    reader, writer = await connect(live_server)
    documents = [f"{{ b{number}: channels {{ id }} }}" for number in range(4)]
    for _ in range(2):
        sent = [
            request(document, *(["X-Forwarded-Proto: http"] if number % 2 else []))
            for number, document in enumerate(documents)
        ]
        writer.write(b"".join(sent))
        for number in range(4):
            _, _, body = await asyncio.wait_for(read(reader), 10)
            assert list(json.loads(body)["data"]) == [f"b{number}"]
    writer.close()


async def test_who_goes_away_is_not_waited_for(live_server: str) -> None:
    """The server goes on serving others."""
    sent = request("{ channels { id gone: appName } }")
    await _exchange(live_server, sent)
    for _ in range(20):
        _, writer = await connect(live_server)
        writer.write(sent)
        writer.transport.abort()

    assert (await _exchange(live_server, sent))[0] == b"HTTP/1.1 200 OK"


async def test_a_listed_or_own_origin_is_plain_and_a_foreign_one_is_refused(
    live_server: str,
) -> None:
    document = "{ channels { id origin: appName } }"
    usual = await _exchange(live_server, request(document))

    own = await _exchange(
        live_server,
        request(document, f"Origin: {live_server}").replace(
            b"Host: gateway", b"Host: " + urlsplit(live_server).netloc.encode()
        ),
    )
    foreign = await _exchange(live_server, request(document, "Origin: http://elsewhere.example"))

    assert own[2] == usual[2]
    assert "access-control-allow-origin" not in own[1]
    assert foreign[0] == b"HTTP/1.1 403 Forbidden"
    assert json.loads(foreign[2])["errors"][0]["extensions"]["code"] == "ORIGIN_NOT_ALLOWED"


async def test_an_idle_connection_is_closed_and_one_in_use_is_not(live_server: str) -> None:
    """uvicorn's five seconds count from the last answer."""
    sent = request("{ channels { id idle: appName } }")
    reader, writer = await connect(live_server)
    for _ in range(3):
        writer.write(sent)
        await asyncio.wait_for(read(reader), 10)
        await asyncio.sleep(2)  # six seconds in all

    began = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert 1 < asyncio.get_running_loop().time() - began < 8
    writer.close()
