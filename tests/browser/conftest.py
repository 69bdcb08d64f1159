"""One web process, one Chromium and one desk with a morning of trading for all tests of the folder. They leave the
desk as they found it, but for rows that they add. What needs the app registry is imported where it is used: this file
is read before there is one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase

from alphapanda.proof import browser
from alphapanda.proof.browser import Person
from alphapanda.proof.kite_process import free_port
from alphapanda.push.connection import client
from alphapanda.web.roles import Role

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
PATIENCE_MS = 15_000  # of a slow machine, not of a person


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """The desk stays: what is remembered of it is right for every test here."""


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Where no browser can be driven, the tests say why."""
    if problem := browser.why_not():
        pytest.skip(f"NOT TESTED IN A BROWSER: {problem}")
    with browser.chromium() as running:
        yield running


@pytest.fixture(scope="package")
def desk(chromium: Any, django_db_setup: None, django_db_blocker: Any) -> Iterator[SimpleNamespace]:
    """Committed rows, for the web process sees no others. They stay from test to test."""
    from tests.browser import desk as desks

    client().flushdb()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: None)
        with django_db_blocker.unblock():
            there = desks.traded()
        yield there
    with django_db_blocker.unblock():
        TransactionTestCase._fixture_teardown(None)  # as tests/conftest.py has it
        connection.close()
    client().flushdb()


@dataclass
class Web:
    """The web process. Its way to Redis can be cut."""

    root: str
    process: subprocess.Popen[bytes]
    redis: Path
    redis_there: Path

    def cut_redis(self) -> None:
        self.redis.unlink()
        self.hang_up()

    def hang_up(self) -> None:
        """Every open connection to our number of the Redis ends."""
        number = str(client().connection_pool.connection_kwargs.get("db", 0))
        for one in client().client_list():
            if one["db"] == number:
                client().client_kill_filter(_id=one["id"])

    def mend_redis(self) -> None:
        self.redis.symlink_to(self.redis_there)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="package")
def web(desk: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    there, _, number = settings.REDIS_URL.removeprefix("unix://").partition("?")
    redis = folder / "redis.sock"
    redis.symlink_to(there)
    environment = os.environ | {
        "ALPHAPANDA_PORT": str(port),
        "ALPHAPANDA_REDIS_URL": f"unix://{redis}?{number or 'db=0'}",
        "ALPHAPANDA_BROKERS": "paper,zerodha",
    }
    command = [sys.executable, "-m", "tests.browser.serving", connection.settings_dict["NAME"]]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder / "web.log")
        yield Web(f"http://127.0.0.1:{port}", process, redis, Path(there))
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"the web process does not listen\n{log.read_text()}"
            time.sleep(0.05)


@pytest.fixture(scope="package")
def sessions(desk: SimpleNamespace, django_db_blocker: Any) -> dict[Role, dict[str, Any]]:
    """A login for each role, as a browser keeps it."""
    from tests.browser import desk as desks

    with django_db_blocker.unblock():
        return {role: desks.logged_in(role) for role in Role}


@pytest.fixture
def people(chromium: Any, web: Web, sessions: Any) -> Iterator[Callable[..., Person]]:
    """Opens windows, and closes them after the test."""
    there: list[Person] = []

    def enter(role: Role = Role.OPERATOR, **context: Any) -> Person:
        given = {"storage_state": sessions[role], "reduced_motion": "reduce"} | context
        there.append(Person(chromium, web.root, **given))
        there[-1].page.set_default_timeout(PATIENCE_MS)
        return there[-1]

    yield enter
    for person in there:
        person.close()


@pytest.fixture
def operator(people: Callable[..., Person]) -> Person:
    return people()
