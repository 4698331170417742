"""Errors of a request as a whole: status, machine-readable code, message for people."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.kernel.refusals import Language, Text

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"


class BadRequest(Exception):
    """Raised while a request is checked, before it is executed. The message is localised."""

    def __init__(
        self,
        text: Text | str,
        status: int = 400,
        code: str = "BAD_REQUEST",
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def error(self, language: Language) -> dict[str, Any]:
        """The error as an entry of `errors`."""
        text = self.text
        extensions: dict[str, Any] = {"code": self.code}
        if self.retry_after is not None:
            extensions["retryAfter"] = self.retry_after
        return {
            "message": text if isinstance(text, str) else text.in_language(language),
            "extensions": extensions,
        }


def media_type(accept: str) -> str:
    """`application/graphql-response+json` if the client accepts it, otherwise `application/json`."""
    return GRAPHQL_JSON if GRAPHQL_JSON in accept else JSON


@lru_cache(maxsize=64)
def preferred_language(accept_language: str) -> Language:
    """Chinese, unless English has a higher weight (RFC 9110 section 12.5.4)."""
    weights = {Language.ZH: 0.0, Language.EN: 0.0}
    for part in accept_language.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        primary = tag.lower().split("-")[0]
        for language in weights:
            if primary == language.value:
                weights[language] = max(weights[language], _weight(parameter))
    return Language.EN if weights[Language.EN] > weights[Language.ZH] else Language.ZH


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return 0.0
