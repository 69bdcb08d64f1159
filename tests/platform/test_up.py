"""`manage.py up` with servers by address, with servers that are away, and interrupted before it is ready."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from alphapanda import embedded
from alphapanda.management.commands import up
from alphapanda.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
PAGES = """
import django
django.setup()
from django.test import Client
from alphapanda.asgi import application
for path in ("img/panda.svg", "unfold/css/styles.css"):
    client = Client(headers={"host": "localhost", "x-forwarded-proto": "https"})
    print(client.get(f"/static/{path}").status_code)
"""


def by_address(run_dir: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Python with the settings of somebody who has servers, at addresses where nobody listens."""
    environment = os.environ | {
        "ALPHAPANDA_DATABASE_URL": "postgres://panda:secret@127.0.0.1:1/panda",
        "ALPHAPANDA_REDIS_URL": "redis://127.0.0.1:2",
        "ALPHAPANDA_KAFKA_BOOTSTRAP": "127.0.0.1:3,panda:port",
        "ALPHAPANDA_SECRET_KEY": "s" * 64,
        "ALPHAPANDA_JWT_KEY": "j" * 64,
        "ALPHAPANDA_CREDENTIAL_KEYS": "c" * 64,
        "ALPHAPANDA_RUN_DIR": str(run_dir),
        "DJANGO_SETTINGS_MODULE": "alphapanda.settings",
    }
    program = [sys.executable, "-W", "error::UserWarning", *command]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_servers_that_are_away_are_named_with_their_settings(tmp_path: Path) -> None:
    ran = by_address(tmp_path, "manage.py", "up", "--only", "beat")

    assert ran.returncode == 1
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said
    for check, setting in (("database", "DATABASE_URL"), ("redis", "REDIS_URL"), ("log", "KAFKA_BOOTSTRAP")):
        assert f"✗ {check} (ALPHAPANDA_{setting}):" in said
    assert "panda:port" in said
    assert "secret" not in said


def test_a_run_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ran = by_address(tmp_path / "file" / "run", "manage.py", "up", "--only", "beat")

    assert ran.returncode == 1
    assert "expected a folder to write to" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_static_files_are_served_without_being_collected(tmp_path: Path) -> None:
    ran = by_address(tmp_path, "-c", PAGES)

    assert ran.stdout.split() == ["200", "200"], ran.stderr


def test_interrupted_before_it_is_ready_it_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    def interrupted(supervisor: Supervisor, _work: Any) -> int:
        supervisor.stopping.append(2)
        return -15

    settings.RUN_DIR = tmp_path
    settings.ADDRESSES = dict.fromkeys(settings.ADDRESSES, "somewhere")
    monkeypatch.setattr(Supervisor, "start_servers", lambda _supervisor: None)
    monkeypatch.setattr(Supervisor, "once", interrupted)
    monkeypatch.setattr(up, "preload", lambda: None)
    command = up.Command()
    command.console = Console(file=io.StringIO())

    command._run([up.processes.Role("web", lambda: None, stops=1)], lock=0, verbose=False)

    said = command.console.file.getvalue()
    assert "http://" not in said
    assert "stopped" in said


class Full(io.StringIO):
    """A file on a disk that has no room."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_it_stops_in_order_though_the_console_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    stopped: list[Supervisor] = []

    def stop(supervisor: Supervisor) -> None:
        stopped.append(supervisor)

    settings.RUN_DIR = tmp_path
    settings.ADDRESSES = dict.fromkeys(settings.ADDRESSES, "somewhere")
    monkeypatch.setattr(Supervisor, "start_servers", lambda supervisor: supervisor.stopping.append(2))
    monkeypatch.setattr(Supervisor, "once", lambda _supervisor, _work: -15)
    monkeypatch.setattr(Supervisor, "stop", stop)
    monkeypatch.setattr(up, "preload", lambda: None)
    command = up.Command()
    command.console = Console(file=Full())

    command._run([], lock=0, verbose=False)

    assert len(stopped) == 1


def test_without_room_for_its_first_process_it_ends_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    def no_room() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    settings.RUN_DIR = tmp_path
    settings.ADDRESSES = dict.fromkeys(settings.ADDRESSES, "somewhere")
    monkeypatch.setattr(Supervisor, "start_servers", lambda _supervisor: None)
    monkeypatch.setattr(up, "preload", lambda: None)
    monkeypatch.delitem(sys.modules, "twisted.internet.reactor", raising=False)
    monkeypatch.setattr(os, "fork", no_room)

    with pytest.raises(CommandError, match=r"no process .*: Resource temporarily unavailable") as ended:
        call_command("up", only="beat")

    assert ended.value.returncode == 1


def test_a_second_one_in_the_folder_is_told_so_and_not_of_the_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    settings.RUN_DIR = tmp_path
    monkeypatch.setattr(up, "why_not_listen", lambda _host, _port: "the port is taken")

    with embedded.lock(tmp_path), pytest.raises(CommandError, match=r"another `manage\.py up` uses"):
        call_command("up", only="web")
    with pytest.raises(CommandError, match="the port is taken"):
        call_command("up", only="web")
