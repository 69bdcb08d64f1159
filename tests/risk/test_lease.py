"""The dead man's switch: what keeps the lease, what lets it run out, and what follows once."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from alphapanda import health_checks, lease
from alphapanda.core.vocabulary import DeploymentStatus, Waiting
from alphapanda.eventlog.models import LogCursor
from alphapanda.eventlog.topics import MARKET_TICKS
from marketdata.stream import CONSUMER
from risk.models import Alert, KillSwitch
from risk.services.halts import halt_release
from strategies.models import Command, Deployment
from tests.risk.test_terms import a_deployment

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LONG_AGO = NOW - timedelta(hours=1)


@pytest.fixture(autouse=True)
def trading(settings, monkeypatch) -> Deployment:
    """A deployment that runs in market hours, with a lease of ten seconds, and a tick of now."""
    settings.LEASE_SECONDS = 10
    monkeypatch.setattr(health_checks, "is_quiet", lambda: "")
    LogCursor.objects.create(
        consumer=CONSUMER, topic=MARKET_TICKS, partition=0, incarnation=uuid4(), offset=1
    )
    seen(0)
    deployment = a_deployment()
    Deployment.objects.update(status=DeploymentStatus.RUNNING)
    return deployment


def seen(seconds_ago: float) -> None:
    LogCursor.objects.update(updated_at=NOW - timedelta(seconds=seconds_ago))


def waits(seconds: float) -> None:
    Deployment.objects.update(waiting=Waiting.SIGNALS, waiting_since=NOW - timedelta(seconds=seconds))


def run_out(**more) -> bool:
    return lease.check(**{"since": LONG_AGO, "now": NOW} | more)


@pytest.mark.parametrize(("seconds", "is_over"), [(0, False), (10, False), (10.1, True)])
def test_the_lease_runs_out_without_ticks_and_without_decisions(seconds, is_over):
    seen(seconds)
    assert bool(lease.why_run_out(since=LONG_AGO, now=NOW)) == is_over
    seen(0)
    waits(seconds)
    assert bool(lease.why_run_out(since=LONG_AGO, now=NOW)) == is_over


def test_what_keeps_it(settings, monkeypatch):
    seen(11)
    assert not run_out(since=NOW - timedelta(seconds=9)), "the watching process has just begun"
    monkeypatch.setattr(health_checks, "is_quiet", lambda: "market closed")
    assert not run_out()
    monkeypatch.setattr(health_checks, "is_quiet", lambda: "")
    Deployment.objects.update(status=DeploymentStatus.STOPPED)
    assert not run_out(), "nobody trades"
    Deployment.objects.update(status=DeploymentStatus.RUNNING)
    settings.LEASE_SECONDS = 0
    assert not run_out()
    settings.LEASE_SECONDS = 10
    assert run_out()


def test_it_halts_once_cancels_and_stays_so_until_a_person_releases_it(trading):
    seen(42)

    assert [run_out(), run_out()] == [True, False]

    halt = KillSwitch.objects.get()
    assert (halt.level, halt.step, halt.thrown_by) == ("GLOBAL", "CANCEL", "lease")
    assert halt.reason == "no tick has come through for 42 s"
    assert [(one.deployment_id, one.kind) for one in Command.objects.all()] == [(trading.pk, "CANCEL")]
    assert Alert.objects.get(code="lease").severity == "CRITICAL"

    halt_release(halt_id=halt.pk, actor="alice", reason="feed is back", now=NOW)
    assert not run_out(now=NOW + timedelta(seconds=10)), "the release is a new lease"
    assert run_out(now=NOW + timedelta(seconds=10.1))
