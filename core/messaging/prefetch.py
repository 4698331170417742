"""Prefetch of a change: with its session and holder, the codes of the session and where notices go."""

from sqlalchemy import BigInteger, BindParameter, bindparam

from core.cards import prefetch
from core.messaging import notices, verification

_session: BindParameter[int] = bindparam("session_id", type_=BigInteger)

HOLDER_AND_CODES = prefetch.of_holder(
    verification.prefetched_column(prefetch.SUBJECT, _session),
    *notices.prefetched_columns(prefetch.SUBJECT),
    also={
        verification.OF_SESSION: verification.answer_prefetched,
        notices.CHOSEN: notices.answer_prefetched,
    },
)
