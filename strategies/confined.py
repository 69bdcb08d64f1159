"""Code of strategies at work in a process of its own, with a time limit: what raises, hangs or crashes there costs that
process only."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).resolve().parent.parent
START_S = 20.0  # of a process, on a machine that is busy


class TimeIsUp(BaseException):
    """What is at work takes too long."""


def ask(module: str, given: bytes, *, limit_s: float) -> bytes:
    """What `python -m MODULE` says to what it is given, up to where it ended; one that does not come back in twice the
    limit is ended. It is told nothing of our environment."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", module],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            timeout=START_S + 2 * limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return error.stdout or b""
    return ran.stdout


def answer_to() -> BinaryIO:
    """In such a process: where its answer goes. What code prints from now on is no answer."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, _raise)
    return answer


@contextmanager
def within(limit_s: float) -> Iterator[None]:
    """In such a process: raises TimeIsUp in what takes longer; what never comes back to Python ends the process."""
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(2 * limit_s, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _raise(*_given: Any) -> None:
    raise TimeIsUp
