"""One embedded server: a child process that dies with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.01


class DidNotStart(RuntimeError):
    """A server did not become ready in time; the message holds the end of its log."""


def die_with_parent(sig: int) -> None:
    """Ask the kernel to send `sig` to this process when the thread that forked it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Server:
    """Start, stop and kill of one process; the kinds say which command, when it is ready and how it ends.

    Start it from a thread that lives as long as it should.
    """

    name: str
    stop_signal = signal.SIGTERM
    orphan_signal = signal.SIGTERM  # when the supervisor has died
    user: int | None = None  # the uid to run as

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.log_path = run_dir / "logs" / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    def prepare(self) -> None:
        """Make what the process needs; called before each start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def clean(self) -> None:
        """Remove what the process leaves behind; called when it has ended."""

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.is_running() and self.process else None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start and wait until ready; an early death is tried again, raises DidNotStart in the end."""
        try:
            self._start()
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise DidNotStart(f"{self.name} did not start: {why}\n{self._log_tail()}") from None

    def _start(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.prepare()
        while time.monotonic() < deadline:
            if not self.is_running():
                self._spawn()
            if self._await(self.is_ready, min(deadline, time.monotonic() + 1)):
                return
        self.kill()
        raise DidNotStart(f"{self.name} did not start:\n{self._log_tail()}")

    def stop(self) -> None:
        """End it cleanly; killed when it takes longer than the deadline."""
        if self.process and self.is_running():
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.clean()

    def kill(self) -> None:
        """SIGKILL, for tests and as the last resort."""
        if self.process and self.is_running():
            self.process.kill()
            self.process.wait()

    def _spawn(self) -> None:
        self.clean()
        with self.log_path.open("ab") as log:
            self.process = self._popen(log)
        self.started_at = time.time()

    def _popen(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        parent = os.getpid()

        def in_child() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the supervisor blocks what it waits for
            die_with_parent(self.orphan_signal)
            if os.getppid() != parent:
                os._exit(1)

        return subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            start_new_session=True,  # Ctrl-C on the terminal reaches the supervisor only
            preexec_fn=in_child,  # noqa: PLW1509
        )

    def _await(self, done: Callable[[], bool], deadline: float) -> bool:
        while time.monotonic() < deadline and self.is_running():
            if done():
                return True
            time.sleep(POLL_S)
        return False

    def _log_tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-2000:] if self.log_path.exists() else ""
