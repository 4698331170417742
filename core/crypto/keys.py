"""The vault and the seals, which are always passed together."""

from typing import NamedTuple

from core.crypto.encryption import Vault
from core.crypto.seals import Seals


class Keys(NamedTuple):
    vault: Vault
    seals: Seals
