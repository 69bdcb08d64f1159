"""A silence keeps messages, tone and banner back, and nothing else: a critical alert stops entries as ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import AuditEntry
from alphapanda import past, projections
from alphapanda import projection_rows as rows
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Severity
from alphapanda.eventlog.models import OutboxEvent
from risk.channel_models import AlertDelivery, AlertSilence
from risk.models import Alert
from risk.selectors import alerts_open, silences_in_force
from risk.services import telling
from risk.services.alerts import alert_acknowledge
from risk.services.gates import gates_now
from risk.services.silences import (
    SilenceNotFound,
    SilenceOver,
    SilenceRefused,
    next_close,
    silence_begin,
    silence_end,
)
from tests.risk.hearing import Service, service
from tests.risk.test_telling import Clock, a_channel, raised
from tests.rows import SOME

pytestmark = pytest.mark.django_db
BY = {"actor": "alice", "reason": "the line is being mended"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as found:
        a_channel(found.address)
        yield found


def silent(clock: Clock, code: str = "drill", **facts: Any) -> AlertSilence:
    return silence_begin(**{"code": code, "until": "1h", "now": clock()} | BY | facts)


def test_what_is_silent_is_told_when_the_silence_is_over(there: Service, clock: Clock):
    first = raised()
    telling.deliver(clock)
    silent(clock)
    second = raised(subject="other")
    telling.deliver(clock)
    assert there.titles == ["CRITICAL PAPER: drill"]
    clock.pass_(minutes=59)
    telling.deliver(clock)
    assert len(there.heard) == 1
    clock.pass_(minutes=2)
    telling.deliver(clock)
    telling.deliver(clock)

    assert sorted(there.titles[1:]) == ["CRITICAL PAPER: drill", "Still open: CRITICAL PAPER: drill"]
    assert set(AlertDelivery.objects.values_list("alert", flat=True)) == {first.pk, second.pk}


def test_what_was_acknowledged_in_the_silence_is_not_told(there: Service, clock: Clock):
    silent_one = raised()
    silent(clock)
    alert_acknowledge(alert_id=silent_one.pk, now=clock(), **BY)
    clock.pass_(hours=2)
    telling.deliver(clock)

    assert there.heard == []


def test_a_silence_of_one_subject_keeps_nothing_else_back(there: Service, clock: Clock):
    raised()
    silent(clock, subject="all")
    raised(subject="other")
    raised(code="else")
    telling.deliver(clock)

    assert len(there.heard) == 2
    assert AlertDelivery.objects.get(state="WAITING").alert.subject == "all"


def test_ended_early_it_is_told_now_and_once_where_another_still_covers(there: Service, clock: Clock):
    raised()
    shorter, longer = silent(clock), silent(clock, subject="all", until="tomorrow")
    silence_end(silence_id=shorter.pk, now=clock(), **BY)
    telling.deliver(clock)
    assert there.heard == []
    silence_end(silence_id=longer.pk, now=clock(), **BY)
    telling.deliver(clock)

    assert there.titles == ["CRITICAL PAPER: drill"]
    assert AuditEntry.objects.filter(action="alert.silence_end").count() == 2
    assert OutboxEvent.objects.filter(type="operator.acted", key__startswith="alert:drill").count() == 4
    with pytest.raises(SilenceOver):
        silence_end(silence_id=longer.pk, now=clock(), **BY)


@pytest.mark.parametrize("covers", [True, False])
def test_a_silence_never_lets_entries_in_that_the_alert_keeps_out(covers, settings, clock: Clock):
    settings.ALERT_PAUSES_MINUTES = 15
    raised()
    if covers:
        silent(clock)
    clock.pass_(minutes=16)

    assert [rule for rule, _ in gates_now(clock(), SOME, "paper").guards] == ["unacknowledged_alert"]
    clock.pass_(minutes=60)
    assert [rule for rule, _ in gates_now(clock(), SOME, "paper").guards] == ["unacknowledged_alert"]


def test_the_banner_counts_what_is_not_silent(clock: Clock):
    grave = raised()
    other = raised(code="mild", severity=Severity.WARNING)
    loud = rows.alerts(alerts_open(), list(silences_in_force(clock())))
    assert (loud["open"], loud["silent"], loud["critical"], loud["newest"]) == (
        2,
        0,
        1,
        to_ms(grave.raised_at),
    )
    before = clock()
    silent(clock)

    quiet = rows.alerts(alerts_open(), list(silences_in_force(clock())))
    assert (quiet["open"], quiet["silent"], quiet["critical"], quiet["newest"]) == (2, 1, 0, None)
    assert quiet["gravest"]["at_ms"] == to_ms(other.raised_at)
    assert past.overview(to_ms(before))["session"]["alerts"]["critical"] == 1
    assert past.overview(to_ms(clock()) + 1)["session"]["alerts"]["critical"] == 0


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"code": "never"}, "There has been no alert 'never'"),
        ({"subject": "nothing"}, "about 'nothing'"),
        ({"until": "some day"}, "no end of a silence"),
        ({"reason": " "}, "Say why"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(facts, why, clock: Clock):
    raised()
    with pytest.raises(SilenceRefused, match=why):
        silent(clock, **facts)
    with pytest.raises(SilenceNotFound):
        silence_end(silence_id=999, now=clock(), **BY)

    assert not AlertSilence.objects.exists()
    assert not AuditEntry.objects.filter(action="alert.silence").exists()


def test_until_close_is_the_next_close_of_the_market(exchange_hours: None, clock: Clock):
    raised()
    made = silent(clock, until="close")
    assert made.until == next_close(clock())
    assert timedelta() < made.until - clock() <= timedelta(days=5)
    after = next_close(made.until)
    assert after is not None
    assert after > made.until


def test_the_page_of_now_is_told_when_a_silence_begins_and_ends(clock: Clock):
    alert = raised()
    projections.rebuild()
    made = silent(clock)
    projections.refresh()
    session = projections.readmodel.overview()["session"]
    assert (session["alerts"]["critical"], session["alerts"]["silent"]) == (0, 1)
    silence_end(silence_id=made.pk, now=clock(), **BY)
    projections.refresh()

    assert projections.readmodel.overview()["session"]["alerts"]["newest"] == to_ms(alert.raised_at)
    assert Alert.objects.get().acknowledged_at is None
