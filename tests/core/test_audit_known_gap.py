"""`verify-audit --known-gap`: entries that were covered late count as broken unless the gap is known."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.audit import DONE, OPERATOR, Action, AuditRecord, anchors, extend, head_of
from core.db import Transaction, connect
from core.kernel.clock import DAY
from core.kernel.settings import Settings
from gateway.app import keys_from
from gateway.cli.main import cli
from gateway.resolvers.context import system_clock
from tests.conftest import settings_for

pytestmark = pytest.mark.usefixtures("since_seeding")

SECRETS = ("column_keys", "index_keys", "peppers", "audit_keys")


async def cover_late(settings: Settings) -> None:
    """An entry of tomorrow that is anchored two days later."""
    seals, now = keys_from(settings).seals, system_clock()
    record = AuditRecord(12345, now + DAY, Action.IMPORTED, DONE, OPERATOR, 0)

    async def job(db: Transaction) -> None:
        await extend(db, seals, await head_of(db, record.subject_id), record)

    database = await connect(settings.database_url)
    try:
        await anchors.anchor_all(database, seals, now)
        await database.write(job)
        await anchors.anchor_all(database, seals, now + 3 * DAY)
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("gaps", "code", "said"),
    [
        ([], 1, "anchor 2: covered late: entries between"),
        (["2026-01-01T00:00:00+08:00/2026-01-02T00:00:00+08:00"], 1, "1 broken"),
        (["2026-01-01T00:00:00+08:00/2100-01-01T00:00:00+08:00"], 0, "then (known)"),
        (["2026-01-01T00:00:00/2100-01-01T00:00:00"], 2, "offset"),
        (["2100-01-01T00:00:00Z/2026-01-01T00:00:00Z"], 2, "FROM before TO"),
        (["yesterday"], 2, "yesterday"),
    ],
)
def test_entries_covered_late_fail_unless_the_gap_is_known(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gaps: list[str],
    code: int,
    said: str,
) -> None:
    settings = settings_for(database_url, tmp_path)
    asyncio.run(cover_late(settings))
    monkeypatch.chdir(tmp_path)
    environment = {"CARD_GATEWAY_DATABASE_URL": database_url} | {
        f"CARD_GATEWAY_{name.upper()}": getattr(settings, name).reveal() for name in SECRETS
    }
    options = [word for gap in gaps for word in ("--known-gap", gap)]

    done = CliRunner().invoke(cli, ["verify-audit", *options], env=environment)

    assert done.exit_code == code, done.output
    assert said in done.output
