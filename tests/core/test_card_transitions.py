"""Every state against every transition: those of the table, and no other."""

from collections.abc import Callable
from typing import Any

import pytest

from core.cards import Card, CardState
from core.cards.cards import TEMPORARY_LOSS_LASTS
from core.crypto import KeyRing, Sealed, Suite, Vault
from core.kernel.clock import DAY
from core.kernel.confirmation import Confirmation
from core.kernel.refusals import WrongCardState
from core.kernel.texts import Language

SINCE = 1_700_000_000_000
NOW = SINCE + DAY
KEYS = KeyRing({"k": b"k" * 32})

TRANSITIONS: dict[str, Callable[[Card, int], Card]] = {
    "activate": Card.activate,
    "activate_at_outlet": Card.activate_at_outlet,
    "temporary_loss": Card.temporary_loss,
    "report_loss": Card.report_loss,
    "cancel_loss": Card.cancel_loss,
    "reissued": Card.reissued,
    "lock": Card.lock,
    "unlock": Card.unlock,
    "cancel": Card.cancel,
}

S, A, L, K, T, C = (
    CardState.SEALED,
    CardState.ACTIVE,
    CardState.LOST,
    CardState.LOCKED,
    CardState.TEMPORARILY_LOST,
    CardState.CANCELLED,
)
TABLE = {
    (S, "activate"): A,
    (S, "activate_at_outlet"): A,
    (A, "temporary_loss"): T,
    (S, "report_loss"): L,
    (A, "report_loss"): L,
    (K, "report_loss"): L,
    (T, "report_loss"): L,
    (L, "reissued"): C,
    (A, "lock"): K,
    (K, "unlock"): A,
    (S, "cancel"): C,
    (A, "cancel"): C,
    (L, "cancel"): C,
    (K, "cancel"): C,
    (T, "cancel"): C,
}
REMEMBERED = {
    ("lock", A): K,
    ("unlock", K): A,
    ("activate_at_outlet", S): A,
}
"""What happens at an outlet while the card is lost, by the state before the loss."""


def card(state: CardState, before: CardState | None = None) -> Card:
    vault = Vault(Suite.INTERNATIONAL, KEYS, KEYS)
    return Card(
        id=1,
        citizen_id=2,
        number=Sealed(vault, vault.seal("SAMPLE01X", "cards.number", 1), "cards.number", 1),
        number_index=vault.index("SAMPLE01X", "card_number"),
        region_code="510100",
        bank_code="SAMPLE-ICBC",
        batch_number=None,
        issue_date="2021-03-15",
        state=state,
        state_since=SINCE,
        state_before=before,
        confirmation=Confirmation.CONFIRMED,
        snapshot_state=None,
        snapshot_state_since=None,
        snapshot_state_before=None,
        snapshot_since=0,
    )


def test_the_states_have_the_codes_of_aaz502() -> None:
    assert {state.name: state.value for state in CardState} == {
        "SEALED": "0",
        "ACTIVE": "1",
        "LOST": "2",
        "LOCKED": "3",
        "TEMPORARILY_LOST": "4",
        "CANCELLED": "9",
    }


EVERY = [(state, None) for state in (S, A, K, C)] + [
    (lost, before) for lost in (L, T) for before in (None, S, A, K)
]
"""Every state, and of a loss the state before it; None of an imported one."""


def goal_of(state: CardState, before: CardState | None, name: str) -> Any:
    """State, since when, and what is remembered of before a loss; None if it is refused."""
    restored = before or A
    if state in (L, T) and name == "cancel_loss":
        return restored, NOW, None
    if state in (L, T) and (name, restored) in REMEMBERED:
        return state, SINCE, REMEMBERED[name, restored]
    goal = TABLE.get((state, name))
    if goal in (L, T):
        return goal, NOW, restored if state is T else state
    return goal and (goal, NOW, None)


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize(("state", "before"), EVERY)
def test_only_the_transitions_of_the_table_are_possible(
    state: CardState, before: CardState | None, name: str
) -> None:
    stored = card(state, before)
    goal = goal_of(state, before, name)

    if goal is None:
        with pytest.raises(WrongCardState):
            TRANSITIONS[name](stored, NOW)
        return
    after = TRANSITIONS[name](stored, NOW)

    assert (after.state, after.state_since, after.state_before) == goal
    assert (after.id, after.number_index) == (1, stored.number_index)


@pytest.mark.parametrize("before", [S, K], ids=lambda state: state.name)
def test_no_way_through_a_loss_activates_or_unlocks(before: CardState) -> None:
    lost = card(before).report_loss(NOW)

    assert lost.cancel_loss(NOW + 1).state is before
    with pytest.raises(WrongCardState):
        lost.activate(NOW + 1)


def test_a_temporary_loss_that_is_reported_formally_remembers_what_was_before_both() -> None:
    lost = card(A).temporary_loss(NOW).lock(NOW + 1).report_loss(NOW + 2)

    assert (lost.state, lost.cancel_loss(NOW + 3).state) == (L, K)


def test_nothing_leads_out_of_cancelled() -> None:
    assert [move for (state, move) in TABLE if state is C] == []


@pytest.mark.parametrize("state", CardState, ids=lambda state: state.name)
def test_a_refused_transition_says_the_state_in_both_languages(state: CardState) -> None:
    refusals = []
    for name, transition in TRANSITIONS.items():
        if goal_of(state, None, name) is None:
            with pytest.raises(WrongCardState) as caught:
                transition(card(state), NOW)
            refusals.append(caught.value)

    for refusal in refusals:
        for language in Language:
            message = refusal.message(language)
            assert message
            assert "{" not in message


def test_a_temporary_loss_lapses_after_seven_days_to_the_millisecond() -> None:
    lost = card(T)
    ends = SINCE + 7 * DAY

    assert TEMPORARY_LOSS_LASTS == 7 * DAY
    assert lost.as_of(ends - 1) == lost
    assert (lost.as_of(ends).state, lost.as_of(ends).state_since) == (A, ends)
    locked = lost.lock(SINCE + DAY).as_of(ends)
    assert (locked.state, locked.state_since, locked.state_before) == (K, ends, None)


@pytest.mark.parametrize("state", [S, A, L, K, C], ids=lambda state: state.name)
def test_no_other_state_lapses(state: CardState) -> None:
    before = card(state)

    assert before.as_of(SINCE + 1000 * DAY) == before


def test_a_card_is_known_by_its_number_alone() -> None:
    vault = Vault(Suite.INTERNATIONAL, KEYS, KEYS)

    assert card(A).has_number("SAMPLE01X", vault)
    assert not card(A).has_number("SAMPLE028", vault)


def test_the_number_does_not_show() -> None:
    assert "SAMPLE01X" not in repr(card(A))
