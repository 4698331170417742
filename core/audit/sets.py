"""MACs of many sets whose members are read in another order than that of the sets."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from core.crypto import SUM_MODULUS, Seals

_BYTES = (SUM_MODULUS - 1).bit_length() // 8
_UNREADABLE = -1


class Sets:
    """Sets by their numbers, with what is left of each MAC once members are taken away: nothing, if
    they were all of them. Takes 41 bytes per set.
    """

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._key_ids = list(seals.audit_keys.keys)
        self._numbers = array("q")
        self._keys = array("b")
        """Places in `_key_ids`."""
        self._left = bytearray()

    def add(self, number: int, mac: bytes | None) -> None:
        """In ascending order of the numbers. A set without a readable MAC is broken."""
        opened = self._seals.audit_sum(mac) if mac is not None else None
        key_id, total = opened or (None, 0)
        self._numbers.append(number)
        self._keys.append(_UNREADABLE if key_id is None else self._key_ids.index(key_id))
        self._left += total.to_bytes(_BYTES)

    @property
    def newest(self) -> int:
        """The highest number; -1 if there is no set."""
        return self._numbers[-1] if self._numbers else -1

    def take(self, number: int, member: str | None) -> bool:
        """Takes a member away, None if it cannot be read. False if there is no such set."""
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            return False
        key = self._keys[place]
        if member is not None and key != _UNREADABLE:
            where = slice(place * _BYTES, (place + 1) * _BYTES)
            taken = self._seals.audit_member(self._key_ids[key], member)
            left = (int.from_bytes(self._left[where]) - taken) % SUM_MODULUS
            self._left[where] = left.to_bytes(_BYTES)
        return True

    def broken(self) -> Iterator[int]:
        """The numbers of the sets that do not match their MACs."""
        for place, number in enumerate(self._numbers):
            left = self._left[place * _BYTES : (place + 1) * _BYTES]
            if self._keys[place] == _UNREADABLE or any(left):
                yield number
