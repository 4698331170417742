"""The gateway with a lag meter in its event loop and, for controls, with a defence removed.

    CONTROL=loop python -c "from tests.soak.event_loop_lag import main; main()"

It serves as `card-gateway serve` does. SIGUSR1 resets the meter; the result is written to
`meter.json` in the working directory when the server ends. Defences are removed in this process
only; no setting of the gateway can do that.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from starlette.applications import Starlette

from core.imaging import ProcessedPortrait, decoding, process_portrait
from core.imaging.decoding import MEGAPIXEL
from core.isolation import IsolatedPool
from core.services import upload_portrait
from gateway.cli import main as cli
from gateway.cli import serve

T = TypeVar("T")

FILE = "meter.json"
_PAUSE = 0.002


@dataclass(slots=True)
class Meter:
    """How late the loop comes back to a task that asked to be woken, in milliseconds.

    `late` is by the clock. `blocked` leaves out what the loop's thread waited for a processor
    that was busy with others: that is due to the machine, and the scheduler reports it.
    """

    ticks: int = 0
    late: float = 0.0
    blocked: float = 0.0
    blocked_over_5: int = 0

    async def run(self) -> None:
        with open(f"/proc/self/task/{threading.get_native_id()}/schedstat") as file:  # noqa: ASYNC230

            def waited() -> float:
                file.seek(0)
                return int(file.read().split()[1]) / 1e6

            while True:
                asleep, before = time.perf_counter(), waited()
                await asyncio.sleep(_PAUSE)
                late = (time.perf_counter() - asleep - _PAUSE) * 1e3
                self._note(late, late - (waited() - before))

    def reset(self) -> None:
        self.ticks, self.late, self.blocked, self.blocked_over_5 = 0, 0.0, 0.0, 0

    def _note(self, late: float, blocked: float) -> None:
        self.ticks += 1
        self.late, self.blocked = max(self.late, late), max(self.blocked, blocked)
        self.blocked_over_5 += blocked > 5


def with_meter(app: Starlette) -> Starlette:
    inner, meter = app.router.lifespan_context, Meter()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, meter.reset)
        task = asyncio.create_task(meter.run())
        async with inner(app):
            yield
            # What follows ends the workers, and waits until they are gone.
            task.cancel()
        Path(FILE).write_text(json.dumps(asdict(meter)))  # noqa: ASYNC240

    app.router.lifespan_context = lifespan
    return app


# --- the controls -------------------------------------------------------------------------


def in_the_loop() -> None:
    """Pictures are decoded in the server's own event loop."""

    async def run(_: IsolatedPool, function: Callable[..., T], *arguments: object) -> T:
        return function(*arguments)

    IsolatedPool.run = run  # type: ignore[method-assign,assignment]


def without_limit_on_pixels(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    decoding._MAX_PIXELS["PNG"] = 10_000 * MEGAPIXEL
    return process_portrait(data, min_bytes, max_bytes)


def keeping_what_came(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    return replace(process_portrait(data, min_bytes, max_bytes), data=data)


def dying_of_a_file(data: bytes, min_bytes: int, max_bytes: int) -> ProcessedPortrait:
    from tests.portraits import hostile

    if hostile.MARK in data:
        os.abort()
    return process_portrait(data, min_bytes, max_bytes)


def _working_with(function: Callable[[bytes, int, int], ProcessedPortrait]) -> Callable[[], None]:
    return lambda: setattr(upload_portrait, "process_portrait", function)


CONTROLS: dict[str, Callable[[], None]] = {
    "loop": in_the_loop,
    "memory": _working_with(without_limit_on_pixels),
    "clean": _working_with(keeping_what_came),
    "crash": _working_with(dying_of_a_file),
}


def main() -> None:
    control = os.environ.get("CONTROL")
    if control:
        CONTROLS[control]()
    app_from_environment = serve.app_from_environment
    serve.app_from_environment = lambda: with_meter(app_from_environment())
    sys.argv = ["card-gateway", "serve"]
    cli.main()
