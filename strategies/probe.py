"""Files of strategies tried in a process of their own, with a time limit, before anybody imports them: a file that
raises, hangs or crashes costs that process only.

`python -m strategies.probe` reads codes from standard input and writes a line of JSON for each as it goes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from strategies.confined import TimeIsUp, answer_to, ask, within
from strategies.domain.codes import Code, Described, DoesNotLoad, described
from strategies.domain.source import Fault, Offer


class Trial(msgspec.Struct, frozen=True):
    """A file to try."""

    code: Code
    offers: tuple[Offer, ...]


class Result(msgspec.Struct, frozen=True):
    """What came of it: its strategies, or what is wrong with it."""

    strategies: tuple[Described, ...] = ()
    faults: tuple[Fault, ...] = ()


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
    said = ask("strategies.probe", given, limit_s=limit_s * len(trials))
    lines = said.split(b"\n")[:-1]  # the last is empty, or cut off
    return [msgspec.json.decode(line, type=Result) for line in lines]


def _main() -> None:
    limit_s, trials = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[float, list[Trial]])
    answer = answer_to()
    for trial in trials:
        answer.write(msgspec.json.encode(_result(trial, limit_s)) + b"\n")
        answer.flush()


def _result(trial: Trial, limit_s: float) -> Result:
    try:
        with within(limit_s):
            return Result(tuple(described(trial.code, offer) for offer in trial.offers))
    except DoesNotLoad as error:
        return Result(faults=(error.fault,))
    except TimeIsUp:
        return Result(faults=(Fault(0, f"does not import within {limit_s:g} s"),))


if __name__ == "__main__":
    _main()
