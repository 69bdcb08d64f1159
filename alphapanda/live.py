"""What keeps the screens live beside the relay: the read model is refreshed and pushed by threads of its process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from threading import Event, Thread

from django.db import connection

from alphapanda import logs, projections
from alphapanda.dashboard import screen
from alphapanda.push.pusher import Pusher
from alphapanda.push.readmodel import ReadModelUnavailable

REFRESH_EVERY_S, HEED_EVERY_S = 1.0, 0.25
JOIN_S = 2.0

log = logs.channel("application")


@contextmanager
def screens(stop: Event) -> Iterator[None]:
    """Build the read model where Redis lost it, refresh it every second, heed what people write in between, and push
    what changed, until `stop`."""
    refresher = Thread(target=_refresh_for_ever, args=[stop], name="refresher", daemon=True)
    refresher.start()
    pusher = Pusher(screen.rows).start(stop)
    try:
        yield
    finally:
        stop.set()
        for thread in (refresher, pusher):
            thread.join(JOIN_S)


def _refresh_for_ever(stop: Event) -> None:
    try:
        for turn in cycle(range(round(REFRESH_EVERY_S / HEED_EVERY_S))):
            _kept_up(projections.heed) if turn else refresh()
            if stop.wait(HEED_EVERY_S):
                return
    finally:
        connection.close()


def refresh() -> None:
    """Bring the read model up to date once; the loss of Redis or of the database is waited out."""
    _kept_up(lambda: projections.ensure_built() or projections.refresh())


def _kept_up(act: Callable[[], object]) -> None:
    try:
        act()
    except ReadModelUnavailable as error:
        log.info("live.redis_away", error=str(error))
    except Exception:
        log.exception("live.refresh_failed")
        connection.close()
