"""Files of strategies tried in a process of their own, with a time limit, before anybody imports them: a file that
raises, hangs or crashes costs that process only.

`python -m strategies.probe` reads codes from standard input and writes a line of JSON for each as it goes."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from strategies.domain.codes import Code, Described, DoesNotLoad, described
from strategies.domain.source import Fault, Offer

ROOT = Path(__file__).resolve().parent.parent
START_S = 20.0  # of a process, on a machine that is busy


class Trial(msgspec.Struct, frozen=True):
    """A file to try."""

    code: Code
    offers: tuple[Offer, ...]


class Result(msgspec.Struct, frozen=True):
    """What came of it: its strategies, or what is wrong with it."""

    strategies: tuple[Described, ...] = ()
    faults: tuple[Fault, ...] = ()


class _TimeIsUp(BaseException):
    """A file takes too long to import."""


def tried(trials: Sequence[Trial], *, limit_s: float) -> list[Result]:
    """The result of each. A process that does not come back is ended and counts against the file it was at."""
    results: list[Result] = []
    while len(results) < len(trials):
        found = _process(trials[len(results) :], limit_s)
        results += found
        if len(results) < len(trials):
            text = f"does not import: the process that tried it crashed, or took longer than {limit_s:g} s"
            results.append(Result(faults=(Fault(0, text),)))
    return results


def _process(trials: Sequence[Trial], limit_s: float) -> list[Result]:
    """What one process says before it ends."""
    given = msgspec.json.encode([limit_s, trials])
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "strategies.probe"],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            timeout=START_S + 2 * limit_s * len(trials),
            check=False,
        )
        said = ran.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    lines = said.split(b"\n")[:-1]  # the last is empty, or cut off
    return [msgspec.json.decode(line, type=Result) for line in lines]


def _main() -> None:
    limit_s, trials = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[float, list[Trial]])
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a file prints is no answer
    signal.signal(signal.SIGALRM, _raise)
    for trial in trials:
        answer.write(msgspec.json.encode(_result(trial, limit_s)) + b"\n")
        answer.flush()


def _raise(*_given: Any) -> None:
    raise _TimeIsUp


def _result(trial: Trial, limit_s: float) -> Result:
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    faulthandler.dump_traceback_later(2 * limit_s, exit=True)  # for what never comes back to Python
    try:
        return Result(tuple(described(trial.code, offer) for offer in trial.offers))
    except DoesNotLoad as error:
        return Result(faults=(error.fault,))
    except _TimeIsUp:
        return Result(faults=(Fault(0, f"does not import within {limit_s:g} s"),))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    _main()
