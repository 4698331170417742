import re
from datetime import date

import httpx
import pytest
from stdnum.cn import ric
from stdnum.iso7064 import mod_11_2

from core.citizens.passwords import is_too_simple
from core.kernel.callers import ChannelId
from core.reference import Reference, age_on
from sandbox.personas import PERSONAS, Persona, persona_by_account, persona_by_number

EVERYONE = list(PERSONAS.values())
everyone = pytest.mark.parametrize("persona", EVERYONE, ids=list(PERSONAS))


def test_there_is_one_for_every_state_a_citizen_can_be_in() -> None:
    states = {persona.id: (persona.card_state, persona.region_code) for persona in EVERYONE}

    assert states == {
        "active": ("1", "510100"),
        "sealed": ("0", "510100"),
        "lost": ("2", "510100"),
        "temporarily-lost": ("4", "510100"),
        "locked": ("3", "510100"),
        "cancelled": ("9", "510100"),
        "in-production": (None, "510100"),
        "no-card": (None, "510100"),
        "other-city": ("1", "510700"),
        "other-province": ("1", "500100"),
        "unenrolled": ("1", "510600"),
        "minor": (None, "510100"),
    }


@pytest.mark.parametrize(
    "attribute", ["name", "social_security_number", "phone", "card_number", "service_password"]
)
def test_nobody_shares_anything(attribute: str) -> None:
    values = [getattr(persona, attribute) for persona in EVERYONE]
    given = [value for value in values if value is not None]

    assert len(set(given)) == len(given)


def test_one_name_has_a_middle_dot() -> None:
    assert [persona.id for persona in EVERYONE if "·" in persona.name] == ["locked"]


@everyone
def test_numbers_have_the_shape_of_real_ones(persona: Persona) -> None:
    assert ric.is_valid(persona.social_security_number)
    assert re.fullmatch(r"1[3-9][0-9]{9}", persona.phone)
    if persona.card_number is not None:
        assert re.fullmatch(r"[A-Z0-9]{8}[0-9X]", persona.card_number)
        values = "".join(str(int(character, 36)) for character in persona.card_number[:-1])
        assert mod_11_2.calc_check_digit(values) == persona.card_number[-1]


@everyone
def test_only_the_minor_is_a_minor_until_2030(persona: Persona) -> None:
    years = [age_on(persona.birth_date, day) for day in (date(2024, 1, 1), date(2030, 12, 31))]

    assert [age < 16 for age in years] == [persona.id == "minor"] * 2


@everyone
def test_who_has_activated_a_card_here_has_a_good_service_password(persona: Persona) -> None:
    has_one = persona.holds_chengdu_card and persona.card_state != "0"

    assert (persona.service_password is not None) is has_one
    if persona.service_password is not None:
        assert re.fullmatch(r"[0-9]{8}", persona.service_password)
        assert not is_too_simple(
            persona.service_password, persona.social_security_number, persona.birth_date
        )


@everyone
def test_codes_are_those_of_the_reference_data(persona: Persona) -> None:
    reference = Reference.load()

    assert persona.bank_code is None or reference.bank(persona.bank_code)
    if persona.outlet_code is not None:
        outlet = reference.outlet(persona.outlet_code)
        assert outlet is not None
        assert persona.bank_code in outlet.bank_codes


@everyone
def test_each_channel_knows_the_person_by_an_account_of_its_own(persona: Persona) -> None:
    accounts = {persona.account(channel) for channel in ChannelId}

    assert len(accounts) == 3
    assert all(re.fullmatch(r"o[0-9a-f]{27}", account) for account in accounts)
    for channel in ChannelId:
        assert persona_by_account(channel, persona.account(channel)) is persona


def test_an_account_stays_the_same() -> None:
    assert PERSONAS["active"].account(ChannelId.WECHAT) == "o9a1c87f7cf2377fefd79d0830d9"


def test_finds_a_persona_by_number() -> None:
    assert persona_by_number("510104199104151236") is PERSONAS["active"]
    assert persona_by_number("510104199104151237") is None


def test_a_service_password_does_not_show() -> None:
    assert "40917258" not in repr(PERSONAS["active"])


async def test_lists_all_personas(sandbox: httpx.AsyncClient) -> None:
    response = await sandbox.get("/personas")

    listed = {persona["id"]: persona for persona in response.json()}
    assert list(listed) == list(PERSONAS)
    assert listed["active"] == {
        "id": "active",
        "name": "林若溪",
        "socialSecurityNumber": "510104199104151236",
        "phone": "19900001001",
        "cardNumber": "SAMPLE01X",
        "servicePassword": "40917258",
        "description": "持有正常状态的成都社保卡",
    }
    assert listed["no-card"]["cardNumber"] is None
    assert listed["sealed"]["servicePassword"] is None
