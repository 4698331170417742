"""Shared by all endpoints: parsing of JSON requests, JSON responses, errors as one sentence."""

from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.personas import PERSONAS, Persona

T = TypeVar("T")


class SandboxResponse(JSONResponse):
    """JSON in UTF-8 that must not be cached."""

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, headers={"Cache-Control": "no-store"})


async def read(request: Request, shape: type[T], rule: str = "") -> T:
    """Parses the JSON body. Raises `HTTPException` 400 for an invalid one, which ends with the rule."""
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"The body is not valid: {error}. {rule}".rstrip()) from error


def persona_of(persona_id: str) -> Persona:
    """Raises `HTTPException` 404 for an unknown persona."""
    persona = PERSONAS.get(persona_id)
    if persona is None:
        raise HTTPException(404, f"There is no such persona; there are {', '.join(PERSONAS)}.")
    return persona


async def error_answer(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return SandboxResponse({"error": error.detail}, error.status_code)
