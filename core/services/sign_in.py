"""登录 sign in: starts a session for a platform's account, with its citizen where the platform verifies identities."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import (
    PHONE,
    SSN,
    Citizen,
    ClaimKind,
    CodeExchange,
    NewSession,
    Notice,
    bindings,
    citizens,
    claims,
    code_exchanges,
    sessions,
    sign_in_states,
)
from core.crypto import Vault, account_indexes, seal_account
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from core.kernel.clock import HOUR, SECOND, china_date
from core.kernel.refusals import IdentityNotConfirmed, RealNameRequired, SignInStateInvalid
from core.kernel.texts import Text
from core.messaging import notices
from core.reference import is_id_number, is_same_name, spelling
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the channel's adapter received from the platform.

    `lifetime_seconds` is that of the platform's token. With `may_come_twice` the exchange is cached
    for a browser that sends the same code again.
    """

    channel: ChannelId
    app_name: Text
    account: str = field(repr=False)
    level: RealNameLevel
    lifetime_seconds: int
    state_nonce: str | None
    credential: str = field(repr=False)
    device_key: str | None = field(repr=False)
    address: str = field(repr=False)
    may_come_twice: bool = False
    name: str | None = field(default=None, repr=False)
    social_security_number: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    session: NewSession
    caller: Caller


@dataclass(frozen=True, slots=True)
class CodeExchangeQuery:
    """Looks up the platform's answer to this code with this state."""

    channel: ChannelId
    state_nonce: str
    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CachedExchange:
    """`account` is empty for an account that cannot sign in (`VirtualAccount`)."""

    account: str = field(repr=False)
    lifetime_seconds: int


async def find_cached_exchange(
    preparation: Preparation, asked: CodeExchangeQuery
) -> CachedExchange | None:
    vault = preparation.dependencies.vault
    pair = _pair_mac(vault, asked.state_nonce, asked.credential)
    found = await code_exchanges.find(preparation.db, pair, preparation.now)
    if found is None:
        return None
    return CachedExchange(vault.open(found.account, "accounts", 0), found.lifetime_seconds)


async def cache_virtual_account(unit: UnitOfWork, asked: CodeExchangeQuery) -> None:
    """Caches that this code belongs to a virtual account, for a browser that sends it again."""
    vault = unit.dependencies.vault
    pair = _pair_mac(vault, asked.state_nonce, asked.credential)
    answer = CodeExchange(seal_account(vault, ""), 0)
    index = account_indexes(vault, asked.channel, "")[0]
    code_exchanges.save(unit.writes, pair, index, answer, unit.now)


async def sign_in(unit: UnitOfWork, command: SignIn) -> SignedIn:
    await _redeem_state(unit, command)
    vault = unit.dependencies.vault
    accounts = account_indexes(vault, command.channel, command.account)
    account = seal_account(vault, command.account)
    _cache_exchange(unit, command, accounts[0], account)
    if command.level is RealNameLevel.PLATFORM:
        citizen_id: int | None = await _recognise(unit, command, accounts, account)
        level = RealNameLevel.PLATFORM
    else:
        citizen_id = await bindings.citizen_of(unit.db, accounts)
        level = RealNameLevel.NONE
        if citizen_id is not None:
            level = RealNameLevel.BOUND
            bindings.keep(unit.writes, accounts, citizen_id)
            if await _is_new_device(unit, command, citizen_id):
                await _tell_of_new_device(unit, command, await unit.citizen(citizen_id))
    session = sessions.start(
        unit.writes,
        vault,
        unit.now,
        channel=command.channel,
        account_index=accounts[0],
        account=account,
        citizen_id=citizen_id,
        level=level,
        lifetime=_lifetime_seconds(unit, command) * SECOND,
        device_mac=sessions.device_mac(command.device_key),
    )
    caller = Caller(command.channel, session.id, citizen_id, accounts[0], level, command.address)
    await audit.record(unit, caller.subject_id, Action.SIGN_IN, channel=command.channel.value)
    return SignedIn(session, caller)


async def _redeem_state(unit: UnitOfWork, command: SignIn) -> None:
    if command.state_nonce is None:
        return
    vault, nonce = unit.dependencies.vault, command.state_nonce
    credential = vault.index(f"{command.channel}|{command.credential}", "credential").hex()
    pair = _pair_mac(vault, nonce, command.credential)
    if not await sign_in_states.redeem(unit.db, unit.writes, nonce, credential, pair, unit.now):
        raise SignInStateInvalid(field="state", app=command.app_name)


def _cache_exchange(
    unit: UnitOfWork, command: SignIn, account_index: bytes, account: bytes
) -> None:
    if command.state_nonce is None or not command.may_come_twice:
        return
    pair = _pair_mac(unit.dependencies.vault, command.state_nonce, command.credential)
    answer = CodeExchange(account, _lifetime_seconds(unit, command))
    code_exchanges.save(unit.writes, pair, account_index, answer, unit.now)


def _lifetime_seconds(unit: UnitOfWork, command: SignIn) -> int:
    """Lifetime of the session: that of the platform's token, limited by `session_hours`."""
    return min(command.lifetime_seconds, unit.dependencies.settings.session_hours * HOUR // SECOND)


def _pair_mac(vault: Vault, state_nonce: str, credential: str) -> str:
    return vault.index(f"{state_nonce}|{credential}", "credential").hex()


async def _recognise(
    unit: UnitOfWork, command: SignIn, accounts: list[bytes], account: bytes
) -> int:
    """The citizen whom the platform identifies; registered at the first sign-in."""
    name = spelling.name(command.name or "")
    number = (command.social_security_number or "").strip().upper()
    if not name or not is_id_number(number, china_date(unit.now)):
        raise RealNameRequired(app=command.app_name)
    vault = unit.dependencies.vault
    keys: dict[ClaimKind, list[bytes]] = {
        ClaimKind.SOCIAL_SECURITY_NUMBER: vault.indexes(number, SSN),
        ClaimKind.ACCOUNT: accounts,
    }
    if command.phone:
        keys[ClaimKind.PHONE] = vault.indexes(command.phone, PHONE)
    owners = await claims.find(unit.db, keys)
    free_phone = None if ClaimKind.PHONE in owners else command.phone
    citizen = await _find_or_register(
        unit, name, number, free_phone, owners.get(ClaimKind.SOCIAL_SECURITY_NUMBER)
    )
    if owners.get(ClaimKind.ACCOUNT) == citizen.id:
        bindings.keep(unit.writes, accounts, citizen.id)
        if await _is_new_device(unit, command, citizen.id):
            await _tell_of_new_device(unit, command, citizen)
    else:
        await _bind(unit, command, accounts, account, citizen)
    return citizen.id


async def _find_or_register(
    unit: UnitOfWork, name: str, number: str, free_phone: str | None, citizen_id: int | None
) -> Citizen:
    vault = unit.dependencies.vault
    if citizen_id is None:
        return citizens.register(
            unit.writes, vault, unit.now, name=name, number=number, phone=free_phone
        )
    citizen = await unit.citizen(citizen_id)
    if not is_same_name(citizen.name.reveal(), name):
        raise IdentityNotConfirmed
    citizen.must_be_alive()
    if citizen.phone is None and free_phone:
        return citizens.change(unit.writes, vault, unit.now, citizen, {PHONE: free_phone})
    return citizen


async def _bind(
    unit: UnitOfWork, command: SignIn, accounts: list[bytes], account: bytes, citizen: Citizen
) -> None:
    vault, channel = unit.dependencies.vault, command.channel
    replaced = await bindings.replaced_by(unit.db, channel, accounts, citizen.id)
    bindings.bind(
        unit.writes,
        vault,
        unit.now,
        channel=channel,
        accounts=accounts,
        account=account,
        citizen_id=citizen.id,
        replaced=replaced,
    )
    for older in replaced:
        bindings.end_sessions(unit.writes, vault, older, unit.now)
    is_first = not any(older.citizen_id == citizen.id for older in replaced)
    await notices.send(
        unit,
        citizen,
        Notice.FIRST_SIGN_IN if is_first else Notice.NEW_BINDING,
        details=_through(command) if is_first else None,
        also_to=(channel, account),
    )
    await notices.tell_previous_citizens(unit, replaced, citizen.id)


async def _is_new_device(unit: UnitOfWork, command: SignIn, citizen_id: int) -> bool:
    device = sessions.device_mac(command.device_key)
    return device is not None and await sessions.is_new_device(unit.db, citizen_id, device)


async def _tell_of_new_device(unit: UnitOfWork, command: SignIn, citizen: Citizen) -> None:
    await notices.send(unit, citizen, Notice.NEW_DEVICE, details=_through(command))


def _through(command: SignIn) -> Text:
    app = command.app_name
    return Text(f"登录渠道：{app.zh}。", f"Signed in through {app.en}.")
