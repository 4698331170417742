"""Messages to PostgreSQL: a proxy that counts what a server sends, each a round trip.

The wire is the frontend/backend protocol 3.0: after the start-up, a byte of type and a length that
counts itself. A client waits for an answer after Sync and after a simple Query.
"""

import asyncio
import contextlib
import struct
import threading
from collections.abc import Iterator

from sqlalchemy import make_url

_ANSWERED = (b"S", b"Q")
_SSL_REQUEST = 80877103
_CHUNK = 65536


class CountingProxy:
    """`url` leads through it. `count` is how many messages were sent so far."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self.count = 0
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def url(self) -> str:
        through = self._target.set(host="127.0.0.1", port=self._port)
        return through.render_as_string(hide_password=False)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target.host or "127.0.0.1", self._target.port or 5432
        answers, asks = await asyncio.open_connection(host, port)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(self._forward(reader, asks), _copy(answers, writer))
        for each in (writer, asks):
            each.close()

    async def _forward(self, reader: asyncio.StreamReader, asks: asyncio.StreamWriter) -> None:
        code = _SSL_REQUEST
        while code == _SSL_REQUEST:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            asks.write(head + await reader.readexactly(length - 8))
        while True:
            head = await reader.readexactly(5)
            (length,) = struct.unpack("!I", head[1:])
            asks.write(head + await reader.readexactly(length - 4))
            self.count += head[:1] in _ANSWERED


async def _copy(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await answers.read(_CHUNK):
        writer.write(data)
    writer.close()


@contextlib.contextmanager
def counting(url: str) -> Iterator[CountingProxy]:
    proxy = CountingProxy(url)
    try:
        yield proxy
    finally:
        proxy.stop()
