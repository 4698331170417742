"""Masking of personal data."""

from hypothesis import given
from hypothesis import strategies as st

from core.kernel.masking import mask_name, mask_number, mask_phone


def test_a_name_shows_its_first_character() -> None:
    assert mask_name("林若溪") == "林**"
    assert mask_name("𠮷野") == "𠮷*"
    assert mask_name("阿米娜·买买提") == "阿******"


def test_a_number_shows_its_first_three_and_last_four() -> None:
    assert mask_number("510104199104151236") == "510***********1236"


def test_a_phone_shows_its_first_three_and_last_four() -> None:
    assert mask_phone("19900001001") == "199****1001"


@given(st.text("0123456789X", min_size=18, max_size=18))
def test_a_mask_keeps_the_length_and_hides_eleven(number: str) -> None:
    masked = mask_number(number)

    assert len(masked) == 18
    assert masked.count("*") == 11
