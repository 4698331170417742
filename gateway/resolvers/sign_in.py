"""Signing in through a channel: state, platform, session, in this order."""

from core import sign_in_states
from core.callers import ChannelId
from core.clock import Instant
from core.errors import ChannelOff, NotOfferedHere, Required, SignInStateInvalid
from core.forms import LABELS
from core.services.sign_in import SignedIn, SignIn, sign_in
from core.settings import split
from gateway.channels.base import Channel
from gateway.resolvers.context import Context
from gateway.resolvers.run import run


async def sign_in_through(
    context: Context,
    channel_id: ChannelId,
    credential: str,
    state: str | None,
    verifier: str | None,
) -> SignedIn:
    channel = context.application.channels[channel_id]
    if channel_id.value in split(context.tools.settings.channels_off.upper()):
        raise ChannelOff(app=channel.app_name)
    if not context.may_speak_for(channel_id):
        raise NotOfferedHere
    if not credential:
        raise Required(field="credential", label=LABELS["credential"])
    now = context.now()
    nonce = _state_nonce(context, channel, state, verifier, now)
    identity = await channel.identify(credential, now)
    return await run(
        context,
        sign_in,
        SignIn(
            channel=channel_id,
            app_name=channel.app_name,
            account=identity.account,
            level=identity.level,
            lifetime_seconds=identity.lifetime_seconds,
            state_nonce=nonce,
            credential=credential,
            device_key=context.device_key,
            address=context.address,
            name=identity.name,
            social_security_number=identity.social_security_number,
            phone=identity.phone,
        ),
    )


def _state_nonce(
    context: Context, channel: Channel, state: str | None, verifier: str | None, now: Instant
) -> str | None:
    if not channel.uses_state:
        return None
    seals = context.tools.seals
    nonce = sign_in_states.nonce_of(seals, channel.id, state or "", now, verifier or "")
    if nonce is None:
        raise SignInStateInvalid(field="state", app=channel.app_name)
    return nonce
