"""Limits in force: worked out and written down whenever limits or deployments change, so that a decision reads
one row, and every decision can name what bound it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import LockNotAvailable

from risk import loading
from risk.domain.context import Terms, terms_of
from risk.domain.coupling import groups
from risk.domain.ladder import has_ladder
from risk.models import LimitsInForce, LimitVersion
from strategies.services.sharding import groups_assign, ladders_assign

KILL_WAIT, KILL_IDLE_S = (
    "3s",
    2.0,
)  # for the lock, before whoever holds it and asks nothing loses its connection
KILL_LOCK = 7_001  # advisory: shared by decisions, exclusive to whoever changes what they look at


def share_kill_lock() -> None:
    """No kill switch and no limit commits between our reading of them and our commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [KILL_LOCK])


@contextmanager
def kill_lock_shared() -> Iterator[None]:
    """The same for longer than a transaction: what begins in here begins before a kill switch commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [KILL_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [KILL_LOCK])


def take_kill_lock() -> None:
    """Wait for the decisions that are being made; none commits afterwards with the view of before. A process that
    stands still in the middle of one (stopped, swapped out) loses its connection, and what it was about to write."""
    with connection.cursor() as cursor:
        if not _is_taken_soon(cursor):
            cursor.execute(_END_IDLE, [KILL_LOCK, KILL_IDLE_S])
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KILL_LOCK])


def _is_taken_soon(cursor: CursorWrapper) -> bool:
    try:
        with transaction.atomic():
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [KILL_WAIT])
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KILL_LOCK])
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
            return True
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        return False


_END_IDLE = """
SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND granted AND pid <> pg_backend_pid()
AND state LIKE 'idle%%' AND state_change < clock_timestamp() - make_interval(secs => %s)
"""


@transaction.atomic
def terms_refresh(*, touched: Collection[UUID] = ()) -> int:
    """Write anew which limits bound whom, and who is decided with whom; how many deployments are bound otherwise
    than before. `touched`: deployments whose instruments have changed. Raises GroupSplit."""
    take_kill_lock()
    levels, places = loading.levels(), loading.places()
    groups_assign(groups(levels, places), touched=touched)
    known = dict(LimitsInForce.objects.values_list("deployment_id", "version_id"))
    every = {place.id: terms_of(levels, place, places) for place in places}
    changed = [one for one, terms in every.items() if known.get(one) != terms.version]
    for one in changed:
        _write(one, every[one])
    ladders_assign([one for one, terms in every.items() if has_ladder(terms)])
    return len(changed)


def _write(deployment_id: UUID, terms: Terms) -> None:
    content = msgspec.to_builtins(terms, str_keys=True)
    version, _ = LimitVersion.objects.get_or_create(version=terms.version, defaults={"terms": content})
    LimitsInForce.objects.update_or_create(deployment_id=deployment_id, defaults={"version": version})


def terms_of_deployment(deployment_id: UUID) -> Terms:
    """What bounds a deployment now."""
    terms = loading.terms_in_force(deployment_id)
    if terms is None:  # a row that was made past the services
        places = loading.places()
        place = next(place for place in places if place.id == deployment_id)
        terms = terms_of(loading.levels(), place, places)
    return terms
