"""What the tests of several services share: reading the history, moving the clock, small factories."""

import contextlib
import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import time_machine

from core.cards import CardState
from core.citizens import Notice, citizens
from core.storage import PictureKind, pictures
from core.unit_of_work import UnitOfWork
from sandbox.partners import REGISTRY_CARDS
from sandbox.paths import world_file
from sandbox.personas import Persona
from sandbox.world import Thing
from sandbox.world import World as SandboxWorld
from tests.front_end import FrontEnd, World
from tests.units import change

OUTLET = "SAMPLE-510104-1"
"""In 锦江区 510104; serves SAMPLE-ICBC, SAMPLE-ABC and SAMPLE-BOC."""

OUTLET_OF_OTHER_BANKS = "SAMPLE-510104-2"
OUTLET_OF_OTHER_DISTRICT = "SAMPLE-510105-1"
NEW_PHONE = "19900009999"


def later(**duration: int) -> time_machine.travel:
    """The clock of gateway and sandbox so much further on, and running."""
    return time_machine.travel(time.time() + timedelta(**duration).total_seconds(), tick=True)


@contextlib.contextmanager
def english(citizen: FrontEnd) -> Iterator[None]:
    citizen.headers["Accept-Language"] = "en"
    yield
    del citizen.headers["Accept-Language"]


def other_than(code: str) -> str:
    """A wrong code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def fault(answer: dict[str, Any]) -> tuple[str, str | None]:
    """Code and field of a refusal."""
    return answer["code"], answer["field"]


def problems(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Every wrong field with its code, in the order of the form."""
    return [(problem["field"], problem["code"]) for problem in answer["problems"]]


async def person_id(world: World, person: Persona) -> int:
    database, vault = world.application.database, world.application.dependencies.vault
    citizen = await citizens.find_by_number(database, vault, person.social_security_number)
    assert citizen is not None
    return citizen.id


async def history(world: World, person: Persona) -> list[str]:
    """What the audit log tells of a person, oldest first; a result only where it is not DONE."""
    number = await person_id(world, person)
    entries = (await world.rows("audit_entries"))["audit_entries"]
    own = sorted(
        (entry for entry in entries if entry.subject_id == number), key=lambda entry: entry.number
    )
    return [
        entry.action if entry.result == "DONE" else f"{entry.action} {entry.result}"
        for entry in own
    ]


async def notices(citizen: FrontEnd, phone: str | None = None) -> list[str]:
    """Texts of the plain notices in the phone's inbox, newest first; without those of a first sign-in,
    which every `enter` causes in a channel whose platform identifies people."""
    texts = [sms["text"] for sms in await citizen.inbox(phone) if sms["purpose"] is None]
    return [text for text in texts if Notice.FIRST_SIGN_IN.text.zh not in text]


async def register(world: World, *, name: str, number: str, phone: str | None) -> int:
    """Puts somebody on file who never came in through a channel."""
    vault, now = world.application.dependencies.vault, world.application.clock()
    given: Any = {"name": name, "number": number, "phone": phone}
    citizen = await change(world, lambda unit: citizens.register(unit.writes, vault, now, **given))
    return int(citizen.id)


APPLICATION_PICTURES = (
    PictureKind.PORTRAIT,
    PictureKind.PORTRAIT_SIDE,
    PictureKind.EMBLEM_SIDE,
)


async def keep_pictures(
    world: World,
    citizen: FrontEnd,
    kinds: tuple[PictureKind, ...] = APPLICATION_PICTURES,
    *,
    confirmed: bool = True,
) -> None:
    """Portrait and both sides of the ID card, without the time that processing takes."""
    owner, dependencies = await person_id(world, citizen.person), world.application.dependencies
    name = await dependencies.objects.put(b"a picture", owner, world.application.clock())
    now = world.application.clock()

    def add(unit: UnitOfWork) -> None:
        for kind in kinds:
            pictures.add(unit.writes, now, citizen_id=owner, kind=kind, object_name=name, size=9)

    async def confirm(unit: UnitOfWork) -> None:
        for picture in (await pictures.latest(unit.db, owner)).values():
            pictures.confirm(unit.writes, picture, now)

    await change(world, add)
    if confirmed:
        await change(world, confirm)


def application_of(person: Persona, **changes: Any) -> dict[str, Any]:
    """The form of 申办, filled in as the person would."""
    born: date = person.birth_date
    return {
        "postalCode": "610000",
        "socialInsuranceNumber": None,
        "educationCode": "10",
        "occupationCode": "20000",
        "bankCode": "SAMPLE-ICBC",
        "financialWithholding": False,
        "pickupMethod": "OUTLET",
        "districtCode": "510104",
        "outletCode": OUTLET,
        "phone": person.phone,
        "code": "000000",
        "nationalityCode": "CHN",
        "idDocumentType": "01",
        "idIssuer": "成都市公安局",
        "idNumber": person.social_security_number,
        "idValidUntil": "LONG_TERM",
        "name": person.name,
        "genderCode": person.gender_code,
        "ethnicityCode": "01",
        "birthDate": f"{born:%Y%m%d}",
    } | changes


def reissue_of(person: Persona, **changes: str) -> dict[str, str]:
    """The form of 补卡 for the persona whose bank is SAMPLE-ABC."""
    return {
        "pickupMethod": "OUTLET",
        "districtCode": "510104",
        "outletCode": OUTLET,
        "phone": person.phone,
        "code": "000000",
    } | changes


def give_card_elsewhere(
    world: World, person: Persona, *, state: CardState = CardState.ACTIVE, **changes: str
) -> None:
    """A card of 绵阳, numbered SAMPLE888, of which only the provincial registry knows."""
    with sandbox_world(world) as things:
        things.put(
            REGISTRY_CARDS,
            "SAMPLE888",
            {
                "socialSecurityNumber": person.social_security_number,
                "cardNumber": "SAMPLE888",
                "regionCode": "510700",
                "regionName": "绵阳市",
                "state": state.value,
                "bankCode": "SAMPLE-CCB",
                "bankName": "中国建设银行",
                "issueDate": "2020-07-01",
            }
            | changes,
        )


def registry_card(world: World, number: str) -> Thing:
    """What the provincial registry holds under a card number."""
    with sandbox_world(world) as things:
        card = things.get(REGISTRY_CARDS, number)
    assert card is not None
    return card


@contextlib.contextmanager
def sandbox_world(world: World) -> Iterator[SandboxWorld]:
    with contextlib.closing(
        SandboxWorld(world_file(world.application.dependencies.settings))
    ) as things:
        yield things
