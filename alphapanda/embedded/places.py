"""Where the embedded servers keep their sockets and addresses. No Django: the broker's process imports it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

KAFKA_ADDRESS = "kafka.address"
# Linux takes 107 bytes for the path of a unix socket; the longest below RUN_DIR is PostgreSQL's.
LONGEST_SOCKET_PATH = 107
LONGEST_SOCKET_NAME = "/postgres/.s.PGSQL.5432.lock"


def sockets(run_dir: Path) -> Path:
    """The folder of the unix sockets: RUN_DIR, or a short one (noted in it) where its path is too long."""
    note = run_dir / "sockets"
    if note.is_file():
        return Path(note.read_text())
    if len(str(run_dir)) + len(LONGEST_SOCKET_NAME) <= LONGEST_SOCKET_PATH:
        return run_dir
    digest = hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"alphapanda-{digest}")


def claim_sockets(run_dir: Path) -> Path:
    """Make the folder of the sockets; refuses one that somebody else owns."""
    run_dir.mkdir(parents=True, exist_ok=True)
    place = sockets(run_dir)
    if place != run_dir:
        place.mkdir(mode=0o700, exist_ok=True)
        if place.owner() != run_dir.owner():
            raise PermissionError(f"{place} belongs to {place.owner()}: remove it")
        (run_dir / "sockets").write_text(str(place))
    return place


def postgres_socket_dir(run_dir: Path) -> Path:
    return sockets(run_dir) / "postgres"


def redis_socket(run_dir: Path) -> Path:
    return sockets(run_dir) / "redis.sock"
