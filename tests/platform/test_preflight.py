"""The preflight names what is missing, and goes on to the next check."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from alphapanda import preflight, processes
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.health.registry import Level
from alphapanda.health_checks import calendar_horizon
from alphapanda.management.commands.up import choose
from marketdata.domain.markets import EXCHANGES
from marketdata.models import Holiday


def finding(name: str) -> preflight.Finding:
    return next(found for found in preflight.run() if found.name == name)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["database", "migrations", "redis", "log", "folders", "clock", "brokers"])
def test_what_is_there_is_found(name: str) -> None:
    found = finding(name)

    assert found.is_good, found.detail


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "is_doubtful"), [(59, True), (60, False)])
def test_a_calendar_that_ends_soon_is_told_and_stops_nothing(
    days: int, is_doubtful: bool, exchange_hours: None
) -> None:
    today = ist_date(to_ms(timezone.now()))
    Holiday.objects.filter(date__gt=today).delete()
    for exchange in EXCHANGES:
        Holiday.objects.create(exchange=exchange, date=today + timedelta(days=90))
    Holiday.objects.filter(exchange="MCX", date__gt=today).update(date=today + timedelta(days=days))

    found = finding("calendar")

    assert (found.is_good, found.is_doubtful) == (True, is_doubtful)
    assert found.detail.startswith("holidays of MCX known until")
    assert (calendar_horizon().level is Level.WARN) is is_doubtful
    Holiday.objects.filter(exchange="MCX").delete()
    assert "MCX" in finding("calendar").detail


@pytest.mark.django_db
def test_a_migration_that_is_not_applied() -> None:
    MigrationRecorder.Migration.objects.filter(app="execution").delete()

    found = finding("migrations")

    assert not found.is_good
    assert "manage.py migrate" in found.detail


@pytest.mark.django_db
def test_a_redis_that_does_not_answer(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"

    assert not finding("redis").is_good
    assert finding("database").is_good


@pytest.mark.django_db
def test_a_log_that_is_not_there(settings: Any, tmp_path: Path) -> None:
    settings.KAFKA_BOOTSTRAP = "127.0.0.1:1"
    assert "127.0.0.1:1" in finding("log").detail

    settings.KAFKA_BOOTSTRAP, settings.RUN_DIR = "", tmp_path
    assert "no embedded Kafka broker serves" in finding("log").detail


@pytest.mark.django_db
def test_a_port_that_is_taken(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.PORT = taken.getsockname()[1]

        found = finding("port")

    assert not found.is_good
    assert "ALPHAPANDA_PORT" in found.detail


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_no_port_that_is_taken(settings: Any, host: str) -> None:
    settings.HOST = host

    found = finding("port")

    assert not found.is_good
    assert "no address of this machine" in found.detail
    assert "ALPHAPANDA_HOST" in found.detail
    assert "taken" not in found.detail


def test_roles_are_chosen_by_name_or_kind() -> None:
    roles = processes.table()

    only = [role.name for role in choose(roles, only={"strategies", "web"}, without=set())]
    without = [role.name for role in choose(roles, only=set(), without={"trading.0", "feed"})]

    assert only == ["web", "strategies.0", "strategies.1"]
    assert "trading.1" in without
    assert not {"trading.0", "feed"} & set(without)
    with pytest.raises(CommandError, match="no role traders"):
        choose(roles, only={"traders"}, without=set())
