"""Controls: defences that can be removed, to prove that the check notices."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from core.db import sqlite
from core.kernel.clock import DAY
from core.kernel.ids import new_id
from core.kernel.refusals import Refusal
from core.messaging import MessageKind, OutboxWorker, outbox
from core.messaging.outbox import OutboxMessage
from core.partners import PartnerFailed
from core.partners.base import PartnerClient
from core.unit_of_work import UnitOfWork

NO_OUTBOX = "no-outbox"
NO_KEY = "no-key"
NOT_SYNCED = "synchronous-normal"
CONTROLS = (NO_OUTBOX, NO_KEY, NOT_SYNCED)


def apply(name: str) -> None:
    if name == NO_OUTBOX:
        _tell_partners_at_once()
    elif name == NO_KEY:
        _draw_a_key_for_each_call()
    elif name == NOT_SYNCED:
        sqlite._PRAGMAS = tuple(pragma.replace("= FULL", "= NORMAL") for pragma in sqlite._PRAGMAS)


def _draw_a_key_for_each_call() -> None:
    execute, outcome = PartnerClient.execute, PartnerClient.outcome

    async def tell(self: PartnerClient, path: str, body: Mapping[str, Any], _: str) -> None:
        await execute(self, path, body, secrets.token_hex(16))

    async def ask(self: PartnerClient, _: str) -> bool:
        return await outcome(self, secrets.token_hex(16))

    PartnerClient.execute = tell  # type: ignore[method-assign,assignment]
    PartnerClient.outcome = ask  # type: ignore[method-assign,assignment]


def _tell_partners_at_once() -> None:
    """Messages are kept in memory only, and given up after three tries."""
    kept: list[OutboxMessage] = []

    def put(
        unit: UnitOfWork,
        *,
        subject_id: int,
        kind: MessageKind,
        payload: Mapping[str, Any],
        expires_at: int = 0,
        if_rejected: Refusal | None = None,
    ) -> None:
        key = secrets.token_hex(16)
        kept.append(
            OutboxMessage(
                subject_id, new_id(unit.now), kind, key, payload, 1, unit.now, unit.now + DAY, 0
            )
        )
        unit.outbox_of.add(subject_id)

    async def run(self: OutboxWorker) -> None:
        while True:
            await asyncio.sleep(0.01)
            effects, kept[:] = list(kept), []
            await asyncio.gather(*(tell(self, effect) for effect in effects))

    async def tell(worker: OutboxWorker, effect: OutboxMessage) -> None:
        for _ in range(3):
            try:
                await worker._delivery._call_partner(effect)
            except PartnerFailed:
                continue
            return

    outbox.put = put
    OutboxWorker._run = run  # type: ignore[method-assign]
