"""The environment, read once and strictly: an unknown name or a value that does not fit refuses to start."""

from __future__ import annotations

import os
from pathlib import Path

import environ

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ALPHAPANDA_"
reader = environ.Env()


def text(name: str, default: str = "") -> str:
    return reader.str(PREFIX + name, default=default)


def integer(name: str, default: int) -> int:
    return reader.int(PREFIX + name, default=default)


def run_dir() -> Path:
    return Path(os.environ.get(PREFIX + "RUN_DIR", ROOT / ".run"))


def kafka_bootstrap() -> str:
    """Address of the log; empty where none is configured and the embedded one is to be started."""
    return text("KAFKA_BOOTSTRAP")
