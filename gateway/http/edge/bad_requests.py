"""Errors of a request as a whole: status, machine-readable code, message for people."""

from collections.abc import Mapping
from typing import Any

from core.kernel.refusals import TryAgainLater
from core.kernel.texts import Language, Text


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
        if status == 401:
            self.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'

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


def session_unreadable() -> BadRequest:
    """The database does not answer, so that nobody knows who asks."""
    refusal = TryAgainLater(retry_after=5)
    text = Text(refusal.message(Language.ZH), refusal.message(Language.EN))
    return BadRequest(text, 503, refusal.code.value, retry_after=5)
