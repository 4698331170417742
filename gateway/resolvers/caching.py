"""Which root fields anybody may read, and how long their value may be kept."""

from typing import Any

_SECONDS = "public_seconds"


def public(seconds: int) -> dict[str, Any]:
    """Metadata of a root field whose value is the same for everybody.

    Fields below it that take arguments are still of the request alone.
    """
    return {_SECONDS: seconds}


def seconds_of(metadata: Any) -> int | None:
    found: int | None = metadata.get(_SECONDS)
    return found
