"""How many entries of a long list a page has."""

from core.kernel.refusals import InvalidFormat
from core.kernel.texts import Text
from core.reference.forms import LABELS

MAX_PAGE = 100


def page_size(first: int) -> int:
    """Raises `InvalidFormat` for a number out of 1 to 100."""
    if not 0 < first <= MAX_PAGE:
        raise InvalidFormat(
            field="first",
            label=LABELS["first"],
            rule=Text(f"1 至 {MAX_PAGE} 的整数", f"a whole number from 1 to {MAX_PAGE}"),
        )
    return first
