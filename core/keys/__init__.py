"""Key rotation: which columns are encrypted under which key, and re-encrypting them."""

from core.keys import rotation

__all__ = ["rotation"]
