"""What the parent of all processes may hold when it forks: modules, and nothing that lives."""

from __future__ import annotations

import os
import subprocess
import sys

from alphapanda import env

PROGRAM = """
import os, sys
import django
django.setup()
from alphapanda.management.commands.up import preload
from django.db import connections
preload()
print(len(os.listdir("/proc/self/task")), "twisted.internet.reactor" in sys.modules,
      [c.connection for c in connections.all(initialized_only=True) if c.connection])
"""


def test_the_parent_has_one_thread_no_reactor_and_no_connection() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        cwd=env.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "1 False []\n", "import kiteconnect and daphne where they are used, not at the top"
