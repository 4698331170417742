"""The controls of `tests.soak.code_guessing`, `tests.soak.codes_under_attack`, `tests.soak.concurrency`,
`tests.soak.account_enumeration` and `tests.soak.kept_documents`: the gateway with a defence removed.

    CONTROL=guesses python -m tests.soak.no_limits_control

Defences are removed in this process only; no setting of the gateway can do that.
"""

import asyncio
import importlib
import itertools
import os
import time
from collections.abc import Hashable
from typing import Any

import uvicorn
from graphql import GraphQLSchema
from sqlalchemy import bindparam, update
from starlette.applications import Starlette

from core import migrations
from core.audit import audit_entries_table, log
from core.citizens import Limit, citizens, claims, quotas
from core.crypto import Vault
from core.db import Query, Reader, Writes
from core.db.writes import Write
from core.kernel.clock import DAY, HOUR, seconds_until
from core.kernel.next_steps import NextStep
from core.kernel.refusals import TooManyCodes
from core.messaging import allowances, verification, verification_codes_table
from core.unit_of_work import UnitOfWork
from gateway.cli.common import read_settings
from gateway.cli.serve import app_from_environment
from gateway.http.admission import prepared

_units = itertools.count()


def _of_one_unit(_: int) -> tuple[asyncio.AbstractEventLoop, int]:
    """A turn for each unit of work instead of one for each person."""
    return asyncio.get_running_loop(), next(_units)


def write_in_spite_of_others() -> None:
    """What others have changed or claimed since it was read is no obstacle."""

    def guard_first(self: Writes, name: Hashable, query: Query, /, **values: Any) -> None:
        self._named[name] = Write(query, values)

    Writes.guard = Writes.add  # type: ignore[method-assign]
    Writes.guard_first = guard_first  # type: ignore[method-assign]
    claims.TAKE = claims.TAKE_IF_FREE
    log.ADD_ENTRY = Query(
        lambda insert: (
            insert(audit_entries_table)
            .values({column.name: bindparam(column.name) for column in audit_entries_table.c})
            .on_conflict_do_nothing(index_elements=["subject_id", "number"])
        )
    )
    performing: Any = importlib.import_module("core.unit_of_work.perform")
    assert performing._of
    performing._of = _of_one_unit


def count_tries_in_spite_of_others() -> None:
    """So that the count shows how many codes were compared."""
    write_in_spite_of_others()
    verification._TRY = Query(
        update(verification_codes_table)
        .where(
            verification_codes_table.c.subject_id == bindparam("of_subject"),
            verification_codes_table.c.id == bindparam("code_id"),
        )
        .values(tries=verification_codes_table.c.tries + 1, consumed_at=bindparam("at"))
    )


def work_for_those_who_exist() -> None:
    """An existing citizen takes five milliseconds longer than an unknown one."""
    look_up = citizens.id_of_number

    async def slower(db: Reader, vault: Vault, number: str) -> int | None:
        citizen_id = await look_up(db, vault, number)
        if citizen_id is not None:
            time.sleep(0.005)  # noqa: ASYNC251
        return citizen_id

    citizens.id_of_number = slower


def keep_every_document() -> None:
    """Without bounds, and invalid ones too."""

    def keep(self: prepared.PreparedDocuments, made: prepared.Prepared, owner: bytes) -> None:
        self._kept.put(made.text, made, 0, owner)

    prepare = prepared.PreparedDocuments.prepare

    def prepare_and_keep(
        self: prepared.PreparedDocuments, schema: GraphQLSchema, text: str
    ) -> prepared.Prepared:
        made = prepare(self, schema, text)
        keep(self, made, b"")
        return made

    prepared.PreparedDocuments.keep = keep  # type: ignore[assignment, method-assign]
    prepared.PreparedDocuments.prepare = prepare_and_keep  # type: ignore[method-assign]


def count_senders_together() -> None:
    """Five codes an hour and ten a day for a phone, whoever asks and for what; ten for a session."""

    async def take(unit: UnitOfWork, phone: str) -> allowances.Uses:
        indexes = unit.dependencies.vault.indexes
        counted = [
            (indexes(phone, "quota"), [Limit(5, HOUR), Limit(10, DAY)]),
            (indexes(f"session|{unit.session.session_id}", "quota"), [Limit(10, HOUR)]),
        ]
        free_at = await quotas.consume(unit.db, unit.writes, counted, unit.now)
        if free_at:
            wait = seconds_until(free_at, unit.now)
            raise TooManyCodes(retry_after=wait)
        return []

    async def take_own(
        unit: UnitOfWork, purpose: str, next_step: NextStep | None, *, is_for_loss: bool
    ) -> allowances.Uses:
        phone = (await unit.citizen(unit.citizen_id)).phone
        assert phone is not None
        return await take(unit, phone.reveal())

    allowances.take_own = take_own
    allowances.take_other = take


def app() -> Starlette:
    {
        "guesses": count_tries_in_spite_of_others,
        "together": count_senders_together,
        "concurrency": write_in_spite_of_others,
        "who_exists": work_for_those_who_exist,
        "documents": keep_every_document,
    }[os.environ["CONTROL"]]()
    return app_from_environment()


def main() -> None:
    found = read_settings()
    migrations.migrate(found.database_url)
    uvicorn.run(
        "tests.soak.no_limits_control:app",
        factory=True,
        workers=found.workers,
        timeout_worker_healthcheck=60,
        host=found.host,
        port=found.port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
