"""The worker apart from the server: the outbox and the scheduled jobs, until it is told to stop."""

import asyncio
import signal

from core.kernel.settings import Settings
from gateway.app.factory import assembled

POLL_SECONDS = 0.1
"""Nobody wakes it, and a verification code must leave within 200 ms."""


async def work_until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with assembled(settings, poll_seconds=POLL_SECONDS) as application:
        application.live.start()
        application.worker.start()
        application.scheduler.start()
        await stopped.wait()
