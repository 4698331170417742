"""What every channel implements, and the plain types that cross that boundary."""

from gateway.channels.contract.base import Channel
from gateway.channels.contract.messengers import build_messengers
from gateway.channels.contract.shapes import (
    CallbackResponse,
    Entry,
    EntryStep,
    ForgedCallback,
    Identity,
    Message,
    Notification,
    Undeliverable,
)

__all__ = [
    "CallbackResponse",
    "Channel",
    "Entry",
    "EntryStep",
    "ForgedCallback",
    "Identity",
    "Message",
    "Notification",
    "Undeliverable",
    "build_messengers",
]
