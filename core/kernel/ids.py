"""Row ids: 63-bit integers that increase with time and are generated without the database.

The id is known before the row is inserted, so that encrypted columns can be bound to it.
"""

import itertools
import secrets

from core.kernel.clock import Instant

_SEQUENCE_BITS = 22
_LARGEST = 2**63 - 1
_sequence = itertools.count(secrets.randbits(_SEQUENCE_BITS))


def new_id(now: Instant) -> int:
    """41 bits of milliseconds, 22 bits of a sequence with a random start in each process."""
    return (now << _SEQUENCE_BITS) | (next(_sequence) & ((1 << _SEQUENCE_BITS) - 1))


def first_id_at(at: Instant) -> int:
    """The lowest id of a moment: ids made earlier are below it."""
    return at << _SEQUENCE_BITS


def id_from(text: str) -> int:
    """Parses an id from a client; 0, which no row has, if it is not one."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST))):
        return 0
    number = int(text)
    return number if number <= _LARGEST else 0
