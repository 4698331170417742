"""The controls of `tests.soak.code_guessing`, `tests.soak.concurrency`, `tests.soak.account_enumeration`
and `tests.soak.kept_documents`: the gateway with a defence removed.

    CONTROL=guesses python -m tests.soak.no_limits_control

Defences are removed in this process only; no setting of the gateway can do that.
"""

import os
import time

import uvicorn
from graphql import GraphQLSchema
from sqlalchemy import bindparam, select, update
from starlette.applications import Starlette

from core import migrations
from core.cards import Card, cards
from core.citizens import Citizen, citizens
from core.db import Lock, Query, Transaction
from core.messaging import verification, verification_codes_table
from core.services import bind_card
from core.unit_of_work import UnitOfWork
from gateway.cli.common import read_settings
from gateway.cli.serve import app_from_environment
from gateway.http.admission import prepared


def count_tries_without_guard() -> None:
    """The try is counted after the code was compared: an UPDATE without a guard."""
    verification._COUNT_TRY = Query(
        update(verification_codes_table)
        .where(
            verification_codes_table.c.id == verification._newest_id.scalar_subquery(),
            verification_codes_table.c.expires_at > bindparam("now"),
        )
        .values(tries=verification_codes_table.c.tries + 1)
        .returning(
            verification_codes_table.c.id,
            verification_codes_table.c.mac,
            verification_codes_table.c.tries,
        )
    )


def change_states_without_guard() -> None:
    """No lock on the citizen's row, and a card's state is written whatever it is by now."""
    citizens._LOCK = Lock(
        select(citizens.citizens_table.c.id).where(citizens.citizens_table.c.id == bindparam("id"))
    )

    async def save_state(db: Transaction, card: Card) -> None:
        await db.fetch(_MOVE, card_id=card.id, new_state=card.state.value, since=card.state_since)

    cards.save_state = save_state


def work_for_those_who_exist() -> None:
    """An existing citizen takes five milliseconds longer than an unknown one."""
    look_up = bind_card._look_up

    async def slower(
        unit: UnitOfWork, identity: bind_card.IdentityCheck
    ) -> tuple[Citizen | None, bool]:
        citizen, fits = await look_up(unit, identity)
        if citizen is not None:
            time.sleep(0.005)  # noqa: ASYNC251
        return citizen, fits

    bind_card._look_up = slower


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


_MOVE = Query(
    update(cards.cards_table)
    .where(cards.cards_table.c.id == bindparam("card_id"))
    .values(state=bindparam("new_state"), state_since=bindparam("since"))
)


def app() -> Starlette:
    {
        "guesses": count_tries_without_guard,
        "concurrency": change_states_without_guard,
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
        host=found.host,
        port=found.port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
