"""Calling the platforms: HTTP client, app tokens, circuit breaker, parsing replies."""

from gateway.channels.platform_client.app_token import AppToken, Issued
from gateway.channels.platform_client.breaker import PlatformFailed, PlatformRefused, SafeToRetry
from gateway.channels.platform_client.checks import (
    checked_state,
    is_challenge,
    is_credential,
    is_current,
)
from gateway.channels.platform_client.client import PlatformClient, Reply
from gateway.channels.platform_client.first_answer_cache import FirstAnswerCache
from gateway.channels.platform_client.redirects import check_address
from gateway.channels.platform_client.replies import ReplyPart, part
from gateway.channels.platform_client.single_flight import SingleFlight
from gateway.channels.platform_client.token_stores import token_store

__all__ = [
    "AppToken",
    "FirstAnswerCache",
    "Issued",
    "PlatformClient",
    "PlatformFailed",
    "PlatformRefused",
    "Reply",
    "ReplyPart",
    "SafeToRetry",
    "SingleFlight",
    "check_address",
    "checked_state",
    "is_challenge",
    "is_credential",
    "is_current",
    "part",
    "token_store",
]
