"""Rate limits shared by all workers through Redis.

A request never waits for Redis: each worker decides by its own copy, and five times a second
adds its own consumption to the shared totals and reads them back. All workers together may
therefore exceed a budget by what arrives within a fifth of a second. While Redis is
unavailable, each worker limits by itself and reports its consumption later.
"""

import asyncio
import random

import structlog
from redis.exceptions import RedisError

from core.kernel.background import BackgroundTask
from core.kernel.clock import MINUTE, Monotonic
from core.kernel.redis_client import connect_redis
from gateway.http.admission.budgets import Budgets, RateLimiter

INTERVAL_SECONDS = 0.2
TIMEOUT_SECONDS = 1.0
MAX_KEYS = 1_000

# GCRA. A key holds the time at which its bucket is full again (the theoretical arrival time),
# by Redis' clock, so that the workers' clocks are never compared. Returns the debt of each
# bucket: the milliseconds until it is full.
_ADD = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local debts = {}
for i, key in ipairs(KEYS) do
  local full_at = tonumber(redis.call('GET', key)) or 0
  if full_at < now then full_at = now end
  full_at = full_at + tonumber(ARGV[i])
  local left = math.ceil(full_at - now)
  if left > 0 then redis.call('SET', key, string.format('%.3f', full_at), 'PX', left) end
  debts[i] = left
end
return debts
"""

_log = structlog.get_logger("gateway.budgets")


class SharedBudgets:
    def __init__(
        self, url: str, budgets: Budgets, monotonic: Monotonic, prefix: str = "card-gateway"
    ) -> None:
        self._redis = connect_redis(url, timeout_seconds=TIMEOUT_SECONDS)
        self._add = self._redis.register_script(_ADD)
        self._shared = (budgets.everybody, budgets.addresses, budgets.sessions)
        self._monotonic = monotonic
        self._prefix = prefix
        self._task = BackgroundTask(self._run, "shared budgets")
        self._is_failing = False
        for limiter in self._shared:
            limiter.consumed = {}

    def start(self) -> None:
        self._task.start()

    async def stop(self) -> None:
        await self._task.stop()
        await self._redis.aclose()

    async def exchange(self) -> None:
        """Reports what was consumed since the last exchange, and reads the shared totals."""
        for limiter in self._shared:
            consumed, limiter.consumed = limiter.consumed or {}, {}
            try:
                await self._exchange(limiter, consumed)
            except RedisError as error:
                _restore(limiter, consumed)
                self._log_failure(error)
                return
        self._is_failing = False

    async def _exchange(self, limiter: RateLimiter, consumed: dict[bytes, float]) -> None:
        keys = list(consumed)
        for start in range(0, len(keys), MAX_KEYS):
            part = keys[start : start + MAX_KEYS]
            names = [f"{self._prefix}:budget:{limiter.name}:".encode() + key for key in part]
            debts = await self._add(keys=names, args=[consumed[key] for key in part])
            now = self._monotonic()
            for key, debt in zip(part, debts, strict=True):
                # Consumed here in the meantime, so not yet in the total.
                since = (limiter.consumed or {}).get(key, 0.0)
                limiter.set(key, min(float(debt), 2.0 * MINUTE) + since, now)
                del consumed[key]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
            await self.exchange()

    def _log_failure(self, error: Exception) -> None:
        """Logs the first failure of a series, not five a second."""
        if not self._is_failing:
            _log.warning("budgets.not_shared", reason=type(error).__name__)
        self._is_failing = True


def _restore(limiter: RateLimiter, unreported: dict[bytes, float]) -> None:
    consumed = limiter.consumed if limiter.consumed is not None else {}
    for key, points in unreported.items():
        consumed[key] = consumed.get(key, 0.0) + points
    limiter.consumed = consumed
