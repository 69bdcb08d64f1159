"""What the page of health says of the machine: room, clock, the timetable."""

from __future__ import annotations

import shutil
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.live import readiness_record
from alphapanda import health_checks, health_house, tasks
from alphapanda.core.clock import to_ms
from alphapanda.health.registry import Level
from alphapanda.push import readmodel
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence
from tests.cockpit.test_pages import ROWS, browser
from tests.risk.test_telling import a_channel, raised

pytestmark = pytest.mark.django_db
GIB = 1 << 30


def shown() -> dict[str, str]:
    told: dict[str, str] = browser("viewer").get("/health/", headers=ROWS).json()["rows"]["checks"]
    return told


@pytest.mark.parametrize(
    ("free", "level"), [(GIB // 2, Level.FAIL), (3 * GIB, Level.WARN), (20 * GIB, Level.OK)]
)
def test_how_much_room_the_disk_has(monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert health_house.disk().level is level
    assert f"{free / GIB:.1f} GiB free" in shown()["disk"]


def test_beat_is_seen_when_a_worker_has_done_what_it_rings_for() -> None:
    assert health_house.beat().level is Level.WARN
    tasks.watch()
    told = health_house.beat()
    assert told.level is Level.OK
    assert told.age_s is not None
    assert told.age_s < 20
    assert "last seen" in shown()["beat"]


@pytest.mark.parametrize(("age_s", "level"), [(10, Level.OK), (30, Level.WARN), (90, Level.FAIL)])
def test_a_silent_beat_is_told(age_s: int, level: Level) -> None:
    readmodel.session_write(beat_at_ms=to_ms(timezone.now()) - age_s * 1000)
    assert health_house.beat().level is level


def test_the_clock_is_told_beside_the_databases_and_kites_without_asking_kite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alphapanda.readiness.requests", None)
    assert "clock-kite" not in shown()
    found = [{"name": "clock", "is_good": True, "detail": "within 0.4 s of Kite's", "is_doubtful": False}]
    readiness_record(findings=found, actor="ann", now=timezone.now())
    told = health_house.clock()
    assert "of the database's" in told[""].words
    assert told["Kite"].words.startswith("within 0.4 s of Kite's, 0.")


@pytest.mark.parametrize(
    ("kept", "is_live", "level", "words"),
    [
        ((0, 12.0), True, Level.OK, "kept, wrong by 12 ms at most"),
        ((5, 16_000.0), False, Level.OK, "nothing that keeps its clock"),
        ((5, 16_000.0), True, Level.WARN, "nothing that keeps its clock"),
        (None, True, Level.OK, "does not say"),
    ],
)
def test_what_the_kernel_says_of_ntp(
    monkeypatch: pytest.MonkeyPatch, settings: Any, kept: Any, is_live: bool, level: Level, words: str
) -> None:
    monkeypatch.setattr(health_house, "clock_kept", lambda: kept)
    settings.ZERODHA_ENABLED = is_live
    told = health_house.clock()["NTP"]
    assert told.level is level
    assert words in told.words


def test_the_kernel_is_asked_and_nothing_is_set() -> None:
    told = health_house.clock_kept()
    assert told is None or told[1] >= 0


def test_messages_that_do_not_leave_and_channels_that_take_nothing_are_told() -> None:
    assert health_checks.alert_channels().words == "none: alerts are on the page alone"
    channel = a_channel("json://127.0.0.1:9/x")
    assert health_checks.alert_channels().words == "1 told of alerts"
    raised()
    assert health_checks.alert_channels().level is Level.OK
    AlertDelivery.objects.update(due_at=timezone.now() - timedelta(minutes=4))
    found = health_checks.alert_channels()
    assert (found.level, found.value) == (Level.FAIL, 1)
    assert "is the role alerts running" in shown()["alert-channels"]

    at = timezone.now() - timedelta(minutes=10)
    until = at + timedelta(hours=1)
    AlertSilence.objects.create(code="drill", until=until, at=at, by="ann", reason="x")
    assert health_checks.alert_channels().level is Level.OK
    AlertSilence.objects.update(ended_at=at)
    AlertChannel.objects.filter(pk=channel.pk).update(failing_since=at)
    found = health_checks.alert_channels()
    assert (found.level, found.words) == (Level.WARN, "1 of 1 take nothing: see the page Alerts")
    AlertChannel.objects.filter(pk=channel.pk).update(is_enabled=False)
    assert health_checks.alert_channels().level is Level.OK
