"""Named places at which a test may have a process killed, to prove that dying there costs nothing.

Bottom layer, no Django. Off unless ALPHAPANDA_FAILPOINT_DIR is set: a hit is then one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

NAMES = frozenset(
    {
        "feed.before_produce",
        "feed.after_produce",
        "stream.before_ring",
        "stream.before_commit",
        "stream.after_commit",
        "strategies.before_commit",
        "strategies.after_commit",
        "strategies.after_ring",
        "risk.before_commit",
        "risk.after_commit",
        "risk.tell.after_claim",
        "risk.tell.after_send",
        "execution.submit.before_commit",
        "execution.submit.after_commit",
        "execution.match.before_commit",
        "execution.match.after_commit",
        "execution.settle.before_commit",
        "execution.settle.after_commit",
        "execution.call.before_claim",
        "execution.call.after_claim",
        "execution.call.before_send",
        "execution.call.after_send",
        "execution.call.before_record",
        "execution.call.after_record",
        "execution.gtt.before_claim",
        "execution.gtt.after_claim",
        "execution.gtt.before_send",
        "execution.gtt.after_send",
        "execution.gtt.before_record",
        "execution.gtt.after_record",
        "portfolio.before_commit",
        "portfolio.after_commit",
        "relay.before_publish",
        "relay.after_publish",
        "relay.after_ack",
        "relay.before_mark",
        "relay.after_mark",
    }
)
directory = os.environ.get("ALPHAPANDA_FAILPOINT_DIR", "")


class UnknownFailpoint(LookupError):
    """A name that is not in NAMES: a test that arms it would wait for ever."""


def hit(name: str) -> None:
    """Die here by SIGKILL if a test has armed `name`, once: removing its file claims it."""
    if name not in NAMES:
        raise UnknownFailpoint(name)
    if not directory:
        return
    try:
        Path(directory, name).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def arm(name: str, *, folder: Path) -> None:
    """Have the next process that hits `name` killed."""
    if name not in NAMES:
        raise UnknownFailpoint(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
