"""A private stack for a proof: its own folder, servers and processes, started and stopped by the proof."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


class StackFailed(RuntimeError):
    """The private stack did not come up, or did not get done in time."""


class Stack:
    """`manage.py up` in a folder of its own. As a context manager it stops and removes what it started."""

    def __init__(self, *, environment: Mapping[str, str], without: str = "web,beat") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="alphapanda-proof-", ignore_cleanup_errors=True)
        self.run_dir = Path(self._folder.name)
        self._environment = environment
        self._without = without
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stack:
        """Start, and point this process's database connection at the private database."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
        own = {"ALPHAPANDA_RUN_DIR": str(self.run_dir), "ALPHAPANDA_DATA": str(settings.DATA)}
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"]
        with (self.run_dir / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *([f"--without={self._without}"] if self._without else [])],
                env={**kept, **own, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait(lambda: self.is_ready, "the stack to come up", START_TIMEOUT_S)
        except BaseException:
            self.__exit__()
            raise
        self._enter_database()
        return self

    def __exit__(self, *_error: object) -> None:
        connection.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._folder.cleanup()

    def _enter_database(self) -> None:
        from alphapanda.embedded import places

        connection.close()
        connection.settings_dict["HOST"] = str(places.postgres_socket_dir(self.run_dir))

    # what runs

    def table(self) -> dict[str, Any]:
        """RUN_DIR/processes.json; empty before it is there."""
        try:
            found: dict[str, Any] = json.loads((self.run_dir / "processes.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    @property
    def is_ready(self) -> bool:
        return bool(self.table().get("ready"))

    def pids(self, kind: str) -> dict[str, int]:
        """Running processes of a kind (`role` or `server`) by name."""
        rows = self.table().get("processes", [])
        return {row["role"]: row["pid"] for row in rows if row["kind"] == kind and row["pid"]}

    def restarts(self) -> dict[str, int]:
        return {row["role"]: row["restarts"] for row in self.table().get("processes", [])}

    def kill(self, name: str) -> bool:
        """SIGKILL a process by its recorded pid; False where it is not running just now."""
        pid = (self.pids("role") | self.pids("server")).get(name)
        if not pid:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def wait(self, is_done: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait for a condition. Raises StackFailed with the end of the log."""
        deadline = time.monotonic() + timeout_s
        while not is_done():
            if self._process is not None and self._process.poll() is not None:
                raise StackFailed(f"the stack ended while waiting for {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StackFailed(f"waited {timeout_s:.0f} s for {what}\n{self.tail()}")
            time.sleep(0.1)

    def tail(self) -> str:
        """The last lines of every log."""
        logs = [self.run_dir / "up.log", *sorted((self.run_dir / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            for log in logs
            if log.exists()
        )
