"""The supervisor, on dummy roles in a process of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from alphapanda import embedded, supervisor
from alphapanda.processes import Role
from alphapanda.stack import NotOurs, Stack
from alphapanda.supervisor import Supervisor

Build = Callable[..., Stack]
PROGRAM = str(Path(__file__).with_name("dummies.py"))


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ap-sup-") as folder:
        yield Path(folder)


@pytest.fixture
def build(run_dir: Path) -> Iterator[Build]:
    started: list[Stack] = []

    def make(roles: str, servers: str = "") -> Stack:
        stack = Stack(run_dir, command=[sys.executable, PROGRAM, str(run_dir), roles, servers])
        started.append(stack)
        return stack

    yield make
    for stack in started:
        stack.stop()


def alive(pids: dict[str, int]) -> list[str]:
    return [name for name, pid in pids.items() if psutil.pid_exists(pid)]


def test_a_killed_role_is_started_again_at_once(build: Build) -> None:
    stack = build("obedient")
    stack.start()

    first = stack.kill("obedient")
    second = stack.wait_restarted("obedient", first, timeout_s=5)

    assert second != first
    assert stack.restarts() == {"obedient": 1}


def test_it_stops_in_order_and_leaves_nothing(build: Build, run_dir: Path) -> None:
    stack = build("obedient", "redis,kafka")
    stack.start()
    pids = stack.pids()
    assert alive(pids) == ["redis", "kafka", "obedient"]

    status = stack.stop()

    assert status == 0
    assert alive(pids) == []
    assert not (run_dir / "processes.json").exists()
    assert not (run_dir / "kafka.address").exists()


def test_a_second_interrupt_kills_what_does_not_end(build: Build) -> None:
    stack = build("stubborn")
    stack.start()
    pids = stack.pids()
    assert stack.process

    stack.process.send_signal(signal.SIGINT)
    stack.process.send_signal(signal.SIGTERM)
    status = stack.process.wait(4)  # below the deadline of an orderly stop

    assert status == 0
    assert alive(pids) == []


def test_a_role_that_cannot_run_costs_itself_only(build: Build) -> None:
    stack = build("obedient,failing")
    stack.launch()

    stack.wait(lambda: stack.restarts().get("failing", 0) >= 3, timeout_s=10, what="restarts")

    assert stack.restarts()["obedient"] == 0
    assert "this role cannot run" in (stack.run_dir / "logs" / "failing.log").read_text()


def test_a_role_whose_last_words_find_no_room_costs_itself_only(build: Build, run_dir: Path) -> None:
    log = run_dir / "logs" / "talking.log"
    log.parent.mkdir()
    log.symlink_to("/dev/full")
    stack = build("obedient,talking")
    stack.launch()

    stack.wait(lambda: stack.restarts().get("talking", 0) >= 3, timeout_s=10, what="restarts")

    assert stack.restarts()["obedient"] == 0


def test_children_die_with_a_killed_supervisor(build: Build) -> None:
    stack = build("obedient", "redis")
    stack.start()
    children = [psutil.Process(pid) for pid in stack.pids().values()]
    assert stack.process

    stack.process.kill()

    gone, left = psutil.wait_procs(children, timeout=5)
    assert (len(gone), left) == (2, [])


def test_a_dead_log_is_renewed_with_all_who_held_it(build: Build) -> None:
    stack = build("obedient", "kafka")
    stack.start()
    holder, address = stack.pids()["obedient"], (stack.run_dir / "kafka.address").read_text()

    stack.kill_server("kafka")
    stack.wait_restarted("obedient", holder, timeout_s=10)

    assert (stack.run_dir / "renewed").exists()
    assert (stack.run_dir / "kafka.address").read_text() != address
    assert stack.restarts() == {"kafka": 1, "obedient": 1}


def test_one_supervisor_to_a_folder(build: Build, run_dir: Path) -> None:
    build("obedient").start()

    second = subprocess.run(
        [sys.executable, PROGRAM, str(run_dir), "obedient", ""], capture_output=True, text=True, check=False
    )

    assert second.returncode != 0
    assert "another `manage.py up` uses" in second.stderr


def test_a_stranger_is_not_killed(build: Build, run_dir: Path) -> None:
    stack = build("obedient")
    stack.start()
    path = run_dir / "processes.json"
    path.write_text(path.read_text().replace(f'"pid": {stack.pids()["obedient"]}', f'"pid": {os.getpid()}'))

    with pytest.raises(NotOurs):
        stack.kill("obedient")


def full(*_args: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    told: list[str] = []
    log = run_dir / "logs" / "web.log"
    log.parent.mkdir()
    log.write_text("1234")
    one = Supervisor(run_dir=run_dir, roles=[], notice=told.append)
    monkeypatch.setattr(supervisor, "LOG_BYTES_MAX", 3)
    monkeypatch.setattr(supervisor.shutil, "copyfile", full)
    monkeypatch.setattr(Path, "write_text", full)

    for _ in range(3):
        one._publish()
        one._trim_logs()

    assert told == [
        "processes.json is not up to date: No space left on device",
        "web.log is emptied, not set aside: No space left on device",
    ]
    assert log.read_text() == ""
    monkeypatch.undo()
    one._publish()
    assert (run_dir / "processes.json").exists()


def test_a_machine_without_room_for_a_process_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, run_dir: Path
) -> None:
    told: list[str] = []
    one = Supervisor(run_dir=run_dir, roles=[Role("web", lambda: None, stops=1)], notice=told.append)
    monkeypatch.setattr(one, "_fork", full)

    one._start_due()

    [child] = one.children
    assert (child.pid, told) == (0, ["web cannot be started: No space left on device"])
    assert child.due_at > time.time()


def test_a_console_on_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    one = Supervisor(run_dir=run_dir, roles=[Role("web", lambda: None, stops=1)], notice=full)
    [child] = one.children
    with monkeypatch.context() as world:
        world.delitem(sys.modules, "twisted.internet.reactor", raising=False)
        world.setattr(os, "fork", lambda: 4321)
        world.setattr(sys.stdout, "flush", full)
        one._start_due()
    assert child.pid == 4321

    monkeypatch.setattr(supervisor, "_ended", lambda _pid: 1)
    one._reap()

    assert child.pid == 0


def test_a_log_for_whose_renewal_there_is_no_process_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, run_dir: Path
) -> None:
    told: list[str] = []
    one = Supervisor(run_dir=run_dir, roles=[], notice=told.append)
    monkeypatch.setattr(one, "_fork", full)

    one._renew_all()

    assert told == ["the new log cannot be made ready: No space left on device"]


def test_a_server_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch, run_dir: Path) -> None:
    [server] = embedded.make(run_dir, ["redis"]).values()
    monkeypatch.setattr(server, "prepare", full)
    with pytest.raises(embedded.DidNotStart, match="redis did not start: No space left on device"):
        server.start()

    def failed() -> None:
        raise subprocess.CalledProcessError(1, ["initdb"])

    monkeypatch.setattr(server, "prepare", failed)
    server.log_path.write_text("could not extend file: No space left")
    with pytest.raises(embedded.DidNotStart, match="could not extend file: No space left"):
        server.start()
