"""Two acts on one row at the same moment: the second waits, and builds on what the first has written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import transaction

from alphapanda.approval_mode import approval_mode_set
from risk.models import StartOfDay
from risk.services.gates import start_of_day_record
from strategies.models import Deployment
from strategies.services.lifecycle import deployment_configure
from tests.risk.test_kill_lock import elsewhere
from tests.rows import a_deployment

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2019, 7, 9, 4, 0, tzinfo=UTC)
BY = {"actor": "alice", "reason": "drill", "now": NOW}


def test_approval_mode_keeps_what_is_configured_at_the_same_moment():
    deployment = a_deployment(status="STOPPED", execution={"product": "MIS"})

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            deployment_configure(deployment_id=deployment.pk, changes={"execution": {"product": "CNC"}}, **BY)
            setting = elsewhere(
                pool, lambda: approval_mode_set(deployment_id=deployment.pk, seconds=60, **BY)
            )
            with pytest.raises(TimeoutError):
                setting.result(timeout=0.5)
        setting.result(timeout=5)

    assert Deployment.objects.get().execution == {"product": "CNC", "approval_s": 60}


def test_a_day_that_has_passed_stays_passed_though_it_is_checked_twice_at_once():
    def record(*, is_good: bool) -> None:
        findings = [{"name": "clock", "is_good": is_good}]
        start_of_day_record(findings=findings, actor="alice", now=NOW)

    record(is_good=False)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            record(is_good=True)
            failing = elsewhere(pool, lambda: record(is_good=False))
            with pytest.raises(TimeoutError):
                failing.result(timeout=0.5)
        failing.result(timeout=5)

    row = StartOfDay.objects.get()
    assert row.is_passed
