"""Reading the name: the whole name or none, on given words and readings."""

from collections.abc import Callable, Sequence

import pytest

from core.imaging.id_documents.names import read_name
from core.imaging.id_documents.ocr import Box, Reading, Words

SURE = 0.97
GENDER = Words(5.5, 20, 15.6, "性别女", 0.99)
LABEL = Words(5.5, 12.4, 8.3, "姓名", 0.99)


def words(*lines: str, size: float = 4.0) -> list[Words]:
    found = [LABEL, GENDER]
    for number, text in enumerate(lines):
        wide = sum(0.5 if one in "·•‧・." else 1.0 for one in text)
        found.append(
            Words(15.2, 15.2 + wide * size, 7.0 + 4.3 * number, text, SURE, height=size + 0.4)
        )
    return found


def again(*readings: str, confidence: float = SURE) -> Callable[[Box], Sequence[Reading]]:
    return lambda _: [Reading(text, confidence) for text in readings]


@pytest.mark.parametrize("dot", "·•‧・.˙．･")
def test_every_dot_is_the_one_of_id_cards(dot: str) -> None:
    text = f"阿卜杜拉{dot}买买提"

    found = read_name(words(text), again(text, text))

    assert found is not None
    assert found.value == "阿卜杜拉·买买提"
    assert found.confidence >= 0.9


def test_joins_a_name_over_two_lines() -> None:
    lines = ("阿卜杜热合曼·艾孜", "孜江·买买提")
    given = iter(lines)

    found = read_name(words(*lines), lambda _: [Reading(next(given), SURE)])

    assert found is not None
    assert found.value == "阿卜杜热合曼·艾孜孜江·买买提"


def test_joins_the_pieces_of_a_line_and_drops_what_is_left_of_the_label() -> None:
    pieces = [
        Words(12.0, 22.4, 8.3, "名唐晓", SURE, height=4.4),
        Words(22.4, 26.4, 8.4, "舟", SURE, height=4.4),
        GENDER,
    ]

    found = read_name(pieces, again("唐晓舟"))

    assert found is not None
    assert found.value == "唐晓舟"


@pytest.mark.parametrize(
    ("printed", "readings"),
    [
        ("张飏淼", ("张飏淼", "张网淼")),
        ("李锦", ("李锦", "李绵")),
        ("阿卜杜拉·买买提", ("阿卜杜拉买买提",)),
        ("王龍", ("王龍", "王龍")),
        ("王桜", ("王桜", "王桜")),
        ("王明1", ("王明1",)),
        ("·买买提", ("·买买提",)),
        ("王", ("王",)),
    ],
    ids=["another", "similar", "no dot", "traditional", "Japanese", "digit", "half", "short"],
)
def test_offers_no_name_that_is_not_certain(printed: str, readings: tuple[str, ...]) -> None:
    assert read_name(words(printed), again(*readings)) is None


def test_offers_no_name_with_an_uncertain_character() -> None:
    """The control: the same name is offered if it was read with certainty."""
    assert read_name(words("逄谌"), again("逄谌", confidence=0.82)) is None
    assert read_name(words("逄谌"), again("逄谌", confidence=0.95)) is not None


def test_offers_no_name_that_does_not_fit_its_line() -> None:
    """Two characters read where four are printed."""
    line = [LABEL, GENDER, Words(15.2, 31.2, 8.3, "王明", SURE, height=4.4)]

    assert read_name(line, again("王明")) is None
