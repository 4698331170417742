"""The base class of all channels.

A sign-in (`sign_in`) and a callback of a platform (`take_callback`) run the same sequence,
which this class owns: verify → identify → read → run → reply. Adapters implement the abstract
methods and keep no state of a request: they receive settings and an HTTP client once. They
trust only what a server-side call to the platform returned.

Capabilities that not every platform has (a script bridge, messages, callbacks) raise
`NotOfferedHere` until an adapter overrides them.
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
    VirtualAccount,
)
from core.kernel.settings import Settings, split
from core.kernel.texts import Text
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

POLLS = 20
POLL_SECONDS = 0.1
"""Two seconds for another worker to store the result of its exchange."""
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
    """What the platform proves: a citizen's name and number, or nothing (`NONE`)."""
    uses_state: ClassVar[bool]
    """Whether the platform returns a `state`, which must then be one that we issued."""
    code_already_used_error: ClassVar[str | None] = None
    """The platform's error code for a credential that was exchanged before, if its browsers may
    send one credential twice for one sign-in."""
    callback_timeout_seconds: ClassVar[float | None] = None
    """After which a callback is answered although its work goes on; None: when it has finished."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    @property
    def binding_required(self) -> bool:
        """Whether citizens bind once, because the platform proves no identity."""
        return self.level is RealNameLevel.NONE

    # --- the sequence of every channel ----------------------------------------------------

    @final
    def authorization_url(
        self, redirect_uri: str, challenge: str, seals: Seals, now: Instant
    ) -> str | None:
        """The platform's page, with a state bound to the browser; None if it has no such page.

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
    async def sign_in(self, entry: Entry, port: ServicePort) -> SignedIn:
        """Verifies the state, identifies the citizen by the platform, runs the sign-in.

        Returns a session. Raises a `Refusal`, after which nothing has changed.
        """
        now = port.now()
        state_nonce = self._verified_entry(entry, port.dependencies.seals, now)
        identity = await self._identified(entry.credential, state_nonce, port, now)
        return await port.run(sign_in, self._command(entry, state_nonce, identity))

    @final
    async def take_callback(
        self, query: Mapping[str, str], body: bytes, port: ServicePort
    ) -> CallbackResponse:
        """Verifies, identifies, reads and runs a callback, and builds the reply.

        Replies before the work has finished if it takes longer than `callback_timeout_seconds`.
        Raises `NotOfferedHere`, `ForgedCallback`, or a `Refusal` if the work cannot be done now:
        the callback is then not acknowledged, so that the platform retries it.
        """
        notification = self.verify_callback(query, body, port.now())
        response = self.reply(notification, port.now())
        if self.callback_timeout_seconds is None:
            await take(self.id, notification, port)
            return response
        work = asyncio.create_task(handle_with_retries(self.id, notification, port))
        try:
            await asyncio.wait_for(asyncio.shield(work), self.callback_timeout_seconds)
        except TimeoutError:
            return replace(response, unfinished=work)
        return response

    @final
    def verify_callback(self, query: Mapping[str, str], body: bytes, now: Instant) -> Notification:
        """The notification in a callback. Raises `NotOfferedHere` or `ForgedCallback`."""
        sent = self.verify_callback_signature(query, body, now)
        return self.notification(sent, self.identify_sender(sent))

    # --- every adapter implements ---------------------------------------------------------

    @abstractmethod
    def authorize_url(self, redirect_uri: str, state: str) -> str | None:
        """The platform's page that asks for consent and redirects back with a code, or None.

        Raises `InvalidFormat(field="redirectUri")` for an address outside the permitted domains.
        """

    @abstractmethod
    async def identify(self, credential: str, now: Instant) -> Identity:
        """Exchanges the app's credential, by server-side calls only.

        Raises `SignInExpired`, `RealNameRequired`, `VirtualAccount` or `ChannelUnavailable`.
        """

    # --- an adapter overrides if its platform has the capability --------------------------

    async def bridge(self, page_url: str, now: Instant) -> Mapping[str, str]:
        """The parameters with which the page at `page_url` configures the app's script bridge.

        Raises `NotOfferedHere`, `InvalidFormat(field="pageUrl")` or `ChannelUnavailable`.
        """
        raise NotOfferedHere

    async def send(self, account: str, message: Message, now: Instant) -> str:
        """Sends to one account, at most once, and returns the platform's number of the message.

        Raises `NotOfferedHere`, `Undeliverable` or `ChannelUnavailable`; after the last one it
        is unknown whether the message was sent.
        """
        raise NotOfferedHere

    def check_url(self, query: Mapping[str, str], now: Instant) -> str:
        """The response to a platform that checks whether the callback URL is ours.

        Raises `NotOfferedHere` or `ForgedCallback`.
        """
        raise NotOfferedHere

    def verify_callback_signature(
        self, query: Mapping[str, str], body: bytes, now: Instant
    ) -> Mapping[str, str]:
        """Verify: returns the fields of a callback. All that are used must be signed."""
        raise NotOfferedHere

    def identify_sender(self, sent: Mapping[str, str]) -> str:
        """Identify: the account that a verified callback is about."""
        raise NotOfferedHere

    def notification(self, sent: Mapping[str, str], account: str) -> Notification:
        """Read: converts a verified callback to the gateway's terms."""
        raise NotOfferedHere

    def reply(self, notification: Notification, now: Instant) -> CallbackResponse:
        """Reply: the response that acknowledges the callback; empty by default."""
        return CallbackResponse(b"")

    # --- for adapters ---------------------------------------------------------------------

    def _sent_by_app(self, credential: str) -> str:
        """Returns the credential. One that no app could have sent expires the sign-in without a call."""
        if not is_credential(credential):
            raise self._sign_in_expired()
        return credential

    def _sign_in_expired(self) -> SignInExpired:
        return SignInExpired(app=self.app_name)

    # --- signing in, step by step ---------------------------------------------------------

    def _verified_entry(self, entry: Entry, seals: Seals, now: Instant) -> str | None:
        """The nonce of the state, or None if the platform uses no state."""
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
        self, credential: str, state_nonce: str | None, port: ServicePort, now: Instant
    ) -> Identity:
        if state_nonce is None or self.code_already_used_error is None:
            return await self.identify(credential, now)
        exchange = CodeExchangeQuery(self.id, state_nonce, credential)
        first = await self._first_exchange(exchange, port)
        if first is not None:
            return first
        try:
            return await self.identify(credential, now)
        except VirtualAccount:
            await port.run(cache_virtual_account, exchange)
            raise
        except SignInExpired as expired:
            if not self._was_already_used(expired):
                raise
            first = await self._first_exchange(exchange, port, polls=POLLS)
            if first is None:
                raise
            return first

    def _was_already_used(self, expired: SignInExpired) -> bool:
        cause = expired.__cause__
        return isinstance(cause, PlatformRefused) and cause.code == self.code_already_used_error

    async def _first_exchange(
        self, exchange: CodeExchangeQuery, port: ServicePort, polls: int = 1
    ) -> Identity | None:
        """The result of the first exchange of the same code by the same browser, at any worker.

        Raises `VirtualAccount` if that was the result.
        """
        for poll in range(polls):
            if poll:
                await asyncio.sleep(POLL_SECONDS)
            first = await port.read(find_cached_exchange, exchange)
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
