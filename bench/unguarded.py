"""The controls of `bench.guesses`, `bench.racers` and `bench.who_exists`: the gateway with a defence taken out.

    CONTROL=guesses python -m bench.unguarded

The defences are taken out of this process only; no setting of the gateway does it.
"""

import os
import time

import uvicorn
from sqlalchemy import bindparam, select, update
from starlette.applications import Starlette

from core import cards, citizens, migrations, verification
from core.cards import Card
from core.citizens import Citizen
from core.database import Lock, Query, Transaction
from core.services import bind_card
from core.unit import Unit
from core.verification import verification_codes
from gateway.cli import app_from_environment, read_settings


def unguarded_tries() -> None:
    """The try is counted after the code was judged by what was read: an unguarded UPDATE."""
    verification._COUNT_TRY = Query(  # noqa: SLF001
        update(verification_codes)
        .where(
            verification_codes.c.id == verification._newest,  # noqa: SLF001
            verification_codes.c.expires_at > bindparam("now"),
        )
        .values(tries=verification_codes.c.tries + 1)
        .returning(verification_codes.c.id, verification_codes.c.mark, verification_codes.c.tries)
    )


def unguarded_states() -> None:
    """Nobody waits for a person's row, and a card's state is written whatever it is by now."""
    citizens._LOCK = Lock(  # noqa: SLF001
        select(citizens.citizens.c.id).where(citizens.citizens.c.id == bindparam("id"))
    )

    async def save_state(db: Transaction, card: Card) -> None:
        await db.fetch(_MOVE, card_id=card.id, new_state=card.state.value, since=card.state_since)

    cards.save_state = save_state


def work_for_those_who_exist() -> None:
    """A person on file costs five milliseconds more than one who is not."""
    look_up = bind_card._look_up  # noqa: SLF001

    async def slower(unit: Unit, identity: bind_card.Confirmation) -> tuple[Citizen | None, bool]:
        citizen, fits = await look_up(unit, identity)
        if citizen is not None:
            time.sleep(0.005)  # noqa: ASYNC251
        return citizen, fits

    bind_card._look_up = slower  # noqa: SLF001


_MOVE = Query(
    update(cards.cards)
    .where(cards.cards.c.id == bindparam("card_id"))
    .values(state=bindparam("new_state"), state_since=bindparam("since"))
)


def app() -> Starlette:
    {
        "guesses": unguarded_tries,
        "racers": unguarded_states,
        "who_exists": work_for_those_who_exist,
    }[os.environ["CONTROL"]]()
    return app_from_environment()


def main() -> None:
    found = read_settings()
    migrations.migrate(found.database_url)
    uvicorn.run(
        "bench.unguarded:app",
        factory=True,
        workers=found.workers,
        host=found.host,
        port=found.port,
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main()
