"""Messages out: the transactional outbox and its delivery, notices, and verification codes."""

from core.messaging import channel_messages, notices, outbox, outcomes, verification
from core.messaging.channel_messages import Messenger, Unreachable, channel_messages_table
from core.messaging.outbox import MESSAGES, MessageKind, OpenMessage, outbox_table
from core.messaging.prefetch import HOLDER_AND_CODES
from core.messaging.verification import (
    PURPOSE_NAMES,
    SentCode,
    VerificationPurpose,
    verification_codes_table,
)
from core.messaging.worker import OutboxWorker

__all__ = [
    "HOLDER_AND_CODES",
    "MESSAGES",
    "PURPOSE_NAMES",
    "MessageKind",
    "Messenger",
    "OpenMessage",
    "OutboxWorker",
    "SentCode",
    "Unreachable",
    "VerificationPurpose",
    "channel_messages",
    "channel_messages_table",
    "notices",
    "outbox",
    "outbox_table",
    "outcomes",
    "verification",
    "verification_codes_table",
]
