"""The Redis client of all modules that use Redis. Import it only where `redis_url` is set."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect_redis(url: str, *, timeout_seconds: float, decode_responses: bool = False) -> Redis:
    """Connects with the first command. A command that fails is not retried: callers decide."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decode_responses,
    )
