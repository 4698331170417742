"""Redis pub/sub: one connection that listens and one that publishes."""

import asyncio

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from core.kernel.redis_client import connect_redis
from core.live.relays.pump import PumpingRelay

CHANNEL = "card-gateway:live"
ANSWER_SECONDS = 5.0
QUIET_SECONDS = 10.0


class RedisRelay(PumpingRelay):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    async def _connect_and_pump(self) -> None:
        redis = connect_redis(self._url, timeout_seconds=ANSWER_SECONDS, decode_responses=True)
        async with redis, redis.pubsub(ignore_subscribe_messages=True) as listening:
            await listening.subscribe(CHANNEL)
            self._is_connected()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._listen(listening))
                both.create_task(self._pump(redis))

    async def _listen(self, listening: PubSub) -> None:
        while True:
            message = await listening.get_message(timeout=QUIET_SECONDS)
            if message is not None:
                self._heard(str(message["data"]))

    async def _pump(self, redis: Redis) -> None:
        while True:
            message = await self._next_message(QUIET_SECONDS)
            if message:
                await redis.publish(CHANNEL, message)
            elif message is None:
                await redis.ping()
