"""The worker process: delivers the outbox and runs scheduled jobs until SIGINT or SIGTERM."""

import asyncio
import signal

from core.kernel.settings import Settings
from gateway.app.factory import assembled

POLL_SECONDS = 0.1
"""Short, because no other process wakes it and codes must be sent within 200 ms."""


async def work_until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with assembled(settings, poll_seconds=POLL_SECONDS) as application:
        application.live.start()
        application.worker.start()
        application.scheduler.start()
        await stopped.wait()
