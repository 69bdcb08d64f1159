"""Which code this is: the product's version, and a hash of all that decides what a backtest gives."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache

from alphapanda import env

DECIDING = (
    *(
        f"{place}/**/*.py"
        for place in ("alphapanda/core", "alphapanda/engine", "*/domain", "marketdata/feeds")
    ),
    *("*/data/*.csv", "*/data/*.json"),  # rates, margins, calendars and the list that ships
)


@cache
def product_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((env.ROOT / "pyproject.toml").read_text())["project"]["version"])


@cache
def engine_sha256() -> str:
    """Of the sources of the engine, of every pure domain (strategies of the library included) and of what reads
    recordings, and of the tables that ship."""
    files = sorted({path for place in DECIDING for path in env.ROOT.glob(place)})
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(env.ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def build() -> str:
    """Both in one: 1.2.0+3f2a6b1c9d04."""
    return f"{product_version()}+{engine_sha256()[:12]}"
