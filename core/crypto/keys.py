"""All that is under key: the vault of the columns and the seals of the tokens."""

from typing import NamedTuple

from core.crypto.encryption import Vault
from core.crypto.seals import Seals


class Keys(NamedTuple):
    vault: Vault
    seals: Seals
