"""核验回执 verify receipt: whether a paper receipt is one of ours; for anybody who holds it."""

from dataclasses import dataclass
from datetime import date

from core.applications import applications
from core.citizens import Limit, quotas
from core.kernel.addresses import network_of
from core.kernel.clock import HOUR, china_date, seconds_until
from core.kernel.refusals import TooManyTries
from core.production import receipts
from core.reference import spelling
from core.unit_of_work import UnitOfWork

_PER_RECEIPT = [Limit(20, HOUR)]
_PER_NETWORK = [Limit(600, HOUR)]
"""An employer checks many receipts, from one network."""


@dataclass(frozen=True, slots=True)
class VerifyReceipt:
    """As printed. `address` is the network address that asks."""

    number: str
    code: str
    address: str


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """`accepted_on` is the day in China; None for a receipt that is not ours, for whatever reason."""

    accepted_on: date | None


async def verify_receipt(unit: UnitOfWork, command: VerifyReceipt) -> ReceiptCheck:
    number, code = spelling.upper(command.number), spelling.upper(command.code)
    await _limit_tries(unit, number, command.address)
    if not receipts.is_check_code(unit.dependencies.seals, number, code):
        return ReceiptCheck(None)
    accepted_at = await applications.accepted_at(unit.db, number)
    return ReceiptCheck(None if accepted_at is None else china_date(accepted_at))


async def _limit_tries(unit: UnitOfWork, number: str, address: str) -> None:
    """A code has fifty random bits: within these limits nobody guesses one."""
    vault = unit.dependencies.vault
    counted = [
        (vault.indexes(f"receipt|{number}", "quota"), _PER_RECEIPT),
        (vault.indexes(f"receipts|{network_of(address)}", "quota"), _PER_NETWORK),
    ]
    free_at = await quotas.consume(unit.db, unit.writes, counted, unit.now)
    if free_at:
        raise TooManyTries(retry_after=seconds_until(free_at, unit.now))
