"""Run as a program: what the official client makes of binary frames. It gets them in base64, a line each, and answers
with a JSON list a line. Not imported, because the official client brings Twisted's reactor with it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def parsed(frames: Sequence[bytes]) -> list[list[dict[str, Any]]]:
    """What the official client makes of each frame."""
    lines = "\n".join(base64.b64encode(frame).decode() for frame in frames)
    ran = subprocess.run(
        [sys.executable, str(Path(__file__))], input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def _plain(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    from kiteconnect import KiteTicker

    client = KiteTicker("key", "token")
    for line in sys.stdin:
        ticks = client._parse_binary(base64.b64decode(line))
        sys.stdout.write(json.dumps(ticks, default=_plain) + "\n")
