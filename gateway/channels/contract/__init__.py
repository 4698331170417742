"""The base class of all channels, and the plain types of its interface."""

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
    numbered_steps,
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
    "numbered_steps",
]
