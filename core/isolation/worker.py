"""One worker process: the parent's side, and the main function of the child.

A message is a length (8 bytes, big-endian) and msgpack. If the first argument is bytes (the file),
it follows the message unpacked, which avoids copies. The child is started as
`python -m core.isolation.worker` with a socket as standard input; its output is discarded,
because native libraries may print parts of a file.
"""

import asyncio
import contextlib
import importlib
import inspect
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, get_type_hints

import msgspec

from core.kernel import memory

T = TypeVar("T")

MEGABYTE = 1_048_576
_MAX_ANSWER = 64 * MEGABYTE
_NICE = 10
_SECRETS = "CARD_GATEWAY_"
_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc caches and reuses the memory of a picture (mallopt(3)): allocating it from the system
    # each time would cost two thirds as much as the processing.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(4 * MEGABYTE),
    "MALLOC_TRIM_THRESHOLD_": str(64 * MEGABYTE),
}
_IDLE_SECONDS = 1
"""After so long without a file, a worker returns cached memory to the system."""


class WorkerFailed(Exception):
    """The worker died or its function raised. The text names the place and quotes no value."""


class _Call(msgspec.Struct):
    module: str
    function: str
    arguments: list[msgspec.Raw]
    file: int | None
    """Length in bytes of the first argument, which follows the message."""


class _Answer(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"\xc0")
    failure: str = ""


class Worker:
    """The parent's side. `files` counts the files processed."""

    def __init__(self) -> None:
        self.files = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self, memory_bytes: int, seconds: int) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._socket = ours
        command = [sys.executable, "-m", __name__, str(memory_bytes), str(seconds)]
        with theirs:
            self._process = await asyncio.to_thread(_spawn, command, theirs)

    async def answer(self, function: Callable[..., T], *arguments: object) -> T:
        file = arguments[0] if arguments and isinstance(arguments[0], bytes) else None
        rest = arguments if file is None else arguments[1:]
        call = {
            "module": function.__module__,
            "function": function.__qualname__,
            "arguments": rest,
            "file": None if file is None else len(file),
        }
        message = msgspec.msgpack.encode(call)
        await self._send(len(message).to_bytes(8) + message)
        if file is not None:
            await self._send(file)
        try:
            answer = msgspec.msgpack.decode(await self._receive(), type=_Answer)
            if answer.failure:
                raise WorkerFailed(answer.failure)
            value: T = msgspec.msgpack.decode(answer.value, type=get_type_hints(function)["return"])
        except msgspec.MsgspecError as error:
            raise WorkerFailed("invalid answer") from error
        self.files += 1
        return value

    def kill(self) -> None:
        """Kills the process; a pending `answer` then raises `WorkerFailed`."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Blocks until the process has exited and its memory is free."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def _send(self, message: bytes) -> None:
        assert self._socket is not None
        await asyncio.get_running_loop().sock_sendall(self._socket, message)

    async def _receive(self) -> bytearray:
        length = int.from_bytes(await self._exactly(8))
        if length > _MAX_ANSWER:
            raise WorkerFailed("answer too long")
        return await self._exactly(length)

    async def _exactly(self, length: int) -> bytearray:
        assert self._socket is not None
        loop, buffer, got = asyncio.get_running_loop(), bytearray(length), 0
        while got < length:
            more = await loop.sock_recv_into(self._socket, memoryview(buffer)[got:])
            if more == 0:
                raise WorkerFailed("died")
            got += more
        return buffer


def _spawn(command: list[str], standard_input: socket.socket) -> subprocess.Popen[bytes]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)
    }
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=standard_input.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


# --- inside the worker --------------------------------------------------------------------


def main() -> None:
    memory_bytes, seconds = int(sys.argv[1]), int(sys.argv[2])
    _bound(memory_bytes)
    parent = socket.socket(fileno=os.dup(0))
    with contextlib.suppress(EOFError, OSError), parent.makefile("rwb") as stream:
        while True:
            if not select.select([parent], [], [], _IDLE_SECONDS)[0]:
                memory.release()
            call = msgspec.msgpack.decode(_read(stream.read), type=_Call)
            file = [] if call.file is None else [stream.read(call.file)]
            # SIGALRM ends native code that hangs, even if the parent is gone.
            signal.alarm(seconds + 1)
            answer = msgspec.msgpack.encode(_answer(call, file))
            del file
            signal.alarm(0)
            stream.write(len(answer).to_bytes(8) + answer)
            stream.flush()


def _bound(memory_bytes: int) -> None:
    """Limits memory, and forbids writing files and core dumps."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def _read(read: Callable[[int], bytes]) -> bytes:
    header = read(8)
    if len(header) < 8:
        raise EOFError
    return read(int.from_bytes(header))


def _answer(call: _Call, file: list[bytes]) -> _Answer:
    try:
        function = getattr(importlib.import_module(call.module), call.function)
        value = function(*file, *_arguments(function, call.arguments, len(file)))
        return _Answer(value=msgspec.Raw(msgspec.msgpack.encode(value)))
    except Exception as error:
        return _Answer(failure=f"{type(error).__name__} at {_place(error.__traceback__)}")


def _arguments(function: Callable[..., Any], given: list[msgspec.Raw], after: int) -> list[Any]:
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters)[after:]
    return [
        msgspec.msgpack.decode(argument, type=hints[name])
        for argument, name in zip(given, parameters, strict=False)
    ]


def _place(traceback: TracebackType | None) -> str:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"


if __name__ == "__main__":
    main()
