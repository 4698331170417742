"""The wire with real sockets: a platform that hangs keeps to its own share of connections."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from core.kernel.refusals import ChannelUnavailable
from core.kernel.texts import Text
from gateway.channels.platform_client import PlatformClient, Reply
from gateway.channels.platform_client.client import SLOTS

from .conftest import TLS

REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'
APP = Text("应用", "the app")


@asynccontextmanager
async def server(reply: bytes) -> AsyncIterator[str]:
    """Answers every request with the bytes; with none, it hangs."""

    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)


def whole(reply: Reply) -> Reply:
    return reply


async def test_a_hanging_platform_leaves_connections_for_the_others() -> None:
    limits = httpx.Limits(max_connections=SLOTS + 4)
    async with (
        server(b"") as silent,
        server(REPLY) as sound,
        httpx.AsyncClient(limits=limits, verify=TLS) as http,
    ):
        hanging, working = PlatformClient(http, silent, APP), PlatformClient(http, sound, APP)
        waiting = [
            asyncio.create_task(hanging.get("/", {}, whole, repeatable=True))
            for _ in range(4 * SLOTS)
        ]
        await asyncio.sleep(0.2)

        async with asyncio.timeout(1):
            replies = [await working.get("/", {}, whole, repeatable=True) for _ in range(20)]

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert replies == [{"a": 1}] * 20


async def test_cancelled_calls_give_their_share_back() -> None:
    async with server(b"") as silent, httpx.AsyncClient(verify=TLS) as http:
        client = PlatformClient(http, silent, APP)
        for _ in range(3):
            waiting = [
                asyncio.create_task(client.get("/", {}, whole, repeatable=True))
                for _ in range(2 * SLOTS)
            ]
            await asyncio.sleep(0.05)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        assert client._slots._value == SLOTS


async def test_an_address_where_nobody_listens_is_unavailable() -> None:
    async with server(REPLY) as address:
        pass
    async with httpx.AsyncClient(verify=TLS) as http:
        with pytest.raises(ChannelUnavailable):
            await PlatformClient(http, address, APP).get("/", {}, whole, repeatable=False)


async def test_an_address_that_is_not_configured_is_unavailable() -> None:
    async with httpx.AsyncClient(verify=TLS) as http:
        with pytest.raises(ChannelUnavailable):
            await PlatformClient(http, "", APP).get("/path", {}, whole, repeatable=False)


async def test_logs_addresses_without_their_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async with server(REPLY) as address, httpx.AsyncClient(verify=TLS) as http:
        query = {"secret": "hidden-secret"}
        await PlatformClient(http, address, APP).get("/path", query, whole, repeatable=True)

    assert f"{address}/path" in caplog.text
    assert "hidden-secret" not in caplog.text
