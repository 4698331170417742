"""How many verification codes may be sent, so that nobody can use up another's.

What citizens have sent to their own phone on file has an allowance of its own, and 挂失 one beside it,
which no other purpose touches. What anybody else sends to a number is counted together, by the number,
by the account, and by the network: a new session or address of the same customer begins nothing anew.

The share of all that is left is divided by network, so that a flood from a few does not reach the
others; who has already sent codes, to whom some were sent, and whose network sends many get less of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from core.citizens import Limit, Quota, quotas
from core.kernel.addresses import network_of
from core.kernel.clock import DAY, HOUR, SECOND, Instant, seconds_until
from core.kernel.next_steps import NextStep
from core.kernel.refusals import TooManyCodes
from core.unit_of_work import UnitOfWork

SHARES = 16
"""Into how many parts the codes for all callers are divided, each with a row of its own."""
_SIGNS = 4
"""One more than there are signs of suspicion: each takes a quarter of the share."""
_BUSY = 10
"""A network that used more than this part of its limit sends many."""


Uses: TypeAlias = list[tuple[bytes, Instant]]
"""Where a code was counted, by key and time, to be given back if its SMS is rejected."""


async def take_own(
    unit: UnitOfWork, purpose: str, next_step: NextStep | None, *, is_for_loss: bool
) -> Uses:
    """A code to the citizen's own phone on file. Raises `TooManyCodes`."""
    settings, owner = unit.dependencies.settings, f"own|{unit.citizen_id}"
    resend = _resend(unit)
    if is_for_loss:
        most = settings.codes_for_loss_hour, settings.codes_for_loss_day
        counted = [(f"{owner}|{purpose}", [resend, *_by_hour_and_day(*most)])]
    else:
        most = settings.codes_own_hour, settings.codes_own_day
        counted = [(f"{owner}|{purpose}", [resend]), (owner, _by_hour_and_day(*most))]
    found = await _find(unit, counted)
    _must_be_free(unit, found, next_step)
    return _count(unit, found)


async def take_other(unit: UnitOfWork, phone: str) -> Uses:
    """A code to any other number. What it counts for the network and all is not given back: SMS that
    are rejected cost, too. Raises `TooManyCodes`."""
    settings = unit.dependencies.settings
    to_number = settings.codes_from_others_hour, settings.codes_from_others_day
    by_account = settings.codes_per_account_hour, settings.codes_per_account_day
    number, account, network, share, wrong = await _find(
        unit,
        [
            (f"number|{phone}", [_resend(unit), *_by_hour_and_day(*to_number)]),
            (_key_of_account(unit), _by_hour_and_day(*by_account)),
            (f"network|{_network(unit)}", [Limit(settings.codes_per_address_hour, HOUR)]),
            (_key_of_share(unit), [Limit(settings.codes_in_all_hour // SHARES, HOUR)]),
            _wrong_tries(unit),
        ],
    )
    signs = sum(
        (
            number.used(DAY, unit.now) > 0,
            account.used(DAY, unit.now) > 0,
            network.used(HOUR, unit.now) * _BUSY > settings.codes_per_address_hour,
        )
    )
    counted = [number, account, network, _reduced(share, signs)]
    _must_be_free(unit, [*counted, wrong], None)
    return _count(unit, counted)[:2]


async def take_wrong_try(unit: UnitOfWork) -> bool:
    """Counts a wrong code for a phone that may not be the person's own; False if the network has no
    more, which voids the code."""
    (wrong,) = await _find(unit, [_wrong_tries(unit)])
    if wrong.free_at(unit.now) > unit.now:
        return False
    wrong.count(unit.writes, unit.now)
    return True


def _resend(unit: UnitOfWork) -> Limit:
    return Limit(1, unit.dependencies.settings.code_resend_seconds * SECOND)


def _by_hour_and_day(hour: int, day: int) -> list[Limit]:
    return [Limit(hour, HOUR), Limit(day, DAY)]


def _network(unit: UnitOfWork) -> str:
    return network_of(unit.session.address)


def _key_of_account(unit: UnitOfWork) -> str:
    return f"account|{unit.session.channel}|{unit.session.account_index.hex()}"


def _key_of_share(unit: UnitOfWork) -> str:
    digest = hashlib.sha256(_network(unit).encode()).digest()
    return f"share|{digest[0] % SHARES}"


def _wrong_tries(unit: UnitOfWork) -> tuple[str, list[Limit]]:
    most = unit.dependencies.settings.wrong_codes_per_address_hour
    return f"wrong|{_network(unit)}", [Limit(most, HOUR)]


def _reduced(share: Quota, signs: int) -> Quota:
    limits = [
        Limit(max(1, limit.most * (_SIGNS - signs) // _SIGNS), limit.window)
        for limit in share.limits
    ]
    return replace(share, limits=limits)


async def _find(unit: UnitOfWork, counted: Sequence[tuple[str, Sequence[Limit]]]) -> list[Quota]:
    indexes = unit.dependencies.vault.indexes
    keys = [(indexes(key, "quota"), limits) for key, limits in counted]
    return await quotas.find(unit.db, keys, unit.now)


def _must_be_free(unit: UnitOfWork, found: Sequence[Quota], next_step: NextStep | None) -> None:
    free_at = max(quota.free_at(unit.now) for quota in found)
    if free_at > unit.now:
        refusal = TooManyCodes(retry_after=seconds_until(free_at, unit.now))
        raise refusal.with_next_step(next_step)


def _count(unit: UnitOfWork, found: Sequence[Quota]) -> Uses:
    return [(quota.keys[0], quota.count(unit.writes, unit.now)) for quota in found]
