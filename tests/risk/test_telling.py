"""Alerts reach people: a row for each channel with the alert, sent by whoever is rung, once and at least once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import Severity
from alphapanda.eventlog import doorbell
from risk import messenger
from risk.channel_models import AlertChannel, AlertDelivery
from risk.domain.telling import KEPT, PAUSES, PER_MINUTE, Message
from risk.models import Alert
from risk.services import deliveries, telling
from risk.services.alerts import alert_acknowledge, alert_raise
from risk.services.channels import channel_add, channel_remove, channel_switch, channel_test
from risk.tasks import tell
from tests.risk.hearing import Service, service
from tests.rows import a_deployment

pytestmark = pytest.mark.django_db
BY = {"actor": "alice", "reason": "drill"}
State = AlertDelivery.State


class Killed(BaseException):
    """The process ends here."""


class Clock:
    """The wall's, and later as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return timezone.now() + self.ahead

    def pass_(self, **time_passed: float) -> None:
        self.ahead += timedelta(**time_passed)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as found:
        yield found


def a_channel(address: str, name: str = "desk", **facts: Any) -> AlertChannel:
    return channel_add(name=name, address=address, now=timezone.now(), **BY | facts)


def raised(**facts: Any) -> Alert:
    values = {"code": "drill", "subject": "all", "text": "boom", "severity": Severity.CRITICAL}
    return alert_raise(**values | {"now": timezone.now()} | facts)


def states() -> list[str]:
    return list(AlertDelivery.objects.order_by("created_at", "id").values_list("state", flat=True))


def test_an_alert_is_told_once_however_often_it_is_raised_and_rung_for(there: Service):
    a_channel(there.address)
    alert = raised()
    for _ in range(2):
        raised()
        tell()

    (heard,) = there.heard
    assert heard["title"] == "CRITICAL PAPER: drill"
    assert heard["message"].startswith("boom\nAbout all\nRaised ")
    assert heard["path"].startswith("/hooks/Canary")
    (row,) = AlertDelivery.objects.all()
    assert (row.alert, row.state, row.tries) == (alert, State.SENT, 1)
    assert row.channel.sent_at == row.sent_at
    alert_acknowledge(alert_id=alert.pk, now=timezone.now(), **BY)
    raised()
    tell()
    assert len(there.heard) == 2


def test_the_row_is_written_with_the_alert_or_not_at_all(there: Service):
    a_channel(there.address)
    with transaction.atomic():
        raised()
        assert AlertDelivery.objects.count() == 1
        transaction.set_rollback(True)

    assert not AlertDelivery.objects.exists()


def test_the_doorbell_rings_when_it_is_committed(monkeypatch, django_capture_on_commit_callbacks):
    rung: list[Any] = []
    monkeypatch.setattr(doorbell, "ring", lambda name, **where: rung.append((name, where)))
    a_channel("json://127.0.0.1:9/x")
    with django_capture_on_commit_callbacks(execute=True):
        raised()
        assert rung == []

    assert rung == [("risk.tell", {"queue": "alerts"})]


def test_written_twice_for_an_occasion_it_is_one_row(there: Service):
    a_channel(there.address)
    alert = raised()
    tell()
    deliveries.deliveries_write(alert, now=timezone.now())
    tell()

    assert AlertDelivery.objects.count() == len(there.heard) == 1


def test_each_channel_hears_from_its_least_severity_on_and_none_that_is_off(there: Service):
    loud, grave, off = (a_channel(there.address, name) for name in ("loud", "grave", "off"))
    AlertChannel.objects.filter(pk=grave.pk).update(least="CRITICAL")
    channel_switch(channel_id=off.pk, is_enabled=False, now=timezone.now(), **BY)
    raised(severity=Severity.WARNING)
    assert [row.channel for row in AlertDelivery.objects.all()] == [loud]
    raised(subject="other")

    found = AlertDelivery.objects.filter(alert__subject="other")
    assert {row.channel for row in found} == {loud, grave}


def test_live_and_paper_are_told_apart(there: Service, settings):
    a_channel(there.address)
    settings.ALLOWED_ORIGINS = ["https://panda.example.org"]
    live = a_deployment("live", broker="zerodha")
    raised(deployment_id=live.pk, subject="live")
    settings.ZERODHA_ENABLED = True
    raised(subject="house")
    raised(deployment_id=a_deployment("paper").pk, subject="paper")
    raised(broker="paper", subject="all of paper")
    tell()

    modes = {one["message"].split("About ")[1].split("\n")[0]: one["title"].split()[1] for one in there.heard}
    assert modes == {"live": "LIVE:", "house": "LIVE:", "paper": "PAPER:", "all of paper": "PAPER:"}
    assert there.heard[0]["message"].endswith("\nhttps://panda.example.org/alerts/")


@pytest.mark.parametrize("point", ["risk.tell.after_claim", "risk.tell.after_send"])
def test_a_process_that_dies_midway_costs_no_message(point, there: Service, clock: Clock, monkeypatch):
    a_channel(there.address)
    raised()
    before = len(there.heard)
    with monkeypatch.context() as patch:
        patch.setattr(telling.failpoints, "hit", lambda name: _die(name, point))
        with pytest.raises(Killed):
            telling.deliver(clock)
    sent = len(there.heard) - before
    assert (states(), sent) == ([State.SENDING], int(point.endswith("send")))
    telling.deliver(clock)
    assert len(there.heard) == sent  # it may be on its way yet
    clock.pass_(seconds=61)
    telling.deliver(clock)

    assert len(there.heard) == sent + 1
    assert states() == [State.SENT]


def _die(name: str, point: str) -> None:
    if name == point:
        raise Killed


def test_whoever_comes_back_late_does_not_write_over_what_another_has_done(there: Service, clock: Clock):
    a_channel(there.address)
    raised()
    late = telling._claimed(AlertChannel.objects.get().pk, clock())
    assert late is not None
    assert telling._claimed(AlertChannel.objects.get().pk, clock()) is None
    clock.pass_(seconds=61)
    telling.deliver(clock)
    telling._record(late, "too late", clock())

    assert states() == [State.SENT]


def test_a_dead_channel_does_not_hold_up_another(there: Service, clock: Clock, monkeypatch):
    """Both are asked at the same time: the one that never answers waits for the other's message, not before it."""
    with service() as slow:
        a_channel(slow.address, "a slow one")
        a_channel(there.address, "z quick one")
        sending = messenger.send

        def send(address: str, message: Message, **how: Any) -> str:
            until = time.monotonic() + 10
            while address == slow.address and not there.heard and time.monotonic() < until:
                time.sleep(0.01)
            return sending(address, message, **how) if there.heard or address == there.address else "alone"

        monkeypatch.setattr(messenger, "send", send)
        raised()
        telling.deliver(clock)
        assert (len(slow.heard), len(there.heard)) == (1, 1)


def test_many_at_once_are_gathered_and_a_critical_one_comes_through(there: Service, clock: Clock):
    a_channel(there.address)
    for number in range(12):
        raised(subject=f"no {number}", severity=Severity.WARNING)
    telling.deliver(clock)
    alone = PER_MINUTE - KEPT - 1
    assert len(there.heard) == PER_MINUTE - KEPT
    assert there.titles[-1] == f"{12 - alone} more alerts"
    assert len(there.heard[-1]["message"].splitlines()) == 12 - alone
    raised(subject="late", severity=Severity.WARNING)
    raised(subject="grave")
    telling.deliver(clock)
    assert there.titles[-1] == "CRITICAL PAPER: drill"
    clock.pass_(seconds=61)
    telling.deliver(clock)

    assert there.titles[-1] == "WARNING PAPER: drill"
    assert set(states()) == {State.SENT}


def test_what_was_acknowledged_before_it_went_out_needs_no_message(there: Service):
    a_channel(there.address)
    alert_acknowledge(alert_id=raised().pk, now=timezone.now(), **BY)
    tell()

    assert (states(), there.heard) == ([State.DROPPED], [])


@pytest.mark.parametrize("act", ["off", "removed"])
def test_what_waits_for_a_channel_that_is_gone_does_not_go_out(act, there: Service):
    channel = a_channel(there.address)
    raised()
    if act == "off":
        channel_switch(channel_id=channel.pk, is_enabled=False, now=timezone.now(), **BY)
    else:
        channel_remove(channel_id=channel.pk, now=timezone.now(), **BY)
    tell()

    assert (states(), there.heard) == ([State.DROPPED], [])
    channel.refresh_from_db()
    assert bool(channel.address) == (act == "off")


@pytest.mark.parametrize("act", [channel_remove, channel_switch])
def test_a_message_under_way_of_a_channel_that_is_gone_is_not_tried_again(act, there: Service, clock: Clock):
    """It is while a channel fails that somebody removes it: nothing goes there, and nothing is said of it."""
    channel = a_channel(there.address)
    a_channel(there.address, "phone")
    raised()
    claim = telling._claimed(channel.pk, clock())
    assert claim is not None
    more = {"is_enabled": False} if act is channel_switch else {}
    act(channel_id=channel.pk, now=clock(), **BY | more)
    telling._record(claim, "no answer", clock())
    for pause in PAUSES:
        clock.pass_(seconds=pause.total_seconds() + 1)
        telling.deliver(clock)

    assert len(there.heard) == 1
    assert AlertDelivery.objects.get(channel=channel).state == State.DROPPED
    assert not Alert.objects.filter(code="channel_fails").exists()
    channel.refresh_from_db()
    assert channel.failing_since is None


def test_a_channel_that_fails_for_long_is_one_alert_which_the_others_tell(there: Service, clock: Clock):
    with service() as broken:
        broken.status = 500
        channel = a_channel(broken.address, "mail")
        a_channel(there.address, "phone")
        raised()
        for pause in (timedelta(), *PAUSES):
            clock.pass_(seconds=pause.total_seconds() + 1)
            telling.deliver(clock)
        raised(subject="later")
        for pause in (timedelta(), *PAUSES):
            clock.pass_(seconds=pause.total_seconds() + 1)
            telling.deliver(clock)

    alert = Alert.objects.get(code="channel_fails")
    assert (alert.severity, alert.times) == ("WARNING", 1)
    assert alert.subject.startswith("mail, since ")
    assert "no message was taken by mail (JSON) for " in alert.text
    assert [row.channel.name for row in alert.deliveries.all()] == ["phone"]
    assert sum("channel fails" in title for title in there.titles) == 1
    channel.refresh_from_db()
    assert channel.failing_since is not None


def test_channels_that_all_fail_do_not_tell_of_each_other_for_ever(clock: Clock):
    with service() as broken:
        broken.status = 500
        for name in ("mail", "phone"):
            a_channel(broken.address, name)
        raised()
        for _ in range(60):
            clock.pass_(minutes=31)
            telling.deliver(clock)

    assert Alert.objects.filter(code="channel_fails").count() == 2
    assert not AlertDelivery.objects.exclude(state=State.GIVEN_UP).exists()


def test_a_test_says_what_came_of_it_is_tried_once_and_raises_nothing(there: Service, clock: Clock):
    channel = a_channel(there.address)
    channel_switch(channel_id=channel.pk, is_enabled=False, now=timezone.now(), **BY)
    first = channel_test(channel_id=channel.pk, key="k1", now=timezone.now(), **BY)
    assert channel_test(channel_id=channel.pk, key="k1", now=timezone.now(), **BY) == first
    telling.deliver(clock)
    there.status = 401
    channel_test(channel_id=channel.pk, key="k2", now=timezone.now(), **BY)
    for _ in range(3):
        telling.deliver(clock)
        clock.pass_(minutes=20)

    assert there.titles == ["Test of Alpha Panda"] * 2
    assert states() == [State.SENT, State.GIVEN_UP]
    channel.refresh_from_db()
    assert "Verification Failed" in channel.failure
    assert channel.failing_since is None
    assert not Alert.objects.exists()


def test_an_address_whose_key_is_gone_is_a_failure_in_words(settings, clock: Clock):
    a_channel("json://127.0.0.1:9/x")
    settings.CREDENTIAL_KEYS = ["n" * 64]
    raised()
    telling.deliver(clock)

    row = AlertDelivery.objects.get()
    assert (row.state, row.tries) == (State.WAITING, 1)
    assert "put it back" in row.words


def test_moments_of_messages_are_kept_for_a_minute_alone(there: Service, clock: Clock):
    channel = a_channel(there.address)
    for _ in range(3):
        alert_acknowledge(alert_id=raised().pk, now=timezone.now(), **BY)
        raised()
        telling.deliver(clock)
        clock.pass_(minutes=2)
        alert_acknowledge(alert_id=Alert.objects.get(acknowledged_at=None).pk, now=timezone.now(), **BY)

    channel.refresh_from_db()
    assert len(channel.recent_ms) == 1
    assert abs(channel.recent_ms[0] - to_ms(clock())) < 180_000
