"""The fork server behind `manage.py up`: starts every process, revives the dead, stops all in order.

The parent imports what is heavy once and opens no connection and no thread; children are forks of it.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from alphapanda import embedded
from alphapanda.embedded.server import die_with_parent
from alphapanda.processes import Role

WAITED_FOR = {signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
STOP_TIMEOUT_S = 5.0
SETTLED_AFTER_S = 1.0  # a child that lived this long starts again at once
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.1, 5.0
TICK_S = 0.5
LOG_BYTES_MAX = 32 * 1024 * 1024  # of each process, kept twice
PROCESSES_FILE = "processes.json"
PR_SET_NAME = 15


class NotForkable(RuntimeError):
    """Something has made a Twisted reactor in the parent: every fork would share its descriptors."""


@dataclass(slots=True)
class Child:
    """One supervised process and its history."""

    role: Role
    pid: int = 0
    started_at: float = 0.0
    restarts: int = -1
    delay_s: float = 0.0
    due_at: float = 0.0

    def has_died(self, now: float) -> None:
        """Plan the next start: at once after a settled life or the first death, later and later otherwise."""
        quick = now - self.started_at < SETTLED_AFTER_S
        again = quick and self.restarts > 0
        self.delay_s = min(max(self.delay_s * 2, BACKOFF_MIN_S), BACKOFF_MAX_S) if again else 0.0
        self.pid, self.due_at = 0, now + self.delay_s


class Supervisor:
    """Owns RUN_DIR's processes; `serve` returns when a signal has ended them all.

    `notice` is told, in words, of what the operator should know; `changed` is called when the table changes;
    `renew`, in a fork, makes a new embedded log ready before anybody meets it.
    """

    def __init__(
        self,
        *,
        run_dir: Path,
        roles: Sequence[Role],
        servers: Sequence[str] = (),
        verbose: bool = False,
        lock: int | None = None,
        notice: Callable[[str], None] = lambda _text: None,
        changed: Callable[[list[dict[str, object]]], None] = lambda _rows: None,
        renew: Callable[[], None] = lambda: None,
    ) -> None:
        self.run_dir = run_dir
        self.children = [Child(role) for role in roles]
        self.servers = embedded.make(run_dir, servers)
        self.server_restarts = dict.fromkeys(servers, 0)
        self.verbose = verbose
        self.notice = notice
        self.changed = changed
        self.renew = renew
        self.lock = lock
        self.is_ready = False
        self.stopping: list[int] = []
        self._written = ""
        self._complaints: set[str] = set()

    def start_servers(self) -> None:
        """Block the signals that `serve` waits for and start the embedded servers."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
        for server in self.servers.values():
            server.start()
        self._publish()

    def once(self, work: Callable[[], None]) -> int:
        """Run `work` in a fork that keeps the console, and return its exit status."""
        pid = self._fork(work, name="once", log=None)
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if self._interrupted(0.05):
                os.kill(pid, signal.SIGTERM)

    def serve(self) -> None:
        """Keep everything running until SIGINT, SIGTERM or SIGHUP."""
        gc.collect()
        gc.freeze()  # the collector would otherwise write to, and so copy, every shared page
        while not self.stopping:
            self._revive_servers()
            self._reap()
            self._start_due()
            self.is_ready = all(child.pid for child in self.children)
            self._publish()
            self._trim_logs()
            self._interrupted(self._next_due())

    def stop(self) -> None:
        """End all in order, each with a deadline; a second SIGINT kills what is left."""
        self.is_ready = False
        for rank in sorted({child.role.stops for child in self.children}):
            self._stop_group([child for child in self.children if child.role.stops == rank])
        for server in reversed(self.servers.values()):
            server.stop()
        (self.run_dir / PROCESSES_FILE).unlink(missing_ok=True)

    def rows(self) -> list[dict[str, object]]:
        """Every process as health and the harnesses read it."""
        servers = [
            _row(name, "server", server.pid or 0, server.started_at, self.server_restarts[name])
            for name, server in self.servers.items()
        ]
        return servers + [
            _row(c.role.name, "role", c.pid, c.started_at, max(c.restarts, 0)) for c in self.children
        ]

    def _interrupted(self, timeout_s: float) -> bool:
        """Wait for a child's end or a signal to stop; remember the latter."""
        info = signal.sigtimedwait(WAITED_FOR, timeout_s)
        if info and info.si_signo != signal.SIGCHLD:
            self.stopping.append(info.si_signo)
            return True
        return False

    def _next_due(self) -> float:
        now = time.time()
        return min([max(child.due_at - now, 0.0) for child in self.children if not child.pid] + [TICK_S])

    def _start_due(self) -> None:
        for child in self.children:
            if not child.pid and child.due_at <= time.time():
                self._start(child)

    def _start(self, child: Child) -> None:
        log = None if self.verbose else self._log_of(child)
        try:
            child.pid = self._fork(child.role.run, name=child.role.name, log=log)
        except OSError as error:
            child.due_at = time.time() + BACKOFF_MAX_S
            self._complain(f"{child.role.name} cannot be started: {error.strerror}")
            return
        child.started_at = time.time()
        child.restarts += 1

    def _trim_logs(self) -> None:
        """Set a log that has grown large aside, in place: its writers append to the open file. What has no room
        beside it goes: the disk is the database's too."""
        for path in (self.run_dir / "logs").glob("*.log"):
            if path.stat().st_size > LOG_BYTES_MAX:
                try:
                    shutil.copyfile(path, path.with_suffix(".log.1"))
                except OSError as error:
                    self._complain(f"{path.name} is emptied, not set aside: {error.strerror}")
                os.truncate(path, 0)

    def _log_of(self, child: Child) -> Path:
        return self.run_dir / "logs" / f"{child.role.name}.log"

    def _reap(self) -> None:
        for child in self.children:
            code = _ended(child.pid) if child.pid else None
            if code is not None:
                child.has_died(time.time())
                again = f"in {child.delay_s:.1f} s" if child.delay_s else "at once"
                self._say(f"{child.role.name} ended ({_words(code)}), starts again {again}")

    def _revive_servers(self) -> None:
        for name, server in self.servers.items():
            if server.is_running():
                continue
            self._say(f"{name} ended, starts again")
            try:
                server.start()
            except embedded.DidNotStart as error:
                self._say(str(error))
                continue
            self.server_restarts[name] += 1
            if name == "kafka":
                self._renew_all()

    def _renew_all(self) -> None:
        """A new embedded log has a new address and no memory: whoever holds the old one begins anew."""
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
        try:
            is_ready = self.once(self.renew) == 0
        except OSError as error:  # no room for a process
            self._say(f"the new log cannot be made ready: {error.strerror}")
            return
        if not is_ready and not self.stopping:
            self._say("the new log could not be made ready: see above")

    def _stop_group(self, group: list[Child]) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        _signal(group, signal.SIGTERM)
        while any(child.pid for child in group):
            for child in group:
                if child.pid and _ended(child.pid) is not None:
                    child.pid = 0
            self._interrupted(0.02)
            if time.monotonic() > deadline or self.stopping[1:]:
                _signal(group, signal.SIGKILL)

    def _fork(self, work: Callable[[], None], *, name: str, log: Path | None) -> int:
        if "twisted.internet.reactor" in sys.modules:
            raise NotForkable("twisted.internet.reactor is imported: import kiteconnect and daphne lazily")
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(work, name=name, log=log, parent=parent, lock=self.lock)
        return pid

    def _publish(self) -> None:
        """Write RUN_DIR/processes.json, whole or not at all, when something changed."""
        rows = self.rows()
        text = json.dumps({"supervisor": os.getpid(), "ready": self.is_ready, "processes": rows}, indent=1)
        if text == self._written:
            return
        self.changed(rows)
        draft = self.run_dir / f"{PROCESSES_FILE}.tmp"
        try:
            draft.write_text(text)
            draft.replace(self.run_dir / PROCESSES_FILE)
        except OSError as error:
            self._complain(f"{PROCESSES_FILE} is not up to date: {error.strerror}")
            return
        self._written = text
        self._complaints.clear()

    def _complain(self, text: str) -> None:
        """Tell, once, of what the machine does not give: it is tried again, and no reason to end what runs."""
        if text not in self._complaints:
            self._say(text)
        self._complaints.add(text)

    def _say(self, text: str) -> None:
        """Tell the operator; a console that is a file on the full disk takes nothing, which ends nothing either."""
        with suppress(OSError):
            self.notice(text)


def why_not_listen(host: str, port: int) -> str:
    """Why the web process could not listen there now, and the setting that is to change; empty: it could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"{host}:{port} is taken: set ALPHAPANDA_PORT"
            if error.errno == errno.EACCES:
                return f"{host}:{port} may not be listened on: set ALPHAPANDA_PORT to one from 1024 up"
            return f"{host} is no address of this machine ({error.strerror}): set ALPHAPANDA_HOST"
    return ""


def _row(name: str, kind: str, pid: int, started: float, restarts: int) -> dict[str, object]:
    return {"role": name, "kind": kind, "pid": pid, "started": round(started, 3), "restarts": restarts}


def _ended(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _signal(group: list[Child], sig: int) -> None:
    for child in group:
        if child.pid:
            os.kill(child.pid, sig)


def _words(code: int) -> str:
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name


def _become(
    work: Callable[[], None], *, name: str, log: Path | None, parent: int, lock: int | None
) -> NoReturn:
    """Turn a fresh fork into the process of a role; never returns."""
    code = 1
    try:
        os.setsid()
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        if lock is not None:
            os.close(lock)  # RUN_DIR is the supervisor's, and free when that is gone
        ctypes.CDLL(None).prctl(PR_SET_NAME, f"panda {name}".encode()[:15], 0, 0, 0)
        _reset_signals()
        if log:
            _redirect(log)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End this fork, whatever becomes of its last lines: one that went on would supervise beside its parent."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _reset_signals() -> None:
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _redirect(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
