"""Ways out: every state of a holder against every service, and where the next step leads."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from core.applications import Application, ApplicationKind
from core.cards import Card, CardElsewhere, CardsElsewhere, CardState, Holder, ways_out
from core.citizens import Citizen, Head
from core.crypto import KeyRing, Sealed, Suite, Vault
from core.kernel.card_services import CardService
from core.kernel.confirmation import Confirmation
from core.kernel.line_breaks import unbroken
from core.kernel.next_steps import NextStep
from core.kernel.texts import Language
from tests.core.test_card_transitions import card

_KEYS = KeyRing({"k": b"k" * 32})
_VAULT = Vault(Suite.INTERNATIONAL, _KEYS, _KEYS)
_CITIZEN = Citizen(
    id=2,
    name=Sealed(_VAULT, _VAULT.seal("林若溪", "citizens.name", 2), "citizens.name", 2),
    social_security_number=Sealed(_VAULT, b"", "citizens.social_security_number", 2),
    phone=None,
    phone_index=None,
    social_insurance_number=None,
    deceased_at=None,
)
_CANCELLED = card(CardState.CANCELLED)
_HELD = [
    replace(card(state), id=2, confirmation=confirmation)
    for state in CardState
    if state is not CardState.CANCELLED
    for confirmation in Confirmation
]
CARDS: list[tuple[Card, ...]] = [
    (),
    (_CANCELLED,),
    *((held,) for held in _HELD),
    *((held, _CANCELLED) for held in _HELD),
    *((replace(card(CardState.SEALED), id=3), held) for held in _HELD),
]
"""Newest first; the last ones are of a new card that is made while the old one exists."""

APPLICATIONS = [
    None,
    *(
        Application(1, "SBK202601010000000001", kind, None, made, 0)
        for kind in ApplicationKind
        for made in (None, _HELD[0].id)
    ),
]
PASSWORDS = [(None, 0), (0, 0), (1, 86_400_000)]
UNKNOWN, NONE = None, CardsElsewhere()
MIANYANG = CardsElsewhere(CardElsewhere("510700", "绵阳市", CardState.ACTIVE))
UNENROLLED = CardsElsewhere(CardElsewhere("510700", "绵阳市", CardState.ACTIVE, enrolled=False))
ELSEWHERE = [
    UNKNOWN,
    NONE,
    UNENROLLED,
    *(
        CardsElsewhere(CardElsewhere(code, name, state))
        for code, name in (("510700", "绵阳市"), ("500100", "重庆市"))
        for state in CardState
        if state is not CardState.CANCELLED
    ),
]


class Case(NamedTuple):
    service: CardService
    holder: Holder


class Followed(NamedTuple):
    """Cases in all, those that were refused, those of them with a service to go on with."""

    cases: int
    refused: int
    online: int
    dead_ends: list[str]


def holders(elsewhere: list[CardsElsewhere | None]) -> Iterator[Holder]:
    for cards, application, (until, remaining), produced, known in product(
        CARDS, APPLICATIONS, PASSWORDS, (False, True), elsewhere
    ):
        yield Holder(
            citizen=_CITIZEN,
            cards=cards,
            head=Head(0, b"", 0),
            application=application,
            has_production=produced or application is not None,
            password_locked_until=until,
            password_locked_for=remaining,
            elsewhere=known,
        )


def follow(elsewhere: list[CardsElsewhere | None]) -> Followed:
    """Follows the next step of every refusal."""
    cases = refused = online = 0
    dead_ends = []
    for holder, service in product(holders(elsewhere), CardService):
        cases += 1
        refusal = ways_out.eligibility(service, holder)
        if refusal is None:
            continue
        refused += 1
        step = ways_out.show_way(refusal, service, holder).next_step
        online += step is not None and step.service is not None
        if not _goes_on(step, holder):
            dead_ends.append(f"{service}: {refusal.code} → {step and step.service}")
    return Followed(cases, refused, online, dead_ends)


def _goes_on(step: NextStep | None, holder: Holder) -> bool:
    if step is None:
        return False
    if step.service is None:
        return step.phone is not None and step.phone in step.message.zh
    return ways_out.eligibility(step.service, holder) is None


def test_no_next_step_leads_into_another_refusal() -> None:
    followed = follow(ELSEWHERE)

    assert followed.cases >= 10_000
    assert followed.refused >= 5_000
    assert followed.dead_ends == []


def test_four_of_five_refusals_by_state_lead_to_something_online() -> None:
    followed = follow(ELSEWHERE)

    assert followed.online / followed.refused >= 0.8


def test_telling_everybody_to_apply_would_be_found_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways_out, "next_step", lambda service, holder: ways_out._APPLY)

    dead_ends = follow([UNKNOWN]).dead_ends

    assert f"CARD_STATUS: APPLICATION_OPEN → {CardService.APPLY_CARD}" in dead_ends
    assert f"TRANSFER_IN: CARD_ALREADY_HERE → {CardService.APPLY_CARD}" in dead_ends


@pytest.mark.parametrize("language", Language)
def test_every_refusal_ends_with_its_next_step(language: Language) -> None:
    for holder, service in product(holders([UNKNOWN, MIANYANG]), CardService):
        refusal = ways_out.eligibility(service, holder)
        if refusal is None:
            continue
        step = ways_out.show_way(refusal, service, holder).next_step
        assert step is not None
        message = refusal.message(language)
        assert message.endswith(unbroken(step.message.in_language(language)))
        assert "{" not in message


def _holder(**changes: object) -> Holder:
    return replace(next(holders([UNKNOWN])), **changes)


@pytest.mark.parametrize(
    ("elsewhere", "apply", "transfer"),
    [
        (UNKNOWN, None, None),
        (NONE, None, "NO_CARD_ELSEWHERE"),
        (MIANYANG, "CARD_HELD_ELSEWHERE", None),
        (UNENROLLED, "CARD_HELD_ELSEWHERE", "INSURANCE_NOT_ENROLLED"),
        (
            CardsElsewhere(CardElsewhere("510700", "绵阳市", CardState.LOST)),
            "CARD_HELD_ELSEWHERE",
            "TRANSFER_CARD_NOT_ACTIVE",
        ),
        (
            CardsElsewhere(CardElsewhere("500100", "重庆市", CardState.ACTIVE)),
            "CARD_HELD_ELSEWHERE",
            "CARD_OUTSIDE_PROVINCE",
        ),
    ],
)
def test_what_is_known_of_other_regions_decides(
    elsewhere: CardsElsewhere | None, apply: str | None, transfer: str | None
) -> None:
    holder = _holder(elsewhere=elsewhere)

    refusals = [
        ways_out.eligibility(service, holder)
        for service in (CardService.APPLY_CARD, CardService.TRANSFER_IN)
    ]

    assert [refusal and refusal.code for refusal in refusals] == [apply, transfer]


def test_only_what_is_unknown_has_a_note() -> None:
    noted = {service for service in CardService if ways_out.note(service, _holder())}

    assert noted == {CardService.APPLY_CARD, CardService.TRANSFER_IN}
    assert not any(ways_out.note(service, _holder(elsewhere=NONE)) for service in CardService)
