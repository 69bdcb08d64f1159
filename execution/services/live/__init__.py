"""Orders at a broker outside: what approved signals make of them inside the chain, and what reports do there.

`carry_out` writes intents and sends nothing; the broker's process (`execution.services.live.desk`) does that."""

from __future__ import annotations

from execution.services.live.booking import match
from execution.services.live.intents import carry_out

__all__ = ["carry_out", "match"]
