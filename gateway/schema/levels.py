"""The directive `@needs`: the real-name level that an operation requires."""

import strawberry
from strawberry.schema_directive import Location
from strawberry.types import get_object_definition

from core.kernel.callers import RealNameLevel


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="needs",
    description=(
        "所需实名级别 · The required real-name level of the session. `NONE`: any session; `BOUND`: a citizen "
        "identified by binding or by the platform, otherwise `NOT_BOUND`. Without it, no session is needed."
    ),
)
class Needs:
    level: RealNameLevel


NEEDS_SESSION = Needs(level=RealNameLevel.NONE)
NEEDS_PERSON = Needs(level=RealNameLevel.BOUND)

PUBLIC = frozenset(
    {"channels", "channel", "viewer", "outlets", "districts", "banks", "service_form", "sign_in"}
)
"""Operations for which no session is needed; `viewer` is null without one."""


def check_levels(*roots: type) -> None:
    """Raises `TypeError` for an operation without `@needs` that is not in `PUBLIC`."""
    for root in roots:
        for operation in get_object_definition(root, strict=True).fields:
            says = any(isinstance(directive, Needs) for directive in operation.directives)
            if says is (operation.python_name in PUBLIC):
                raise TypeError(f"{operation.python_name} needs @needs or a place in PUBLIC")
