"""Calling a platform: HTTP client, app tokens, circuit breaker, parsing of replies."""

from gateway.channels.platform_client.app_token import AppToken, Issued
from gateway.channels.platform_client.breaker import PlatformFailed, PlatformRefused, SafeToRetry
from gateway.channels.platform_client.checks import (
    checked_state,
    is_challenge,
    is_credential,
    is_current,
)
from gateway.channels.platform_client.client import PlatformClient, Reply
from gateway.channels.platform_client.redirects import check_address
from gateway.channels.platform_client.replies import ReplyPart, parser
from gateway.channels.platform_client.single_flight import SingleFlight
from gateway.channels.platform_client.token_stores import token_store
from gateway.channels.platform_client.ttl_cache import TtlCache

__all__ = [
    "AppToken",
    "Issued",
    "PlatformClient",
    "PlatformFailed",
    "PlatformRefused",
    "Reply",
    "ReplyPart",
    "SafeToRetry",
    "SingleFlight",
    "TtlCache",
    "check_address",
    "checked_state",
    "is_challenge",
    "is_credential",
    "is_current",
    "parser",
    "token_store",
]
