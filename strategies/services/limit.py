"""A strategy that does not come back is stopped, and only it stands still.

What computes for ever in Python, or in C code that looks at signals (a regular expression does), is interrupted: a
timer of computing time ticks four times within the limit, and where all of them fell into one step it raises
`StrategyHung` in the strategy. Computing time, so that a machine that is slow, asleep or busy with others stops
nobody. What never comes back to Python at all is ended with its whole process after four times the limit by the
clock: a thread of C, which needs no interpreter, writes down where it was and exits. The next process of the shard
finds that note; a second one of the same deployment within ten minutes quarantines it."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import msgspec

from alphapanda import logs

TICKS = 4
ENDS_AFTER = 4  # limits, by the clock
RAISES_MAX = 3  # a strategy that catches its end is ended with the process
AGAIN_WITHIN_S = 600.0
FRAMES = 6
BYTES_OF_TRACE_MAX = 8_000

log = logs.channel("trading")


class StrategyHung(BaseException):
    """A strategy was interrupted; the text says where. No Exception, so that no strategy catches it by the way."""


class Note(msgspec.Struct, frozen=True):
    """How often a deployment took its process with it, and when last (seconds since the epoch)."""

    deployment_id: UUID
    count: int
    at_s: float


class TimeLimit:
    """The limit of one shard's worker; notes lie in `folder`. It works in the main thread only, elsewhere it does
    nothing: only there can Python be interrupted."""

    def __init__(
        self, folder: Path, number: int, *, seconds: float, ends_after: int = ENDS_AFTER, says: bool = False
    ) -> None:
        """A process is ended after `ends_after` limits by the clock; `says`: on its standard error, not in a note."""
        folder.mkdir(parents=True, exist_ok=True)
        self.seconds = seconds
        self.ends_after_s = ends_after * seconds
        self._says = says
        self._at = folder / f"{number}.at"  # which deployment is folded now
        self._trace = folder / f"{number}.trace"
        self._note = folder / f"{number}.json"
        self._subject: UUID | None = None
        self._noted_subject: UUID | None = None
        self._step_of: Callable[[], int] = lambda: 0
        self._step = 0
        self._ticks = 0
        self._raises = 0
        self._armed_at = 0.0
        self._is_armed = False
        self._files: tuple[int, Any] | None = None

    @contextmanager
    def over(self, deployment_id: UUID, step_of: Callable[[], int] = lambda: 0) -> Iterator[None]:
        """Within, the limit is on for each step; `step_of` tells where the deployment is. Raises StrategyHung."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.signal(signal.SIGVTALRM, self._tick)  # and left there: by default a late tick would be the end
        self._subject, self._step_of = deployment_id, step_of
        self._step, self._ticks, self._raises = step_of(), 0, 0
        signal.setitimer(signal.ITIMER_VIRTUAL, self.seconds / TICKS, self.seconds / TICKS)
        try:
            yield
        finally:
            self._subject = None  # first: a tick may still be on its way
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    @contextmanager
    def throughout(self, deployment_id: UUID, step_of: Callable[[], int] = lambda: 0) -> Iterator[None]:
        """As `over`, and all of it has its time by the clock too, anew from step to step: for who folds no
        messages one by one. Raises StrategyHung."""
        with self.over(deployment_id, step_of):
            self.touch()
            try:
                yield
            finally:
                self.disarm()

    def touch(self) -> None:
        """The deployment is about to fold a message: from now on it has its time by the clock. Cheap."""
        if self._subject is None:
            return
        at, _ = self._open()
        if self._subject != self._noted_subject:  # whoever is ended is named in the file
            os.pwrite(at, str(self._subject).encode(), 0)
            self._noted_subject = self._subject
        now = time.monotonic()
        if not self._is_armed or now - self._armed_at >= self.seconds / 2:
            self._arm(now)

    def _arm(self, now: float) -> None:
        _, trace = self._open()
        faulthandler.dump_traceback_later(self.ends_after_s, exit=True, file=trace)
        self._is_armed, self._armed_at = True, now

    def disarm(self) -> None:
        """Nobody is folded: whatever takes its time now is no strategy."""
        if self._is_armed:
            faulthandler.cancel_dump_traceback_later()
            self._is_armed = False

    def last_words(self, *, now_s: float) -> tuple[UUID, str] | None:
        """The deployment that took the process before this one with it for the second time, and where it was;
        None where the process ended otherwise, or for the first time. Forgets what it has read."""
        text = _read(self._trace)
        if not text.strip():
            return None
        # of several threads the main one, in which strategies run, comes last
        subject, trace = _read(self._at), text.strip().rpartition("\n\n")[2][:BYTES_OF_TRACE_MAX]
        self._trace.unlink(missing_ok=True)
        try:
            deployment_id = UUID(subject)
        except ValueError:
            return None
        log.error("strategies.worker.ended", deployment=str(deployment_id), trace=trace[-300:])
        note = self._noted(deployment_id, now_s)
        if note.count < 2:
            return None
        self._note.unlink(missing_ok=True)
        words = f"did not come back within {self.ends_after_s:g} s, twice; its process was ended\n{trace}"
        return deployment_id, words

    def _noted(self, deployment_id: UUID, now_s: float) -> Note:
        try:
            before = msgspec.json.decode(_read(self._note), type=Note)
        except msgspec.MsgspecError:
            before = Note(deployment_id, 0, now_s)
        is_again = before.deployment_id == deployment_id and now_s - before.at_s <= AGAIN_WITHIN_S
        note = Note(deployment_id, before.count + 1 if is_again else 1, now_s)
        self._note.write_bytes(msgspec.json.encode(note))
        return note

    def _open(self) -> tuple[int, Any]:
        if self._files is None:
            at = os.open(self._at, os.O_RDWR | os.O_CREAT, 0o600)
            self._files = at, sys.__stderr__ if self._says else self._trace.open("w")
        return self._files

    def _tick(self, _signal: int, frame: FrameType | None) -> None:
        """A quarter of the limit was computed."""
        if self._subject is None:
            return
        step = self._step_of()
        if step != self._step:
            self._step, self._ticks = step, 0
            if self._is_armed:
                self._arm(time.monotonic())
        self._ticks += 1
        if self._ticks <= TICKS:  # the first tick of a step may come right after its beginning
            return
        self._raises += 1
        if self._raises > RAISES_MAX:
            _, trace = self._open()
            faulthandler.dump_traceback(trace, all_threads=False)
            sys.stderr.write(
                f"A strategy did not come back and caught its end {RAISES_MAX} times. It was at\n"
            )
            faulthandler.dump_traceback(sys.__stderr__, all_threads=False)
            os._exit(1)
        stack = "".join(traceback.format_stack(frame)[-FRAMES:])
        raise StrategyHung(f"did not come back within {self.seconds:g} s of computing; it was at\n{stack}")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
