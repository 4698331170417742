"""`card-gateway rotate-keys`: re-encrypts under the current keys what older keys encrypted."""

import asyncio
import sys
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.db import connect
from core.kernel.settings import Settings, SettingsError
from core.keys import rotation
from core.storage import Objects
from gateway.cli.common import SANDBOX, must_be_migrated, read_settings
from gateway.resolvers.context import system_clock


def rotate_keys(
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Makes anew, under the current keys, what older keys made; beside the running gateway.

    The first key of a setting is the current one, see docs/keys.md for the whole order of steps.
    What was interrupted goes on when the command is started again. The exit code is 1 while
    something is left under an older key.
    """
    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)
    try:
        complete = asyncio.run(_rotate(found))
    except KeyboardInterrupt:
        raise SettingsError("Interrupted: the same command goes on where it ended.") from None
    if not complete:
        raise SystemExit(1)


async def _rotate(settings: Settings) -> bool:
    """Whether nothing is left under an older key."""
    from gateway.app import keys_from

    keys = keys_from(settings)
    objects = Objects(settings, keys.vault)
    database = await connect(settings.database_url)
    state = rotation.RotationProgress()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    try:
        with bar:
            total = await rotation.count_stale(database, keys)
            task = bar.add_task("rows and pictures", total=total)
            async for state in rotation.rotate(database, keys, objects, system_clock()):
                bar.update(task, completed=state.reencrypted, total=max(total, state.reencrypted))
        left = await rotation.count_stale(database, keys)
    finally:
        await database.close()
    for name in sorted(state.failed):
        print(f"{name}: cannot be made anew", file=sys.stderr)
    print(
        f"{state.reencrypted:,} rows and pictures made anew, {left:,} rows left under older keys."
    )
    return not left and not state.failed
