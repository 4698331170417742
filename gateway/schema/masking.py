"""What a client may learn of an error: refusals and its own mistakes; all else only an id."""

import secrets
from typing import cast

import structlog
from graphql import GraphQLError
from strawberry.extensions import MaskErrors

from core.errors import Language, Refusal
from gateway.resolvers.context import Context

log = structlog.get_logger("graphql")

_UNEXPECTED = {
    Language.ZH: "系统出现意外错误，请稍后再试；咨询 028-12333 时请提供编号 {id}。",
    Language.EN: "Something unexpected went wrong; please try again later, and quote {id} when asking for help.",
}


class MaskUnexpected(MaskErrors):
    """Refusals outside a union and unexpected errors, each in the form of the GraphQL specification."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=_is_not_the_clients)

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        context = cast("Context", self.execution_context.context)
        cause = error.original_error
        if isinstance(cause, Refusal):
            return _shown(
                error,
                cause.message(context.language),
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
        message = _UNEXPECTED[context.language].format(id=error_id)
        return _shown(error, message, {"code": "INTERNAL", "errorId": error_id})


def _is_not_the_clients(error: GraphQLError) -> bool:
    cause = error.original_error
    return cause is not None and not isinstance(cause, GraphQLError)


def _shown(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)


def _where(error: BaseException | None) -> str:
    """The innermost line of our own that raised: never the message, which may hold values."""
    traceback, where = error.__traceback__ if error else None, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        where = f"{code.co_filename.rsplit('/', 2)[-1]}:{traceback.tb_lineno} {code.co_name}"
        traceback = traceback.tb_next
    return where
