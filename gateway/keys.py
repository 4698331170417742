"""What the command `rotate-keys` shows."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core import key_rotation
from core.database import connect
from core.encryption import Vault
from core.key_plans import Keys
from core.objects import Objects
from core.seals import Seals
from core.settings import Settings, key_ring
from gateway.resolvers.context import system_clock


def keys_of(settings: Settings) -> Keys:
    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    seals = Seals(
        key_ring(settings.peppers, "peppers"), key_ring(settings.audit_keys, "audit_keys")
    )
    return Keys(vault, seals)


async def rotate_keys(settings: Settings) -> bool:
    """Whether nothing is left under an older key."""
    keys = keys_of(settings)
    objects = Objects(settings, keys.vault)
    database = await connect(settings.database_url)
    state = key_rotation.Progress()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    try:
        with bar:
            total = await key_rotation.count_stale(database, keys)
            task = bar.add_task("rows and pictures", total=total)
            async for state in key_rotation.rotate(database, keys, objects, system_clock()):
                bar.update(task, completed=state.renewed, total=max(total, state.renewed))
        left = await key_rotation.count_stale(database, keys)
    finally:
        await database.close()
    for name in sorted(state.failed):
        print(f"{name}: cannot be made anew", file=sys.stderr)
    print(f"{state.renewed:,} rows and pictures made anew, {left:,} rows left under older keys.")
    return not left and not state.failed
