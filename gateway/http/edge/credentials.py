"""Authentication: bearer token, device key, channel."""

from core.cards import Prefetch, prefetch
from core.citizens import sessions
from core.kernel.callers import Caller
from gateway.http.edge.head import Head
from gateway.resolvers.context import Context, Unauthenticated


async def authenticate(
    context: Context, token: str, claimed: str | None = None, prefetched: Prefetch | None = None
) -> Caller | None:
    """The caller of the session; None if it has ended.

    A session is valid for its own channel only: `claimed` is the channel that the client claims
    to be, if any. The rows of `prefetched` are read in the same statement.
    """
    database = context.application.database
    if prefetched is not None:
        prefetched = prefetched.on(database.dialect)
    query = sessions.OF_TOKEN if prefetched is None else prefetched.with_session
    values = sessions.by_token(context.dependencies.vault, token, context.now())
    if values is None:
        return None
    rows = await database.fetch(query, **values)
    caller = sessions.caller_of(rows[0], context.address, context.device_key) if rows else None
    if caller is None:
        return None
    if prefetched is not None:
        context.reader = prefetch.prefetched_reader(database, prefetched, rows)
    if claimed is not None and claimed != caller.channel:
        raise Unauthenticated(
            "The session belongs to another channel than X-Card-Channel says.",
            "SESSION_OF_ANOTHER_CHANNEL",
        )
    if context.channels is not None and not context.may_use(caller.channel):
        raise Unauthenticated(
            "The session belongs to another channel than the page that uses it.",
            "SESSION_OF_ANOTHER_CHANNEL",
        )
    return caller


def device_key(head: Head) -> str | None:
    """The random key that a front-end stores on the device to bind its sessions to it."""
    return head.get(b"x-device-key")


def claimed_channel(head: Head) -> str | None:
    return head.get(b"x-card-channel")


def bearer_token(head: Head) -> str | None:
    """RFC 6750 section 2.1."""
    scheme, _, token = head.text(b"authorization").partition(" ")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None
