"""`card-gateway rotate-keys`: re-encrypts data of older keys under the current keys."""

import asyncio
import sys
from typing import Annotated

from core.audit import operators
from core.db import connect
from core.kernel.settings import Settings, SettingsError
from core.keys import rotation
from core.storage import Objects
from gateway.cli.common import (
    OPERATOR,
    SANDBOX,
    operator_named,
    read_settings,
    require_migrated_database,
)
from gateway.resolvers.context import system_clock


def rotate_keys(
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Re-encrypts data of older keys under the current keys, while the gateway runs.

    The first key of a setting is the current one; docs/keys.md describes all steps. An
    interrupted run resumes when it is started again. The exit code is 1 if anything is left
    under an older key. The operator stands in the audit log.
    """
    name = operator_named(operator)
    found = read_settings(sandbox=sandbox)
    require_migrated_database(found)
    try:
        complete = asyncio.run(_rotate(found, name))
    except KeyboardInterrupt:
        raise SettingsError("Interrupted: start the same command again to resume.") from None
    if not complete:
        raise SystemExit(1)


async def _rotate(settings: Settings, operator: str) -> bool:
    """Returns whether nothing is left under an older key."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from gateway.app import keys_from

    keys = keys_from(settings)
    objects = Objects(settings, keys.vault)
    database = await connect(settings.database_url, settings.database_limits.patient())
    state = rotation.RotationProgress()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    try:
        await operators.record_command(
            database, keys.seals, system_clock(), "rotate-keys", operator
        )
        with bar:
            total = await rotation.count_stale(database, keys)
            task = bar.add_task("rows and pictures", total=total)
            async for state in rotation.rotate(database, keys, objects, system_clock()):
                bar.update(task, completed=state.reencrypted, total=max(total, state.reencrypted))
        left = await rotation.count_stale(database, keys)
    finally:
        await database.close()
    for name in sorted(state.failed):
        print(f"{name}: cannot be re-encrypted", file=sys.stderr)
    print(
        f"{state.reencrypted:,} rows and pictures re-encrypted, {left:,} rows left under older keys."
    )
    return not left and not state.failed
