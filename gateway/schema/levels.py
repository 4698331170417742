"""How far a caller must be known for an operation: it stands at the field, in the SDL, as `@needs`."""

import strawberry
from strawberry.schema_directive import Location

from core.callers import RealNameLevel


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="needs",
    description=(
        "所需实名级别 · The least real-name level of the session. `NONE`: any session; `BOUND`: the person "
        "is known, by binding or by the platform; otherwise `NOT_BOUND`. Without it no session is needed."
    ),
)
class Needs:
    level: RealNameLevel


NEEDS_SESSION = Needs(level=RealNameLevel.NONE)
NEEDS_PERSON = Needs(level=RealNameLevel.BOUND)
