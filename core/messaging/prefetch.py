"""Prefetch of a change: with its session and holder, the codes of the subject and where notices go."""

from core.cards import prefetch
from core.messaging import notices, verification

HOLDER_AND_CODES = prefetch.of_holder(
    verification.prefetched_column(prefetch.SUBJECT),
    *notices.prefetched_columns(prefetch.SUBJECT),
    also={
        verification.OF_SUBJECT: verification.answer_prefetched,
        notices.CHOSEN: notices.answer_prefetched,
    },
)
