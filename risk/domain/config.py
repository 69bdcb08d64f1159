"""The parameters under which a decision was made, by a short name that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec


def config_version(params: Mapping[str, Any], execution: Mapping[str, Any]) -> str:
    """The same parameters and rules of execution have the same version. `execution` names the product too."""
    content = msgspec.json.encode([dict(params), dict(execution)], order="deterministic")
    return sha256(content).hexdigest()[:12]
