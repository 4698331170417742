"""Every operation with other people's identifiers: nothing of theirs is shown, nothing is written,

and the answer is byte for byte that of an identifier which nobody has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from core.citizens import sessions_table
from core.db import Query
from core.db.sqlite import SqliteDatabase
from core.migrations.tables import TABLES
from gateway.schema import build_schema
from sandbox.personas import PERSONAS, Persona
from tests.architecture.test_statements import counted
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import application_of, keep_pictures, person_id, reissue_of


@dataclass(frozen=True, slots=True)
class Known:
    """What somebody may have learnt of another person."""

    name: str
    number: str
    phone: str
    card: str
    session: int = 1
    picture: int = 1
    upload: int = 1
    application: str = "SBK203501010000000000"
    cursor: str = "ZW50cnk6OTk5"


NOBODY = Known("吴有之", "510104198806057717", "19912345678", "ZZZZZZZZ9")

Try = Callable[[Known], tuple[str, dict[str, Any]]]


def document(mutation: str, kind: str = "") -> str:
    name = kind or mutation[0].upper() + mutation[1:]
    return f"mutation($i: {name}Input!) {{ {mutation}(input: $i) {{ __typename {REFUSAL} }} }}"


def form(mutation: str, kind: str = "", **given: Callable[[Known], Any]) -> Try:
    return lambda known: (
        document(mutation, kind),
        {"i": {key: value(known) for key, value in given.items()}},
    )


def call(operation: str, **given: Callable[[Known], Any]) -> Try:
    def build(known: Known) -> tuple[str, dict[str, Any]]:
        arguments = ", ".join(f'{name}: "{value(known)}"' for name, value in given.items())
        return f"mutation {{ {operation}({arguments}) {{ __typename {REFUSAL} }} }}", {}

    return build


def of(value: str) -> Callable[[Known], Any]:
    return lambda _: value


SIX = of("123456")
TRIES: dict[str, Try] = {
    **{
        f"sendVerificationCode {purpose}": form(
            "sendVerificationCode", purpose=of(purpose), phone=lambda known: known.phone
        )
        for purpose in (
            "ACTIVATE_CARD",
            "REPORT_LOSS",
            "CANCEL_LOSS",
            "TRANSFER_IN",
            "REISSUE_CARD",
        )
    },
    "activateCard": form(
        "activateCard", phone=lambda k: k.phone, cardNumber=lambda k: k.card, code=SIX
    ),
    "reportLoss": form("reportLoss", phone=lambda k: k.phone, code=SIX),
    "cancelLoss": form(
        "cancelLoss", phone=lambda k: k.phone, cardNumber=lambda k: k.card, code=SIX
    ),
    "changePhone": form("changePhone", newPhone=lambda k: k.phone, code=SIX),
    "transferIn": form(
        "transferIn",
        cardNumber=lambda k: k.card,
        insurances=lambda _: ["PENSION"],
        phone=lambda k: k.phone,
        code=SIX,
    ),
    "insurances": lambda k: (
        f'{{ insurances(cardNumber: "{k.card}") {{ __typename {REFUSAL} }} }}',
        {},
    ),
    "reissueCard": lambda k: (
        document("reissueCard"),
        {"i": reissue_of(PERSONAS["lost"], phone=k.phone)},
    ),
    "applyCard": lambda k: (
        document("applyCard"),
        {"i": application_of(PERSONAS["no-card"], name=k.name, idNumber=k.number, phone=k.phone)},
    ),
    "confirmPortrait": call("confirmPortrait", portraitId=lambda k: k.picture),
    "deletePicture": call("deletePicture", pictureId=lambda k: k.picture),
    "uploadPortraitFrom": call("uploadPortraitFrom", uploadId=lambda k: k.upload),
    "uploadIdDocumentFrom": lambda k: (
        f'mutation {{ uploadIdDocumentFrom(side: EMBLEM_SIDE, uploadId: "{k.upload}")'
        f" {{ __typename {REFUSAL} }} }}",
        {},
    ),
    "cancelApplication": form("cancelApplication", applicationNumber=lambda k: k.application),
    "changePickupOutlet": form(
        "changePickupOutlet",
        applicationNumber=lambda k: k.application,
        districtCode=of("510104"),
        outletCode=of("SAMPLE-510104-1"),
    ),
    "correctApplication": form("correctApplication", applicationNumber=lambda k: k.application),
    "endSession": call("endSession", id=lambda k: k.session),
}
"""Asked as `locked`, with what is known of `lost`."""

NAMES_NOBODY = {
    "channel",
    "channels",
    "viewer",
    "sessions",
    "cardStatus",
    "productionProgress",
    "receipt",
    "applicationForm",
    "outlets",
    "districts",
    "banks",
    "serviceForm",
    "notificationSettings",
    "signIn",
    "signOut",
    "giveConsent",
    "changePassword",
    "changeContact",
    "requestUpload",
    "uploadPortrait",
    "uploadIdDocument",
    "confirmIdDocuments",
    "changeNotificationSettings",
    "serviceHistory",
}
"""They take no identifier of a person; `serviceHistory` has a test of its own below."""


def operations() -> set[str]:
    schema = build_schema()._schema
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    return {*schema.query_type.fields, *schema.mutation_type.fields}


def test_every_operation_is_tried_or_names_nobody() -> None:
    tried = {name.split()[0] for name in TRIES} | {"bindCard", "saveApplicationDraft"}

    assert operations() - tried - NAMES_NOBODY == set()


async def known_of(world: World, victim: FrontEnd) -> Known:
    person = victim.person
    await keep_pictures(world, victim)
    upload = await victim.ask(
        "mutation { requestUpload(input: {size: 5}) { ... on UploadRequested { uploadId } } }"
    )
    rows = await world.application.database.fetch(
        Query(
            select(sessions_table.c.id, sessions_table.c.subject_id).order_by(sessions_table.c.id)
        )
    )
    owner = await person_id(world, person)
    pictures = (await world.rows("pictures"))["pictures"]
    applications = (await world.rows("applications"))["applications"]
    assert person.card_number is not None
    return Known(
        person.name,
        person.social_security_number,
        person.phone,
        person.card_number,
        session=next(row["id"] for row in rows if row["subject_id"] == owner),
        picture=max(row.id for row in pictures),
        upload=int(upload["uploadId"]),
        application=next(row.number for row in applications if row.subject_id == owner),
    )


async def everything_of(world: World, person: Persona) -> dict[str, list[Any]]:
    """All rows that carry the person's id."""
    owner = await person_id(world, person)
    rows = await world.rows(*(table.name for table in TABLES))
    return {
        name: [row for row in found if owner in row]
        for name, found in rows.items()
        if name not in ("audit_anchored_heads",)
    }


async def test_shows_and_writes_nothing_and_answers_as_for_nobody(world: World) -> None:
    victim = await world.enter("lost")
    known = await known_of(world, victim)
    before = await everything_of(world, victim.person)
    for title, build in TRIES.items():
        attacker = await world.enter("no-card" if title == "applyCard" else "locked")

        theirs = await attacker.post(*build(known))
        nobodys = await attacker.post(*build(NOBODY))

        assert "Refusal" in theirs.text, f"{title}: {theirs.text}"
        assert theirs.content == nobodys.content, title
        for value in (known.name, known.number, known.phone, known.card):
            assert value not in theirs.text, title
    assert await everything_of(world, victim.person) == before
    assert (await victim.status())["state"] == "LOST"


async def test_binding_answers_whatever_does_not_fit_alike(world: World) -> None:
    """With a right code to a phone of one's own: the one case in which a code has been earned.

    The same rows are looked up too, so that the time tells nothing; `tests.soak.account_enumeration` measures it.
    """
    victim, own_phone = PERSONAS["lost"], "19912345678"
    before = await everything_of(world, victim)
    visitor = world.front_end("locked", "WECHAT")
    await visitor.sign_in()
    code = await visitor.code("BIND_CARD", own_phone)
    document = f"mutation($i: BindCardInput!) {{ bindCard(input: $i) {{ __typename {REFUSAL} }} }}"
    answers, lookups = set(), set()

    for name, number in (
        (victim.name, victim.social_security_number),
        (NOBODY.name, victim.social_security_number),
        (NOBODY.name, NOBODY.number),
        (victim.name, PERSONAS["active"].social_security_number),
    ):
        given = {"name": name, "socialSecurityNumber": number, "phone": own_phone, "code": code}
        async with counted(world.application.database) as statements:
            answers.add((await visitor.post(document, {"i": given})).content)
        asked = [sql for sql in statements if "FROM citizens" in sql or "FROM claims" in sql]
        lookups.add(len(asked))

    assert len(answers) == 1
    assert b"IDENTITY_NOT_CONFIRMED" in answers.pop()
    assert len(lookups) == 1
    if isinstance(world.application.database, SqliteDatabase):
        assert lookups == {2}
    assert await everything_of(world, victim) == before


async def test_links_open_only_what_they_were_made_for(world: World) -> None:
    victim = await world.enter("lost")
    known = await known_of(world, victim)
    attacker = await world.enter("no-card")
    await keep_pictures(world, attacker)
    answer = await attacker.ask(
        "{ applicationForm { ... on ApplicationForm { portrait { portraitId url } } } }"
    )
    url, own = answer["portrait"]["url"], answer["portrait"]["portraitId"]

    mine = await world.http.get(url)
    theirs = await world.http.get(url.replace(own, str(known.picture)))
    nobodys = await world.http.get(url.replace(own, "999"))

    assert mine.status_code == 200
    assert (theirs.status_code, theirs.content) == (403, nobodys.content)
    assert nobodys.status_code == 403


async def test_a_draft_with_their_data_is_ones_own(world: World) -> None:
    victim, attacker = PERSONAS["lost"], await world.enter("no-card")
    before = await everything_of(world, victim)
    document = (
        "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename } }"
    )

    await attacker.post(
        document, {"i": {"idNumber": victim.social_security_number, "phone": victim.phone}}
    )

    assert await everything_of(world, victim) == before
