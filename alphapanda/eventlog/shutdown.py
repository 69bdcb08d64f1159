"""SIGTERM and SIGINT as a stop flag; a second signal ends the process at once."""

from __future__ import annotations

import signal
from threading import Event
from types import FrameType


def stop_flag() -> Event:
    """An event that the first SIGTERM or SIGINT sets. Only in the main thread."""
    stop = Event()

    def asked(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    return stop
