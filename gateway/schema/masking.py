"""Sanitises errors: clients see refusals and their own mistakes, otherwise only an error id."""

import re
import secrets
from typing import cast

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import MaskErrors

from core.db import DatabaseUnavailable
from core.kernel.refusals import Refusal, TryAgainLater
from core.kernel.texts import Language
from gateway.resolvers.context import Context

log = structlog.get_logger("graphql")

_UNEXPECTED = {
    Language.ZH: "系统出现意外错误，请稍后再试；咨询 028-12333 时请提供编号 {id}。",
    Language.EN: "An unexpected error occurred. Please try again later, and quote {id} if you ask for help.",
}


class MaskUnexpected(MaskErrors):
    """Gives every error a code, and removes values and internals from its message."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=_needs_sanitizing)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        return _anonymous(error, cast("Context", self.execution_context.context).language)


def sanitize_execution_error(error: GraphQLError, language: Language) -> GraphQLError:
    """The error that a client gets for an error during execution."""
    return _anonymous(error, language) if _needs_sanitizing(error) else error


def _anonymous(error: GraphQLError, language: Language) -> GraphQLError:
    cause = error.original_error
    if _is_client_error(error):
        return _shown(error, _without_values(error), {"code": _code(error)})
    if isinstance(cause, DatabaseUnavailable):
        cause = TryAgainLater(retry_after=5)
    if isinstance(cause, Refusal):
        return _shown(
            error,
            cause.message(language),
            {"code": cause.code.value, "field": cause.field, "retryAfter": cause.retry_after},
        )
    error_id = secrets.token_hex(6)
    log.error(
        "graphql.unexpected",
        error_id=error_id,
        path=[part for part in error.path or () if isinstance(part, str)],
        error=type(cause).__name__,
        where=_where(cause),
    )
    message = _UNEXPECTED[language].format(id=error_id)
    return _shown(error, message, {"code": "INTERNAL", "errorId": error_id})


def sanitize_validation_error(error: GraphQLError) -> GraphQLError:
    """Adds a code to a parse or validation error, and removes values from its message."""
    if not _needs_sanitizing(error):
        return error
    return _shown(error, _without_values(error), {"code": _code(error)})


def _needs_sanitizing(error: GraphQLError) -> bool:
    return "code" not in (error.extensions or {})


def _is_client_error(error: GraphQLError) -> bool:
    """An error in the document or its variables, reported by graphql-core."""
    cause = error.original_error
    return cause is None or isinstance(cause, GraphQLError)


def _code(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if _VARIABLE.match(error.message) else "GRAPHQL_VALIDATION_FAILED"


_VARIABLE = re.compile(r"Variable '\$\w+' has invalid value")
_QUOTED = (
    (re.compile(r"( Did you mean .*|,? [Ff]ound:? .*)", re.DOTALL), ""),
    (re.compile(r"(cannot represent [^:]*): .*", re.DOTALL), r"\1"),
    (re.compile(r"Value '.*' does not exist", re.DOTALL), "The value does not exist"),
)


def _without_values(error: GraphQLError) -> str:
    """Removes quoted input from the message: it may contain personal data."""
    if isinstance(error, GraphQLSyntaxError):
        place = error.locations[0] if error.locations else None
        return (
            f"Syntax error at line {place.line}, column {place.column}."
            if place
            else "Syntax error."
        )
    message = error.message
    for quoted, instead in _QUOTED:
        message = quoted.sub(instead, message)
    return message if message.endswith(".") else f"{message}."


def _shown(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    """A new error with the same location and path."""
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def _where(error: BaseException | None) -> str:
    """The innermost line of our code; not the message, which may contain values."""
    traceback, where = error.__traceback__ if error else None, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        where = f"{code.co_filename.rsplit('/', 2)[-1]}:{traceback.tb_lineno} {code.co_name}"
        traceback = traceback.tb_next
    return where
