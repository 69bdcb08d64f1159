"""A supervisor of dummy roles, run as a program: `dummies.py RUN_DIR [server,server]`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from alphapanda import embedded
from alphapanda.processes import Role
from alphapanda.supervisor import Supervisor


def obedient() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def failing() -> None:
    raise RuntimeError("this role cannot run")


def talking() -> None:
    sys.stdout = os.fdopen(1, "w", closefd=False)  # with a buffer, whatever PYTHONUNBUFFERED says
    sys.stdout.write("its last words")
    failing()


ROLES = {
    "obedient": Role("obedient", obedient, stops=1),
    "stubborn": Role("stubborn", stubborn, stops=2),
    "failing": Role("failing", failing, stops=2),
    "talking": Role("talking", talking, stops=2),
}


def main(run_dir: Path, roles: list[str], servers: list[str]) -> None:
    try:
        with embedded.lock(run_dir) as lock:
            supervisor = Supervisor(
                run_dir=run_dir,
                roles=[ROLES[name] for name in roles],
                servers=servers,
                lock=lock,
                notice=sys.stderr.write,
                renew=(run_dir / "renewed").touch,
            )
            try:
                supervisor.start_servers()
                supervisor.serve()
            finally:
                supervisor.stop()
    except embedded.RunDirTaken as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(text.split(",") if text else [] for text in sys.argv[2:4]))
