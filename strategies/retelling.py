"""Indicators told again in a process of their own, with a time limit: a strategy that raises, hangs or crashes there
costs that process only.

`python -m strategies.retelling` reads one task from standard input and writes one answer."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from marketdata.domain.bars import Bar
from strategies.confined import TimeIsUp, answer_to, ask, within
from strategies.domain.base import build
from strategies.domain.codes import Code, loaded
from strategies.domain.retelling import Told, retold


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


def told_again(task: Task, *, limit_s: float) -> Answer:
    """The indicators of a strategy over bars. A process that does not come back is ended."""
    said = ask("strategies.retelling", msgspec.msgpack.encode([limit_s, task]), limit_s=limit_s)
    try:
        return msgspec.msgpack.decode(said, type=Answer)
    except msgspec.MsgspecError:
        return Answer(fault=f"the process that asked it crashed, or took longer than {limit_s:g} s")


def _main() -> None:
    limit_s, task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=tuple[float, Task])
    answer = answer_to()
    answer.write(msgspec.msgpack.encode(_answer(task, limit_s)))
    answer.flush()


def _answer(task: Task, limit_s: float) -> Answer:
    try:
        with within(limit_s):
            strategy = build(loaded(task.code, task.name), task.params)
            return Answer(list(retold(strategy, task.bars, task.instrument)))
    except TimeIsUp:
        return Answer(fault=f"did not come back within {limit_s:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a strategy raises is the answer
        return Answer(fault=f"{type(error).__name__}: {error}"[:200])


if __name__ == "__main__":
    _main()
