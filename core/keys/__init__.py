"""Key rotation: which columns are encrypted, and re-encrypting them under the current keys."""

from core.keys import rotation

__all__ = ["rotation"]
