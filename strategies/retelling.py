"""Indicators told again in a process of their own, with a time limit: a strategy that raises, hangs or crashes there
costs that process only.

`python -m strategies.retelling` reads one task from standard input and writes one answer."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from marketdata.domain.bars import Bar
from strategies.domain.base import build
from strategies.domain.codes import Code, loaded
from strategies.domain.retelling import Told, retold

ROOT = Path(__file__).resolve().parent.parent
START_S = 20.0  # of a process, on a machine that is busy


class Task(msgspec.Struct, frozen=True):
    """A strategy with its parameters, and the bars that it is to see, in the order in which they close."""

    code: Code
    name: str
    params: dict[str, Any]
    bars: list[Bar]
    instrument: str


class Answer(msgspec.Struct, frozen=True):
    """What its indicators said at each bar, or what went wrong."""

    told: list[Told] = []
    fault: str = ""


class _TimeIsUp(BaseException):
    """A strategy takes too long."""


def told_again(task: Task, *, limit_s: float) -> Answer:
    """The indicators of a strategy over bars. A process that does not come back is ended."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "strategies.retelling"],
            input=msgspec.msgpack.encode([limit_s, task]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            timeout=START_S + 2 * limit_s,
            check=False,
        )
        return msgspec.msgpack.decode(ran.stdout, type=Answer)
    except (subprocess.TimeoutExpired, msgspec.MsgspecError):
        return Answer(fault=f"the process that asked it crashed, or took longer than {limit_s:g} s")


def _main() -> None:
    limit_s, task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=tuple[float, Task])
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a strategy prints is no answer
    signal.signal(signal.SIGALRM, _raise)
    answer.write(msgspec.msgpack.encode(_answer(task, limit_s)))
    answer.flush()


def _raise(*_given: Any) -> None:
    raise _TimeIsUp


def _answer(task: Task, limit_s: float) -> Answer:
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(2 * limit_s, exit=True)  # for what never comes back to Python
    try:
        strategy = build(loaded(task.code, task.name), task.params)
        return Answer(list(retold(strategy, task.bars, task.instrument)))
    except _TimeIsUp:
        return Answer(fault=f"did not come back within {limit_s:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a strategy raises is the answer
        return Answer(fault=f"{type(error).__name__}: {error}"[:200])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    _main()
