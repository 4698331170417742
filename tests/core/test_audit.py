"""The audit log: an intact chain passes, and every kind of tampering is found."""

from collections.abc import Sequence

import pytest
from sqlalchemy import bindparam, delete, insert, select, text, update

from core.audit import audit_entries_table, audit_heads_table, verify
from core.audit.verify import Broken, BrokenChain
from core.crypto import Seals
from core.db import Query, Row, Transaction
from tests.front_end import FrontEnd, World

pytestmark = pytest.mark.usefixtures("since_seeding")

ENTRIES = Query(
    select(audit_entries_table)
    .where(audit_entries_table.c.subject_id == bindparam("subject_id"))
    .order_by(audit_entries_table.c.number)
)
NUMBERED = (
    audit_entries_table.c.subject_id == bindparam("of"),
    audit_entries_table.c.number == bindparam("at"),
)


async def found(world: World, seals: Seals | None = None) -> list[Broken]:
    application = world.application
    database, dependencies = application.database, application.dependencies
    steps = [step async for step in verify.verify(database, seals or dependencies.seals)]
    anchor_seconds = dependencies.settings.audit_anchor_seconds
    return [
        *(step for step in steps if not isinstance(step, int)),
        *[step async for step in verify.unanchored(database, application.clock(), anchor_seconds)],
    ]


async def change(world: World, query: Query, **values: object) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(query, **values)

    await world.application.database.write(job)


async def history(world: World, citizen: FrontEnd) -> tuple[int, Sequence[Row]]:
    """A person's chain of five entries or more."""
    for purpose in ("REPORT_LOSS", "REISSUE_CARD", "CANCEL_LOSS", "TRANSFER_IN"):
        await citizen.send_code(purpose)
    person = next(
        row.subject_id
        for row in (await world.rows("audit_entries"))["audit_entries"]
        if row.action == "SEND_CODE"
    )
    return person, await world.application.database.fetch(ENTRIES, subject_id=person)


async def test_an_intact_log_passes(world: World, active: FrontEnd) -> None:
    _, entries = await history(world, active)

    assert len(entries) >= 5
    assert await found(world) == []


async def test_counts_the_persons_read(world: World, active: FrontEnd) -> None:
    heads = (await world.rows("audit_heads"))["audit_heads"]

    read = [
        count
        async for count in verify.verify(
            world.application.database, world.application.dependencies.seals
        )
    ]

    assert read == [len(heads)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", 10**15),
        ("action", "SIGN_OUT"),
        ("result", "REFUSED"),
        ("channel", "WECHAT"),
        ("session_id", 1),
        ("details", "{}"),
        ("mac", b"\x04test" + b"\0" * 32),
    ],
)
async def test_finds_an_entry_that_was_changed(
    world: World, active: FrontEnd, column: str, value: object
) -> None:
    person, _ = await history(world, active)
    flip = Query(update(audit_entries_table).where(*NUMBERED).values({column: bindparam("new")}))

    await change(world, flip, of=person, at=3, new=value)

    assert await found(world) == [BrokenChain(person, 3, "an entry was changed")]


async def test_finds_an_entry_that_was_removed(world: World, active: FrontEnd) -> None:
    person, _ = await history(world, active)

    await change(world, Query(delete(audit_entries_table).where(*NUMBERED)), of=person, at=2)

    assert await found(world) == [BrokenChain(person, 2, "an entry is missing")]


async def test_finds_entries_removed_with_their_numbers_closed_up(
    world: World, active: FrontEnd
) -> None:
    person, entries = await history(world, active)
    move = Query(update(audit_entries_table).where(*NUMBERED).values(number=bindparam("new")))

    await change(world, Query(delete(audit_entries_table).where(*NUMBERED)), of=person, at=2)
    for number in range(3, len(entries) + 1):
        await change(world, move, of=person, at=number, new=number - 1)

    assert await found(world) == [BrokenChain(person, 2, "an entry was changed")]


async def test_finds_entries_in_another_order(world: World, active: FrontEnd) -> None:
    person, _ = await history(world, active)
    move = Query(update(audit_entries_table).where(*NUMBERED).values(number=bindparam("new")))

    for old, new in ((2, 1000), (3, 2), (1000, 3)):
        await change(world, move, of=person, at=old, new=new)

    assert await found(world) == [BrokenChain(person, 2, "an entry was changed")]


async def test_finds_an_end_that_was_cut_off(world: World, active: FrontEnd) -> None:
    person, entries = await history(world, active)

    last = len(entries)
    await change(world, Query(delete(audit_entries_table).where(*NUMBERED)), of=person, at=last)

    assert await found(world) == [BrokenChain(person, last, "the end was cut off")]


async def test_finds_an_end_that_was_cut_off_and_its_head_set_back(
    world: World, active: FrontEnd
) -> None:
    """A head of its own cannot be forged: its mac is not the last entry's."""
    person, entries = await history(world, active)
    last = len(entries)
    set_back = Query(
        update(audit_heads_table)
        .where(audit_heads_table.c.subject_id == bindparam("of"))
        .values(number=last - 1)
    )

    await change(world, Query(delete(audit_entries_table).where(*NUMBERED)), of=person, at=last)
    await change(world, set_back, of=person)

    assert await found(world) == [BrokenChain(person, last - 1, "the end was cut off")]


async def test_finds_an_entry_that_follows_the_end(world: World, active: FrontEnd) -> None:
    """A head that was set back to an older entry, MAC and all, to be written over later."""
    person, entries = await history(world, active)
    set_back = Query(
        update(audit_heads_table)
        .where(audit_heads_table.c.subject_id == bindparam("of"))
        .values(number=len(entries) - 1, mac=bindparam("older"))
    )

    await change(world, set_back, of=person, older=bytes(entries[-2]["mac"]))

    assert await found(world) == [
        BrokenChain(person, len(entries), "an entry is outside its chain")
    ]


async def test_finds_a_chain_without_its_head(world: World, active: FrontEnd) -> None:
    person, _ = await history(world, active)
    remove = Query(
        delete(audit_heads_table).where(audit_heads_table.c.subject_id == bindparam("of"))
    )

    await change(world, remove, of=person)

    assert await found(world) == [BrokenChain(person, 0, "the chain has no head")]


async def test_finds_a_chain_that_is_gone_but_for_its_head(world: World, active: FrontEnd) -> None:
    person, entries = await history(world, active)
    remove = Query(
        delete(audit_entries_table).where(audit_entries_table.c.subject_id == bindparam("of"))
    )

    await change(world, remove, of=person)

    assert await found(world) == [BrokenChain(person, len(entries), "the end was cut off")]


async def test_finds_an_entry_copied_to_another_person(world: World, active: FrontEnd) -> None:
    _, entries = await history(world, active)
    other = entries[0]["subject_id"] + 1
    entry = {name: entries[0][name] for name in audit_entries_table.columns.keys()}  # noqa: SIM118
    add_head = Query(
        insert(audit_heads_table).values(
            subject_id=other, number=1, mac=bytes(entry["mac"]), version=1
        )
    )

    await change(world, Query(insert(audit_entries_table).values(entry | {"subject_id": other})))
    await change(world, add_head)

    assert await found(world) == [BrokenChain(other, 1, "an entry was changed")]


async def test_a_stranger_without_the_key_forges_nothing(world: World, active: FrontEnd) -> None:
    """The same log under another key: not one entry is taken."""
    seals = world.application.dependencies.seals
    keys = type(seals.audit_keys)(dict.fromkeys(seals.audit_keys.keys, b"x" * 32))
    heads = (await world.rows("audit_heads"))["audit_heads"]

    broken = await found(world, Seals(seals.peppers, keys))

    assert len(broken) == len(heads)


async def test_no_personal_data_stands_in_an_entry(world: World, active: FrontEnd) -> None:
    await history(world, active)

    entries = repr((await world.rows("audit_entries"))["audit_entries"])

    person = active.person
    for value in (person.name, person.social_security_number, person.phone, person.card_number):
        assert str(value) not in entries


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_change_without_its_entry_is_not_made(world: World, active: FrontEnd) -> None:
    """Both stand in one transaction: where the entry fails, the change is undone."""
    code = await active.code("REPORT_LOSS")
    before = await world.rows("cards", "outbox", "verification_codes")
    await change(
        world,
        Query(
            text(
                "CREATE TRIGGER no_entry BEFORE INSERT ON audit_entries"
                " BEGIN SELECT RAISE(ABORT, 'no entry'); END"
            )
        ),
    )

    reply = await active.post(
        "mutation($i: ReportLossInput!) { reportLoss(input: $i) { __typename } }",
        {"i": {"phone": active.person.phone, "code": code}},
    )

    assert "LossReported" not in reply.text
    assert await world.rows("cards", "outbox", "verification_codes") == before
    await change(world, Query(text("DROP TRIGGER no_entry")))
    done = await active.do("reportLoss", phone=active.person.phone, code=code)
    assert done["__typename"] == "LossReported"


async def test_a_wrong_code_is_a_change_and_has_its_entry(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")
    wrong = "000000" if code != "000000" else "111111"

    for _ in range(7):
        await active.do("reportLoss", phone=active.person.phone, code=wrong)

    entries = (await world.rows("audit_entries"))["audit_entries"]
    told = [
        (row.action, row.result)
        for row in sorted(entries, key=lambda row: row.number)
        if "LOSS" in row.action
    ]
    assert told == [("REPORT_LOSS", "CODE_WRONG")] * 4 + [("REPORT_LOSS", "CODE_VOID")]
