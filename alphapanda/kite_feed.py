"""Kite's websocket as the source of `manage.py feed`: whose token opens it, which instruments it streams, and where
its gaps are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from threading import Event
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from accounts.broker import session_died
from accounts.selectors import NoAccount, NoToken, access_token, the_account
from accounts.vault import Unreadable
from alphapanda import health_checks, logs
from alphapanda.core.envelope import FeedGap
from alphapanda.core.vocabulary import Severity
from alphapanda.kite.client import Access
from alphapanda.push.readmodel import ReadModelUnavailable
from execution.domain.kite.outcomes import Verdict, of_answer
from execution.services.live.http import Failed, KiteHttp
from execution.services.live.pushes import STREAM, keep, missed
from marketdata import selectors
from marketdata.domain.kite_frames import DIVISORS, Mode, Scales, Segment
from marketdata.domain.markets import UnknownMarket
from marketdata.services.feed import RowPublisher, Wall
from marketdata.services.feed_gaps import gap_tell
from marketdata.services.kite_feed import KiteFeed
from risk.services.alerts import alert_raise

STOP_LOOK_S = 0.1
HANDSHAKE_REFUSED = "Kite's websocket refused the token"
PROFILE = "/user/profile"

log = logs.channel("market_data")
Got = TypeVar("Got")


class Desk:
    """What a feed asks of the database, one question after the other, in a thread of its own: the socket must not
    wait for it. While the database is away the last answer counts."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kite-desk")
        self._why_closed = ""
        self._wanted: Mapping[int, int] = {}

    async def access(self) -> Access | None:
        try:
            found = await self._asked(self._token)
        except (NoAccount, NoToken, Unreadable, DatabaseError) as error:
            why = type(error).__name__ if isinstance(error, DatabaseError) else str(error)
            if why != self._why_closed:
                log.warning("market_data.kite.closed", why=why)
            self._why_closed = why
            return None
        self._why_closed = ""
        return found

    async def wanted(self) -> Mapping[int, int]:
        try:
            found = await self._asked(partial(selectors.partitions_to_stream, settings.FEED_INSTRUMENTS))
        except DatabaseError as error:
            log.warning("market_data.kite.not_refreshed", error=type(error).__name__)
            return self._wanted
        self._wanted = {token: home for token, home in found.items() if home < settings.TICK_PARTITIONS}
        return self._wanted

    async def tell(self, gap: FeedGap) -> None:
        await self._asked(lambda: _tell(gap))

    async def died(self, access: Access) -> None:
        await self._asked(lambda: _died(access))

    def update(self, order: dict[str, Any]) -> None:
        """An order as the socket told it, for the broker's process. What cannot be kept it finds in Kite's book."""
        if settings.ZERODHA_ENABLED:
            self._pool.submit(_keep, json.dumps(order).encode())

    def close(self) -> None:
        self._pool.submit(connections.close_all)
        self._pool.shutdown()

    def _token(self) -> Access:
        return access_token(the_account(self._account).pk, now=timezone.now())

    async def _asked(self, question: Callable[[], Got]) -> Got:
        def answer() -> Got:
            close_old_connections()
            return question()

        return await asyncio.get_running_loop().run_in_executor(self._pool, answer)


def _tell(gap: FeedGap) -> None:
    """A gap as an event; as an alert where it begins while ticks are expected; and, where it is over, to whoever reads
    the broker's book."""
    now = timezone.now()
    gap_tell(gap, now=now)
    if gap.until_ms and settings.ZERODHA_ENABLED:
        missed()
    if gap.until_ms == 0 and _is_expected():
        alert_raise(
            code="feed_gap",
            subject=f"{gap.source}:{gap.connection}",
            text=f"nothing is heard of {gap.instruments} instruments: {gap.reason}",
            severity=Severity.WARNING,
            now=now,
        )


def _died(access: Access) -> None:
    """End the session of a token that the websocket has refused, if Kite knows it nowhere else either: a websocket in
    trouble, or an app without market data, is no reason to send no exit any more."""
    try:
        answer = KiteHttp(settings.KITE_API_URL, lambda: access).read(PROFILE)
    except Failed as failed:
        log.warning("market_data.kite.access_not_checked", why=str(failed))
        return
    if of_answer(answer.status, answer.body).verdict is Verdict.TOKEN_DEAD:
        session_died(access, HANDSHAKE_REFUSED, now=timezone.now())
    else:
        log.error("market_data.kite.websocket_refuses_alone", status=answer.status)


def _is_expected() -> bool:
    """Whether ticks are expected now; where that cannot be told, they are."""
    try:
        return not health_checks.is_quiet()
    except (ReadModelUnavailable, UnknownMarket):
        return True


def _keep(body: bytes) -> None:
    close_old_connections()
    try:
        keep(body, STREAM)
    except DatabaseError as error:
        log.warning("market_data.kite.update_lost", error=type(error).__name__)


def scales() -> Scales:
    """Of prices, as the settings say."""
    return Scales({**DIVISORS, Segment.BCD: int(settings.KITE_BCD_DIVISOR)})


def play(
    publisher: RowPublisher, *, heard_ms: int, account: str, mode: Mode, wall: Wall, stop: Event
) -> None:
    """Hear Kite until `stop` is set, with the token of an account (empty: of the only one)."""
    desk = Desk(account)
    try:
        asyncio.run(_play(feed_of(publisher, desk, heard_ms, mode, wall), stop))
    finally:
        desk.close()


def feed_of(publisher: RowPublisher, desk: Desk, heard_ms: int, mode: Mode, wall: Wall) -> KiteFeed:
    """A feed as the settings say."""
    return KiteFeed(
        publisher,
        url=settings.KITE_WS_URL,
        access=desk.access,
        wanted=desk.wanted,
        tell=desk.tell,
        died=desk.died,
        updates=desk.update,
        wall=wall,
        scales=scales(),
        mode=mode,
        by_ticks=settings.FEED_CLOCK == "ticks",
        heard_ms=heard_ms,
    )


async def _play(feed: KiteFeed, stop: Event) -> None:
    hearing = asyncio.create_task(feed.run())
    while not (stop.is_set() or hearing.done()):
        await asyncio.sleep(STOP_LOOK_S)
    hearing.cancel()
    with suppress(asyncio.CancelledError):
        await hearing
    log.info("market_data.kite.stopped", **asdict(feed.figures))
