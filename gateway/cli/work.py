"""`card-gateway work`: runs the outbox worker and the scheduled jobs without the server."""

import asyncio
import sys
from typing import Annotated

import typer

from gateway.cli.common import (
    other_partitions,
    read_settings,
    require_complete_settings,
    require_migrated_database,
)


def work(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="On the sandbox's data.")] = False,
) -> None:
    """Delivers the outbox and runs scheduled jobs, without the server.

    Any number may run, on any machine that reaches the database. The servers are then started
    with --no-worker.
    """
    from gateway.app import configure_logs, work_until_stopped

    found = read_settings(sandbox=sandbox)
    if not found.sandbox:
        require_complete_settings(found)
    wrong = other_partitions(found, require_migrated_database(found))
    if wrong:
        print(wrong, file=sys.stderr)
    configure_logs(found.log_level)
    asyncio.run(work_until_stopped(found))
