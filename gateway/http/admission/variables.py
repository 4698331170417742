"""What the variables and extensions of a request weigh."""

from typing import Any

from core.kernel.texts import Text
from gateway.http.admission.parameters import Parameters
from gateway.http.edge import BadRequest

MAX_NODES = 1_000
MAX_CHARACTERS = 65_536
MAX_DEPTH = 16
NODES_PER_POINT = 50
CHARACTERS_PER_POINT = 10_000

_TOO_LARGE = Text(
    f"`variables` 与 `extensions` 过大：至多 {MAX_NODES} 个值、{MAX_CHARACTERS} 个字符、{MAX_DEPTH} 层。",
    f"`variables` and `extensions` are too large: at most {MAX_NODES} values,"
    f" {MAX_CHARACTERS} characters and {MAX_DEPTH} levels.",
)


def variables_cost(parameters: Parameters) -> int:
    """Points for coercing them. Raises `BadRequest` if they are too large."""
    nodes = characters = depth = 0
    level: list[Any] = [parameters.variables, parameters.extensions]
    while level:
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                characters += len(value)
            elif isinstance(value, dict):
                characters += sum(map(len, value))
                below += value.values()
            elif isinstance(value, list):
                below += value
        nodes += len(below)
        depth += 1
        if nodes > MAX_NODES or characters > MAX_CHARACTERS or depth > MAX_DEPTH:
            raise BadRequest(_TOO_LARGE, code="TOO_COMPLEX")
        level = below
    return nodes // NODES_PER_POINT + characters // CHARACTERS_PER_POINT
