"""The worker apart from the server: the outbox and the scheduled jobs, until it is told to stop."""

import asyncio
import signal

import httpx

from core.database import connect
from core.settings import Settings
from gateway.app import assemble

LOOK_EVERY = 0.1
"""Seconds. Nobody wakes it, and a verification code must leave within 200 ms."""


async def work_until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with httpx.AsyncClient(trust_env=False) as http:
        database = await connect(settings.database_url)
        application = assemble(settings, database, http, look_every=LOOK_EVERY)
        application.live.start()
        application.worker.start()
        application.scheduler.start()
        try:
            await stopped.wait()
        finally:
            await application.scheduler.stop()
            await application.worker.stop()
            await application.live.stop()
            application.tools.hasher.close()
            application.tools.studio.close()
            application.tools.printer.close()
            await database.close()
