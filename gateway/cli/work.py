"""`card-gateway work`: the outbox's worker and the scheduled jobs, apart from the server."""

import asyncio
from typing import Annotated

import typer

from gateway.cli.common import must_be_complete, must_be_migrated, read_settings


def work(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="On the sandbox's data.")] = False,
) -> None:
    """Delivers the outbox and does scheduled work, apart from the server.

    Any number may run, on any machine that reaches the database. The servers are then started
    with --no-worker.
    """
    from gateway.app import configure_logs, work_until_stopped

    found = read_settings(sandbox=sandbox)
    if not found.sandbox:
        must_be_complete(found)
    must_be_migrated(found)
    configure_logs(found.log_level)
    asyncio.run(work_until_stopped(found))
