"""Reads of Kite: paced to its rate limits over all processes, tried again where that is harmless."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import redis

from alphapanda.kite.client import Access, Client, TokenDead, TooMany, Unavailable
from alphapanda.push.connection import client

PATIENCE_S = 30.0  # the list of all instruments has ten megabytes
AGAIN_AFTER_S = (1.0, 2.0, 4.0)


class Family(StrEnum):
    """What Kite counts together, by app and second."""

    QUOTE = "quote"
    HISTORICAL = "historical"
    OTHER = "other"


# between two requests: 1, 3 and 10 a second by a clock that is not ours
EVERY_MS = {Family.QUOTE: 1_050, Family.HISTORICAL: 350, Family.OTHER: 110}


class Read(Protocol):
    """The answer to a GET of a route of the official client. Raises KiteProblem, and NoToken while nobody has
    logged in."""

    def __call__(
        self, route: str, *, url: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Any: ...


class Reader:
    """Reads with the token of the moment: a new login counts from the next request on. `access` gives the token,
    `died` is told of one that Kite refused."""

    def __init__(
        self,
        access: Callable[[], Access],
        died: Callable[[Access, str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access, self._died, self._sleep = access, died, sleep
        self._client: Client | None = None

    def __call__(
        self, route: str, *, url: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Any:
        for wait_s in AGAIN_AFTER_S:
            try:
                return self._ask(route, url, params)
            except (TooMany, Unavailable):
                self._sleep(wait_s)
        return self._ask(route, url, params)

    def _ask(self, route: str, url: Mapping[str, Any] | None, params: Mapping[str, Any] | None) -> Any:
        access = self._access()
        pace(access.api_key, family_of(route), sleep=self._sleep)
        try:
            return self._client_of(access).ask(route, url=url, params=params)
        except TokenDead as dead:
            self._died(access, str(dead))
            raise

    def _client_of(self, access: Access) -> Client:
        """One client, so one connection, as long as the app is the same."""
        if self._client is None or self._client.api_key != access.api_key:
            self._client = Client(access.api_key, patience_s=PATIENCE_S)
        self._client.use(access.access_token)
        return self._client


def family_of(route: str) -> Family:
    """What a route of the official client counts as."""
    if route == "market.historical":
        return Family.HISTORICAL
    return Family.QUOTE if route.startswith("market.quote") else Family.OTHER


def pace(api_key: str, family: Family, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until a request may go: the processes that use an app take turns. Without Redis each keeps its own pace."""
    every_ms = EVERY_MS[family]
    turn = f"kite:turn:{api_key}:{family}"
    try:
        while not client().set(turn, 1, nx=True, px=every_ms):
            sleep(max(client().pttl(turn), 1) / 1_000)
    except redis.RedisError:
        sleep(every_ms / 1_000)
