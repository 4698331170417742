"""The contract that every channel keeps.

Both ways in run the same sequence, which this base owns: verify → identify → read → run →
reply. A citizen comes by `sign_in`, what a platform tells us by `take_callback`. Adapters
fill the holes below, and keep no per-request state: settings and the HTTP client are given
to them once. They trust only what a server-side call to the platform returned.

What not every platform offers (a bridge for the page, messages, callbacks) is refused loudly
by this base, until an adapter fills it in.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, final

import httpx

from core.citizens import sign_in_states
from core.crypto import Seals
from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.clock import Instant
from core.kernel.refusals import (
    ChannelOff,
    InvalidFormat,
    NotOfferedHere,
    Required,
    SignInExpired,
    SignInStateInvalid,
    Text,
    VirtualAccount,
)
from core.kernel.settings import Settings, split
from core.reference import LABELS
from core.services.sign_in import (
    CodeExchangeQuery,
    SignedIn,
    SignIn,
    cache_virtual_account,
    find_cached_exchange,
    sign_in,
)
from gateway.channels.contract.retries import handle_with_retries, take
from gateway.channels.contract.shapes import (
    CallbackResponse,
    Entry,
    EntryStep,
    Identity,
    Message,
    Notification,
    ServicePort,
)
from gateway.channels.platform_client import PlatformRefused, is_challenge, is_credential

LOOKS = 20
LOOK_EVERY_SECONDS = 0.1
"""Two seconds for another worker to write down what the platform has just told it."""
_CHALLENGE_RULE = Text(
    "须为随机校验值 SHA-256 的 base64url 编码，共 43 个字符",
    "the base64url of the SHA-256 of a random verifier, 43 characters",
)


class Channel(ABC):
    id: ClassVar[ChannelId]
    name: ClassVar[Text]
    app_name: ClassVar[Text]
    entry_steps: ClassVar[Sequence[EntryStep]]
    level: ClassVar[RealNameLevel]
    """What the platform vouches for: a person's name and number, or nobody (`NONE`)."""
    uses_state: ClassVar[bool]
    """Whether the platform hands back a `state`, which must then be one that we issued."""
    code_already_used_error: ClassVar[str | None] = None
    """Its error code for a credential exchanged before, where its browsers come back twice with
    one, and mean one sign-in."""
    patience_seconds: ClassVar[float | None] = None
    """How long it may wait for our answer to what it told; None: until that is written."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    @property
    def binding_required(self) -> bool:
        """The platform vouches for nobody, so that the person binds once."""
        return self.level is RealNameLevel.NONE

    # --- the sequence, the same for all ---------------------------------------------------

    @final
    def authorization_url(
        self, redirect_uri: str, challenge: str, seals: Seals, now: Instant
    ) -> str | None:
        """The platform's page, with a state of ours that is bound to the browser; None without one.

        Raises `Required` or `InvalidFormat`, naming `challenge` or `redirectUri`.
        """
        if not self.uses_state:
            return self.authorize_url(redirect_uri, "")
        if not challenge and self._settings.browsers_must_be_bound:
            raise Required(field="challenge", label=LABELS["challenge"])
        if challenge and not is_challenge(challenge):
            raise InvalidFormat(field="challenge", label=LABELS["challenge"], rule=_CHALLENGE_RULE)
        state = sign_in_states.issue(seals, self.id, now, challenge)
        return self.authorize_url(redirect_uri, state)

    @final
    async def sign_in(self, entry: Entry, door: ServicePort) -> SignedIn:
        """Verify the state, identify by the platform, read its answer, run; reply a session.

        Raises a `Refusal`, after which nothing has changed.
        """
        now = door.now()
        state_nonce = self._verified_entry(entry, door.dependencies.seals, now)
        identity = await self._identified(entry.credential, state_nonce, door, now)
        return await door.run(sign_in, self._command(entry, state_nonce, identity))

    @final
    async def take_callback(
        self, query: Mapping[str, str], body: bytes, door: ServicePort
    ) -> CallbackResponse:
        """Verify, identify, read, run, reply; reply before the end of the work where it takes
        longer than the platform waits.

        Raises `NotOfferedHere`, `ForgedCallback`, or the `Refusal` of what could not be taken
        now, which must not be acknowledged, so that the platform sends it again.
        """
        told = self.verify_callback(query, body, door.now())
        answer = self.reply(told, door.now())
        if self.patience_seconds is None:
            await take(self.id, told, door)
            return answer
        work = asyncio.create_task(handle_with_retries(self.id, told, door))
        try:
            await asyncio.wait_for(asyncio.shield(work), self.patience_seconds)
        except TimeoutError:
            return replace(answer, unfinished=work)
        return answer

    @final
    def verify_callback(self, query: Mapping[str, str], body: bytes, now: Instant) -> Notification:
        """What the platform posted to us. Raises `NotOfferedHere` or `ForgedCallback`."""
        sent = self.verify_callback_signature(query, body, now)
        return self.notification(sent, self.identify_sender(sent))

    # --- holes that every adapter fills ---------------------------------------------------

    @abstractmethod
    def authorize_url(self, redirect_uri: str, state: str) -> str | None:
        """The platform's page that asks the citizen and comes back with a code, or None.

        Raises `InvalidFormat(field="redirectUri")` for an address outside the permitted domains.
        """

    @abstractmethod
    async def identify(self, credential: str, now: Instant) -> Identity:
        """Exchanges the app's credential, by server-side calls only.

        Raises `SignInExpired`, `RealNameRequired`, `VirtualAccount` or `ChannelUnavailable`.
        """

    # --- holes that an adapter fills where its platform has the capability ----------------

    async def bridge(self, page_url: str, now: Instant) -> Mapping[str, str]:
        """What the page at `page_url` passes to the app's script bridge before it may use it.

        Raises `NotOfferedHere`, `InvalidFormat(field="pageUrl")` or `ChannelUnavailable`.
        """
        raise NotOfferedHere

    async def send(self, account: str, message: Message, now: Instant) -> str:
        """Sends to one account, at most once, and returns the platform's number of the message.

        Raises `NotOfferedHere`, `Undeliverable` or `ChannelUnavailable`; after the last it is
        not known whether the message went out.
        """
        raise NotOfferedHere

    def check_url(self, query: Mapping[str, str], now: Instant) -> str:
        """What answers a platform that asks whether the callback's address is ours.

        Raises `NotOfferedHere` or `ForgedCallback`.
        """
        raise NotOfferedHere

    def verify_callback_signature(
        self, query: Mapping[str, str], body: bytes, now: Instant
    ) -> Mapping[str, str]:
        """Verify: the fields of a callback, of which the platform signed every one that counts."""
        raise NotOfferedHere

    def identify_sender(self, sent: Mapping[str, str]) -> str:
        """Identify: whom a genuine callback is about."""
        raise NotOfferedHere

    def notification(self, sent: Mapping[str, str], account: str) -> Notification:
        """Read: a genuine callback in our words."""
        raise NotOfferedHere

    def reply(self, told: Notification, now: Instant) -> CallbackResponse:
        """What the platform hears; an empty answer where the adapter says nothing else."""
        return CallbackResponse(b"")

    # --- for adapters ---------------------------------------------------------------------

    def _sent_by_app(self, credential: str) -> str:
        """The credential, if an app could have sent it: nothing else is worth a call."""
        if not is_credential(credential):
            raise self._sign_in_expired()
        return credential

    def _sign_in_expired(self) -> SignInExpired:
        return SignInExpired(app=self.app_name)

    # --- signing in, step by step ---------------------------------------------------------

    def _verified_entry(self, entry: Entry, seals: Seals, now: Instant) -> str | None:
        """The nonce of the state, where the platform has one."""
        if self.id.value in split(self._settings.channels_off.upper()):
            raise ChannelOff(app=self.app_name)
        if not entry.credential:
            raise Required(field="credential", label=LABELS["credential"])
        if not self.uses_state:
            return None
        nonce = sign_in_states.nonce_of(seals, self.id, entry.state, now, entry.verifier)
        if nonce is None:
            raise SignInStateInvalid(field="state", app=self.app_name)
        return nonce

    async def _identified(
        self, credential: str, state_nonce: str | None, door: ServicePort, now: Instant
    ) -> Identity:
        if state_nonce is None or self.code_already_used_error is None:
            return await self.identify(credential, now)
        asked = CodeExchangeQuery(self.id, state_nonce, credential)
        first = await self._first_answer(asked, door)
        if first is not None:
            return first
        try:
            return await self.identify(credential, now)
        except VirtualAccount:
            await door.run(cache_virtual_account, asked)
            raise
        except SignInExpired as expired:
            if not self._was_used(expired):
                raise
            first = await self._first_answer(asked, door, looks=LOOKS)
            if first is None:
                raise
            return first

    def _was_used(self, expired: SignInExpired) -> bool:
        cause = expired.__cause__
        return isinstance(cause, PlatformRefused) and cause.code == self.code_already_used_error

    async def _first_answer(
        self, asked: CodeExchangeQuery, door: ServicePort, looks: int = 1
    ) -> Identity | None:
        """What another worker learnt when the same browser showed it the same code.

        Raises `VirtualAccount` where that was it.
        """
        for look in range(looks):
            if look:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            first = await door.read(find_cached_exchange, asked)
            if first is not None and not first.account:
                raise VirtualAccount
            if first is not None:
                return Identity(first.account, self.level, first.lifetime_seconds)
        return None

    def _command(self, entry: Entry, state_nonce: str | None, identity: Identity) -> SignIn:
        return SignIn(
            channel=self.id,
            app_name=self.app_name,
            account=identity.account,
            level=identity.level,
            lifetime_seconds=identity.lifetime_seconds,
            state_nonce=state_nonce,
            credential=entry.credential,
            device_key=entry.device_key,
            address=entry.address,
            may_come_twice=self.code_already_used_error is not None,
            name=identity.name,
            social_security_number=identity.social_security_number,
            phone=identity.phone,
        )
