"""The preflight names what is missing, and goes on to the next check."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db.migrations.recorder import MigrationRecorder

from alphapanda import preflight, processes
from alphapanda.management.commands.up import choose


def finding(name: str) -> preflight.Finding:
    return next(found for found in preflight.run() if found.name == name)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["database", "migrations", "redis", "log", "folders", "clock", "brokers"])
def test_what_is_there_is_found(name: str) -> None:
    found = finding(name)

    assert found.is_good, found.detail


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


def test_roles_are_chosen_by_name_or_kind() -> None:
    roles = processes.table()

    only = [role.name for role in choose(roles, only={"strategies", "web"}, without=set())]
    without = [role.name for role in choose(roles, only=set(), without={"trading.0", "feed"})]

    assert only == ["web", "strategies.0", "strategies.1"]
    assert "trading.1" in without
    assert not {"trading.0", "feed"} & set(without)
    with pytest.raises(CommandError, match="no role traders"):
        choose(roles, only={"traders"}, without=set())
