"""A stack of one's own ends with whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from alphapanda.stack import ROOT

STARTER = """
import sys, time
from pathlib import Path
from alphapanda.stack import Stack
stack = Stack(Path(sys.argv[1]), command=[sys.executable, "-c", "import time; time.sleep(60)"])
stack.launch()
print(stack.process.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_starter_leaves_no_stack_behind(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter, starter.stdout:
        stack = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait()

    deadline = time.monotonic() + 20
    while _lives(stack):
        assert time.monotonic() < deadline, "the stack outlived its starter"
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # which nobody has reaped yet
    except psutil.NoSuchProcess:
        return False
