"""What the workers tell each other of their budgets, through Redis.

A request never waits for it: each worker judges by what it knows, and five times a second
adds what it took to what all took, and takes the sums over. So workers together may let pass
what arrives within a fifth of a second more than a budget holds. Where Redis does not answer,
each worker goes on for itself, and tells what it took later.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.kernel.clock import MINUTE, Instant
from gateway.http.admission.budgets import Buckets, Budgets

PAUSE_SECONDS = 0.2
ANSWER_SECONDS = 1.0
MAX_AT_ONCE = 1_000

# A bucket is the moment at which it is full again, by Redis' clock, so that no two workers'
# clocks are compared. Returned is for how long it is not full, in milliseconds.
_ADD = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local owed = {}
for i, key in ipairs(KEYS) do
  local full_at = tonumber(redis.call('GET', key)) or 0
  if full_at < now then full_at = now end
  full_at = full_at + tonumber(ARGV[i])
  local left = math.ceil(full_at - now)
  if left > 0 then redis.call('SET', key, string.format('%.3f', full_at), 'PX', left) end
  owed[i] = left
end
return owed
"""

_log = structlog.get_logger("gateway.budgets")


class SharedBudgets:
    def __init__(
        self, url: str, budgets: Budgets, clock: Callable[[], Instant], prefix: str = "card-gateway"
    ) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._add = self._redis.register_script(_ADD)
        self._shared = (budgets.everybody, budgets.addresses, budgets.sessions)
        self._clock = clock
        self._prefix = prefix
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        for buckets in self._shared:
            buckets.taken = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="shared budgets")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def exchange(self) -> None:
        """Tells what was taken since the last time, and takes over what all have taken."""
        for buckets in self._shared:
            taken, buckets.taken = buckets.taken or {}, {}
            try:
                await self._exchange(buckets, taken)
            except RedisError as error:
                _take_back(buckets, taken)
                self._note(error)
                return
        self._is_failing = False

    async def _exchange(self, buckets: Buckets, taken: dict[bytes, float]) -> None:
        keys = list(taken)
        for start in range(0, len(keys), MAX_AT_ONCE):
            part = keys[start : start + MAX_AT_ONCE]
            names = [f"{self._prefix}:budget:{buckets.name}:".encode() + key for key in part]
            told = await self._add(keys=names, args=[taken[key] for key in part])
            now = self._clock()
            for key, debt in zip(part, told, strict=True):
                # What was taken here in the meantime is not in the sum yet.
                since = (buckets.taken or {}).get(key, 0.0)
                buckets.set(key, min(float(debt), 2.0 * MINUTE) + since, now)
                del taken[key]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311
            await self.exchange()

    def _note(self, error: Exception) -> None:
        """Once, not five times a second."""
        if not self._is_failing:
            _log.warning("budgets.not_shared", reason=type(error).__name__)
        self._is_failing = True


def _take_back(buckets: Buckets, untold: dict[bytes, float]) -> None:
    taken = buckets.taken if buckets.taken is not None else {}
    for key, took in untold.items():
        taken[key] = taken.get(key, 0.0) + took
    buckets.taken = taken
