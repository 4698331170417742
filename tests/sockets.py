"""A `graphql-transport-ws` client in the test's process: messages over ASGI, no network."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

PATIENCE_SECONDS = 10


class Line:
    def __init__(
        self, app: ASGIApp, headers: dict[str, str], more: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        scope = {
            "type": "websocket",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in (*headers.items(), *more)
            ],
            "subprotocols": ["graphql-transport-ws"],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "scheme": "ws",
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task: asyncio.Task[None] = asyncio.create_task(
            app(scope, self._to_app.get, self._from_app.put)  # type: ignore[arg-type]
        )

    async def receive(self) -> Message:
        return await asyncio.wait_for(self._from_app.get(), PATIENCE_SECONDS)

    async def send_text(self, text: str) -> None:
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def send(self, message: object) -> None:
        await self.send_text(json.dumps(message))

    async def hear(self) -> Any:
        message = await self.receive()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def begin(self, parameters: dict[str, str] | None = None) -> None:
        assert (await self.receive())["type"] == "websocket.accept"
        await self.send({"type": "connection_init", "payload": parameters or {}})
        assert (await self.hear())["type"] == "connection_ack"

    async def ask(self, query: str, id_: str, **more: Any) -> Any:
        """One response; for a result, waits for its completion too."""
        payload = {"query": query, **more}
        await self.send({"type": "subscribe", "id": id_, "payload": payload})
        answer = await self.hear()
        if answer["type"] == "next":
            assert (await self.hear())["type"] == "complete"
        return answer

    async def hang_up(self) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self.task, PATIENCE_SECONDS)


@asynccontextmanager
async def socket(app: ASGIApp, **parameters: str) -> AsyncIterator[Line]:
    """Connects and completes the handshake."""
    line = Line(app, {"Host": "127.0.0.1:8000"})
    await line.begin(parameters)
    yield line
    await line.hang_up()
