"""Cards and their holders: the state machine of a card, and reading a citizen with their cards."""

from core.cards import cards, elsewhere, holders, prefetch, ways_out
from core.cards.card_forms import CardFields, CardForm
from core.cards.cards import (
    ADD_CARD,
    CHENGDU,
    NUMBER,
    SICHUAN_PREFIX,
    STATE_NAMES,
    Card,
    CardState,
    CardSummary,
    cards_table,
)
from core.cards.elsewhere import CardElsewhere, CardsElsewhere, cards_elsewhere_table
from core.cards.holders import CardHolder, Holder
from core.cards.prefetch import ASKS, CARDS, CITIZEN, HOLDER, PROGRESS, Prefetch

__all__ = [
    "ADD_CARD",
    "ASKS",
    "CARDS",
    "CHENGDU",
    "CITIZEN",
    "HOLDER",
    "NUMBER",
    "PROGRESS",
    "SICHUAN_PREFIX",
    "STATE_NAMES",
    "Card",
    "CardElsewhere",
    "CardFields",
    "CardForm",
    "CardHolder",
    "CardState",
    "CardSummary",
    "CardsElsewhere",
    "Holder",
    "Prefetch",
    "cards",
    "cards_elsewhere_table",
    "cards_table",
    "elsewhere",
    "holders",
    "prefetch",
    "ways_out",
]
