"""`card-gateway verify-audit` and `anchor-audit`: the audit chains and their anchors."""

import asyncio
import re
from datetime import datetime
from typing import Annotated

import typer

from core.kernel.clock import SECOND
from core.kernel.settings import Settings
from gateway.cli.common import SANDBOX, read_settings, require_migrated_database


def verify_audit(
    anchor: Annotated[
        str, typer.Option(metavar="NUMBER:MAC", help="An anchor that was stored elsewhere.")
    ] = "",
    known_gap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM/TO",
            help="Times (ISO 8601 with offset) between which no gateway was running; repeatable.",
        ),
    ] = None,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Checks the audit chain of every subject, and the anchors over all chains.

    Prints the newest anchor. Keep it where the database's administrators cannot change it:
    with --anchor a later check finds whether everything up to it is still there.
    Entries that an anchor covers late count as broken, unless --known-gap encloses them.
    """
    if anchor and not re.fullmatch(r"[0-9]+:[0-9a-f]+", anchor):
        raise typer.BadParameter(f"{anchor}: NUMBER:MAC, as anchor-audit printed it")
    gaps = [_gap(text) for text in known_gap or ()]
    found = read_settings(sandbox=sandbox)
    require_migrated_database(found)
    read, broken, newest = asyncio.run(_verify_audit(found, anchor, gaps))
    print(f"{read:,} subjects checked, {broken:,} broken chains.")
    print(f"newest anchor: {newest or 'none yet'}")
    if broken:
        raise SystemExit(1)


def anchor_audit(
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Anchors the audit chains now, and prints the latest anchor, to be stored elsewhere."""
    found = read_settings(sandbox=sandbox)
    require_migrated_database(found)
    print(asyncio.run(_anchor_audit(found)) or "There is nothing to anchor.")


async def _anchor_audit(found: Settings) -> str | None:
    from core.audit import anchors
    from core.db import connect
    from gateway.app import keys_from
    from gateway.resolvers.context import system_clock

    seals = keys_from(found).seals
    database = await connect(found.database_url, found.database_limits.patient())
    try:
        await anchors.anchor_all(database, seals, system_clock())
        newest = await anchors.last(database)
    finally:
        await database.close()
    return None if newest is None else str(newest)


def _gap(text: str) -> tuple[datetime, datetime]:
    try:
        since, until = map(datetime.fromisoformat, text.split("/"))
    except ValueError:
        raise typer.BadParameter(f"{text}: FROM/TO, each as 2026-01-31T08:00:00+08:00") from None
    if since.tzinfo is None or until.tzinfo is None or since > until:
        raise typer.BadParameter(f"{text}: both with an offset such as +08:00, FROM before TO")
    return since, until


async def _verify_audit(
    found: Settings, anchor: str, gaps: list[tuple[datetime, datetime]]
) -> tuple[int, int, str | None]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from core.audit import anchors, verify
    from core.db import connect
    from gateway.app import keys_from
    from gateway.resolvers.context import system_clock

    seals = keys_from(found).seals
    read = broken = 0
    database = await connect(found.database_url, found.database_limits.patient())
    shown = TextColumn("{task.completed:,} subjects checked")
    try:
        with Progress(shown, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            async for step in verify.verify(database, seals, anchor):
                if isinstance(step, int):
                    read = step
                    progress.update(task, completed=read)
                else:
                    broken += 1
                    print(step)
            async for chain in verify.unanchored(
                database, system_clock(), found.audit_anchor_seconds
            ):
                broken += 1
                print(chain)
            async for late in verify.covered_late(database, found.audit_anchor_seconds):
                is_known = any(
                    since.timestamp() * SECOND <= late.since
                    and late.until <= until.timestamp() * SECOND
                    for since, until in gaps
                )
                broken += not is_known
                print(f"{late} (known)" if is_known else late)
            newest = await anchors.last(database)
    finally:
        await database.close()
    return read, broken, None if newest is None else str(newest)
