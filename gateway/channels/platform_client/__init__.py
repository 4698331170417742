"""Calling the platforms: HTTP client, app tokens, circuit breaker, parsing replies."""

from gateway.channels.platform_client.app_token import AppToken, Issued
from gateway.channels.platform_client.breaker import NothingDone, PlatformFailed, PlatformRefused
from gateway.channels.platform_client.checks import (
    checked_state,
    is_challenge,
    is_credential,
    is_current,
)
from gateway.channels.platform_client.connection import Connection, Reply
from gateway.channels.platform_client.first_answers import FirstAnswers
from gateway.channels.platform_client.flights import Flights
from gateway.channels.platform_client.redirects import check_address
from gateway.channels.platform_client.replies import ReplyPart, part
from gateway.channels.platform_client.token_stores import token_store

__all__ = [
    "AppToken",
    "Connection",
    "FirstAnswers",
    "Flights",
    "Issued",
    "NothingDone",
    "PlatformFailed",
    "PlatformRefused",
    "Reply",
    "ReplyPart",
    "check_address",
    "checked_state",
    "is_challenge",
    "is_credential",
    "is_current",
    "part",
    "token_store",
]
