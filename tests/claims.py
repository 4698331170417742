"""Compares the claims with the rows that they stand for."""

from core.cards import NUMBER
from core.citizens import PHONE, SSN, ClaimKind, claims
from core.crypto import account_indexes, open_account
from core.messaging import channel_messages
from tests.front_end import World

Claimed = set[tuple[ClaimKind, bytes, int]]


async def expected(world: World) -> Claimed:
    """One for each number, phone, card, bound account, application, event and platform's message."""
    vault = world.application.dependencies.vault
    names = ("citizens", "cards", "bindings", "applications", "issuer_events", "channel_messages")
    rows = await world.rows(*names)
    found: Claimed = set()
    for row in rows["citizens"]:
        owner = row.subject_id
        number = vault.open(row.social_security_number, f"citizens.{SSN}", owner)
        found.add((ClaimKind.SOCIAL_SECURITY_NUMBER, vault.index(number, SSN), owner))
        if row.phone is not None:
            phone = vault.open(row.phone, f"citizens.{PHONE}", owner)
            found.add((ClaimKind.PHONE, vault.index(phone, PHONE), owner))
    for row in rows["cards"]:
        number = vault.open(row.number, "cards.number", row.id)
        key = claims.card_keys(row.region_code, [vault.index(number, NUMBER)])[0]
        found.add((ClaimKind.CARD, key, row.subject_id))
    for row in rows["bindings"]:
        if row.ended_at is None:
            account = open_account(vault, row.account)
            key = account_indexes(vault, row.channel, account)[0]
            found.add((ClaimKind.ACCOUNT, key, row.subject_id))
    for row in rows["applications"]:
        found.add((ClaimKind.APPLICATION, claims.text_key(row.number), row.subject_id))
    for row in rows["issuer_events"]:
        found.add((ClaimKind.ISSUER_EVENT, claims.text_key(row.id), row.subject_id))
    for row in rows["channel_messages"]:
        key = channel_messages.claim_key(row.channel, row.number)
        found.add((ClaimKind.CHANNEL_MESSAGE, key, row.subject_id))
    return found


async def taken(world: World) -> Claimed:
    """Once all messages have been delivered."""
    await world.application.worker.drained()
    rows = (await world.rows("claims"))["claims"]
    return {(ClaimKind(row.kind), bytes(row.key), row.subject_id) for row in rows}
