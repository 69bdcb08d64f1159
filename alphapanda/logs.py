"""Log channels."""

from __future__ import annotations

from typing import Any

import structlog


def channel(name: str) -> Any:
    """The logger of a channel."""
    return structlog.get_logger(name, channel=name)
