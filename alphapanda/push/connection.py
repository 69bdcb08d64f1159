"""The one Redis client of a process, with short patience: live state is worth no waiting."""

from __future__ import annotations

from functools import lru_cache

import redis
from django.conf import settings

PATIENCE_S = 1.0


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
    )


def client() -> redis.Redis:
    """A thread-safe client of settings.REDIS_URL; connects when first used."""
    return _client(settings.REDIS_URL)
