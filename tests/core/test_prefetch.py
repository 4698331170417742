"""What a change reads with its session is what its own queries would read."""

from typing import Any

from core.cards import prefetch
from core.citizens import sessions
from core.db import Query, Reader
from core.messaging import HOLDER_AND_CODES, notices, verification
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id
from tests.services.test_notices import choose


class Nothing:
    """A database that must not be asked."""

    async def fetch(self, query: Query, /, **values: Any) -> list[Any]:
        raise AssertionError(query)

    async def fetch_one(self, query: Query, /, **values: Any) -> Any:
        raise AssertionError(query)


async def prefetched(world: World, citizen: FrontEnd, db: Reader) -> tuple[Reader, int]:
    """The reader and the person."""
    application = world.application
    token = citizen.headers["Authorization"].removeprefix("Bearer ")
    values = sessions.by_token(application.dependencies.vault, token, application.clock())
    assert values is not None
    rows = await application.database.fetch(HOLDER_AND_CODES.with_session, **values)
    reader = prefetch.prefetched_reader(db, HOLDER_AND_CODES, rows)
    return reader, values["session_subject"]


async def test_codes_and_choices_are_those_of_their_own_queries(world: World) -> None:
    citizen, other_phone = await world.enter("active", "WECHAT"), "19900009999"
    await world.enter("active", "UNIONPAY")
    await choose(citizen, {"notice": "CARD_READY", "sms": False, "channel": True})
    for purpose, phone in (("REPORT_LOSS", None), ("CHANGE_PHONE", other_phone)):
        await citizen.code(purpose, phone)
    await citizen.do("reportLoss", phone=citizen.person.phone, code="000000")
    database = world.application.database
    reader, person = await prefetched(world, citizen, Nothing())

    async def codes(db: Reader) -> list[dict[str, Any]]:
        rows = await db.fetch(verification.OF_SUBJECT, subject_id=person)
        names = ("id", "session_id", "purpose", "phone_index", "mac", "tries", "consumed_at")
        return [{name: row[name] for name in names} for row in rows]

    async def chosen(db: Reader, notice: str) -> list[Any]:
        return [
            (row["id"], row["channel"], bytes(row["account"]))
            if row["account"] is not None
            else (bool(row["sms"]), bool(row["by_channel"]))
            for row in await db.fetch(notices.CHOSEN, subject_id=person, notice=notice)
        ]

    expected = await codes(database)
    assert await codes(reader) == expected
    assert [(code["purpose"], code["tries"]) for code in expected] == [
        ("REPORT_LOSS", 1),
        ("CHANGE_PHONE", 0),
    ]
    for notice in ("CARD_READY", "LOSS_REPORTED"):
        given = sorted(await chosen(reader, notice), key=repr)
        assert given == sorted(await chosen(database, notice), key=repr)
        assert len(given) == 2 + (notice == "CARD_READY")


async def test_others_and_what_is_asked_again_are_read_from_the_database(world: World) -> None:
    citizen = await world.enter("active")
    code = await citizen.code("REPORT_LOSS")
    await world.enter("lost")
    database, other = (
        world.application.database,
        await person_id(world, world.front_end("lost").person),
    )
    reader, person = await prefetched(world, citizen, database)
    assert len(await reader.fetch(notices.CHOSEN, subject_id=other, notice="CARD_READY")) == 1

    await reader.fetch(HOLDER_AND_CODES.query, citizen_id=person)
    await choose(citizen, {"notice": "LOSS_REPORTED", "sms": True, "channel": False})
    before = await reader.fetch(notices.CHOSEN, subject_id=person, notice="LOSS_REPORTED")
    (again,) = await reader.fetch(HOLDER_AND_CODES.query, citizen_id=person)
    after = await reader.fetch(notices.CHOSEN, subject_id=person, notice="LOSS_REPORTED")

    assert code
    assert again["citizen_subject_id"] == person
    assert (len(before), len(after)) == (1, 2)
