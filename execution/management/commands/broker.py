"""Own the account at Zerodha: send what was decided, hear what came of it, compare the books, until told to stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from accounts.selectors import NoAccount, NoToken, access_token, the_account
from alphapanda import logs
from alphapanda.eventlog import retries
from alphapanda.eventlog.shutdown import stop_flag
from alphapanda.kite.client import Access
from execution.services.live.desk import Desk

OWNER_LOCK = 7_002  # advisory, of a session: one process owns the account
WAIT_S = 0.02
ASK_S = 1.0
Done = TypeVar("Done")
log = logs.channel("trading")


class Command(BaseCommand):
    help = "Send orders to Zerodha and hear of them until SIGTERM: then wait for answers, exit 0."

    def handle(self, *_args: object, **_options: object) -> None:
        if not settings.ZERODHA_ENABLED:
            raise CommandError("orders to Zerodha are off: set ALPHAPANDA_ZERODHA_ENABLED and its companions")
        stop = stop_flag()
        while not _owns():
            if stop.wait(ASK_S):
                return
        desk = Desk(settings.KITE_API_URL, _access, timezone.now)
        retries.in_place(lambda: _as_owner(desk.begin), stop=stop, before_retry=_drop_dead_connection)
        while not stop.is_set():
            round_ = partial(_as_owner, desk.round)
            if not retries.in_place(round_, stop=stop, before_retry=_drop_dead_connection):
                stop.wait(WAIT_S)
        desk.end()


def _access() -> Access | None:
    try:
        return access_token(the_account().pk, now=timezone.now())
    except (NoAccount, NoToken):
        return None


def _owns() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [OWNER_LOCK])
        return bool(cursor.fetchone()[0])


def _drop_dead_connection() -> None:
    """A fault of the database may have ended the connection, and the lock with it; one of Redis leaves both alone."""
    if connection.connection is not None and not connection.is_usable():
        connection.close()


def _as_owner(act: Callable[[], Done]) -> Done:
    """Do a piece of work as the owner. The lock goes with the connection: who gets it first goes on."""
    if connection.connection is None and not _owns():
        raise SystemExit("another process owns the account now")
    return act()
