"""A whole platform of one's own, for the harnesses that measure it and kill its parts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from alphapanda.embedded.server import die_with_parent
from alphapanda.supervisor import PROCESSES_FILE

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.02


class StackFailed(RuntimeError):
    """The stack ended or was not ready in time; the message holds the end of its output."""


class NotOurs(RuntimeError):
    """A recorded process is not a child of this stack's supervisor: nothing is killed."""


class Stack:
    """`manage.py up` on a RUN_DIR of its own, as a child process, configured by `env` alone.

    `roles` are the only ones to start (all, if empty), `without` those to leave out. This process's
    own variables ALPHAPANDA_* do not reach it.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        roles: Sequence[str] = (),
        without: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self.run_dir = run_dir.resolve()
        self.env = dict(env or {})
        up = [sys.executable, str(ROOT / "manage.py"), "up"]
        up += ["--only", ",".join(roles)] if roles else []
        up += ["--without", ",".join(without)] if without else []
        self.command = list(command) or up
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, timeout_s: float = 60.0) -> None:
        """Launch and wait until every role runs and the web process, if any, answers.

        Raises StackFailed, and leaves nothing running then.
        """
        self.launch()
        try:
            self.wait(self.is_ready, timeout_s=timeout_s, what="readiness")
        except StackFailed:
            self.stop()
            raise

    def launch(self) -> None:
        """Start without waiting; it ends with the thread that called this, however that ends."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        outer = {name: value for name, value in os.environ.items() if not name.startswith("ALPHAPANDA_")}
        with (self.run_dir / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**outer, "ALPHAPANDA_RUN_DIR": str(self.run_dir), **self.env},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509  one call, no lock
            )

    def is_ready(self) -> bool:
        state = self._state()
        return bool(state.get("ready")) and ("web" not in self.pids() or self._web_answers())

    def pids(self) -> dict[str, int]:
        """Process id by role or server; 0 while it is down."""
        return {row["role"]: row["pid"] for row in self._state().get("processes", [])}

    def restarts(self) -> dict[str, int]:
        """How often each role or server was started again."""
        return {row["role"]: row["restarts"] for row in self._state().get("processes", [])}

    def kill(self, role: str) -> int:
        """SIGKILL the process of a role and return its id, 0 when it was down; raises NotOurs."""
        pid = self.pids()[role]
        if not pid:
            return 0
        try:
            if psutil.Process(pid).ppid() != self._supervisor:
                raise NotOurs(f"{role}, process {pid}")
            os.kill(pid, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError):
            return 0
        return pid

    def kill_server(self, name: str) -> int:
        """SIGKILL an embedded server: postgres, redis or kafka; as `kill`."""
        return self.kill(name)

    def wait_restarted(self, role: str, pid: int, *, timeout_s: float = 30.0) -> int:
        """Wait until a process other than `pid` runs the role and return its id; raises StackFailed."""
        self.wait(lambda: self.pids().get(role, 0) not in (0, pid), timeout_s=timeout_s, what=f"a new {role}")
        return self.pids()[role]

    def wait(self, done: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Wait for a condition while the stack lives; raises StackFailed."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if self.process is None or self.process.poll() is not None:
                raise StackFailed(f"the stack ended while waiting for {what}\n{self.output()}")
            if time.monotonic() > deadline:
                raise StackFailed(f"no {what} within {timeout_s:.0f} s\n{self.output()}")
            time.sleep(POLL_S)

    def stop(self, *, timeout_s: float = 60.0) -> int:
        """Stop in order and return the supervisor's exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def output(self) -> str:
        """The end of what `up` has said."""
        path = self.run_dir / "up.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    @property
    def _supervisor(self) -> int:
        return self.process.pid if self.process else 0

    def _state(self) -> dict[str, Any]:
        """The supervisor's own account; none while the file is another's, left by a run that was killed."""
        try:
            state: dict[str, Any] = json.loads((self.run_dir / PROCESSES_FILE).read_text())
        except FileNotFoundError:
            return {}
        return state if state["supervisor"] == self._supervisor else {}

    def _web_answers(self) -> bool:
        where = (self.env.get("ALPHAPANDA_HOST", "127.0.0.1"), int(self.env.get("ALPHAPANDA_PORT", "8000")))
        try:
            socket.create_connection(where, 1).close()
        except OSError:
            return False
        return True
