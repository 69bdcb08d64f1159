"""What entries that wait would do, of many at once: as of each alone, in as many queries as for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alphapanda.core.clock import ist_date
from alphapanda.core.vocabulary import Severity
from marketdata.selectors import calendars
from risk import loading
from risk.domain.memory import DayState
from risk.models import Alert, LimitSet
from risk.services.alerts import alert_raise
from risk.services.contexts import context_of, surroundings_of
from risk.services.gates import gates_by_deployment, gates_now
from risk.services.halts import halt_throw
from risk.services.outlook import approval_outlook, approval_outlooks
from risk.services.terms import terms_refresh
from strategies.models import Approval, Deployment
from tests.builders import a_mark
from tests.rows import AT_MS, a_deployment, a_signal, an_approval, an_instrument

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
NOW = datetime(2019, 7, 9, 3, 50, 30, tzinfo=UTC)


def waiting(names: range, **facts: object) -> list[Approval]:
    mark = a_mark(1250, at_ms=AT_MS)
    stored = msgspec.msgpack.encode(
        {"at_ms": AT_MS, "marks": {an_instrument().instrument_token: msgspec.to_builtins(mark)}}
    )
    return [
        an_approval(a_signal(a_deployment(f"asks-{number:03}", checkpoint=stored, **facts), 1))
        for number in names
    ]


def queries(approvals: list[Approval]) -> int:
    with CaptureQueriesContext(connection) as asked:
        approval_outlooks(approvals, calendar=calendars(), now=NOW)
    return len(asked)


def test_many_are_worked_out_with_the_queries_of_few_and_each_as_alone() -> None:
    approvals = waiting(range(20), status="RUNNING")
    LimitSet.objects.create(level="GLOBAL", gross_exposure=10_000_000, underlying_exposure=9_000_000)
    LimitSet.objects.create(level="DEPLOYMENT", deployment=approvals[3].deployment, order_value=100)
    terms_refresh()
    by = {"reason": "odd", "actor": "bob", "now": NOW}
    halt_throw(level="DEPLOYMENT", deployment_id=approvals[5].deployment_id, **by)
    alert_raise(
        code="odd",
        subject="it",
        text="odd",
        severity=Severity.CRITICAL,
        now=NOW,
        deployment_id=approvals[7].deployment_id,
    )
    Alert.objects.update(raised_at=NOW - timedelta(hours=1))
    every = list(Approval.objects.select_related("deployment", "signal__instrument").order_by("pk"))
    queries(every)  # what is asked once in a process

    assert queries(every) == queries(every[:2])
    together = approval_outlooks(every, calendar=calendars(), now=NOW)
    assert together == {one.pk: approval_outlook(one, calendar=calendars(), now=NOW) for one in every}
    as_decided([one.deployment for one in every])
    found = [together[one.pk] for one in approvals]
    assert [found[place]["rule"] for place in (3, 5, 7)] == [
        "order_value",
        "kill_switch",
        "unacknowledged_alert",
    ]
    assert {place for place, one in enumerate(found) if not one["would_pass"]} == {3, 5, 7}


def as_decided(rows: list[Deployment]) -> None:
    """What is read of many is what a decision reads of one."""
    ids = [row.id for row in rows]
    surroundings, halts = surroundings_of(rows), loading.halts_by_deployment(rows)
    gates, days, on = gates_by_deployment(NOW, ids), loading.memories_of(ids), ist_date(AT_MS)
    for row in rows:
        assert halts[row.id] == loading.halts_active(row)
        assert gates[row.id] == gates_now(NOW, row.id, row.broker)
        facts = {"day": days.get(row.id, DayState()), "instruments": {}, "halts": (), "phases": {}}
        both = [
            context_of(row, **facts, gates=gates[row.id], on=on, surroundings=known)
            for known in (None, surroundings[row.id])
        ]
        assert both[0] == both[1]
