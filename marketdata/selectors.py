"""Stand-in: ordinary hours until the exchange calendar is merged."""

from __future__ import annotations

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS
from alphapanda.core.vocabulary import Phase


class _Hours:
    def phase_at(self, at_ms: int) -> Phase:
        minute = (at_ms + IST_OFFSET_MS) % DAY_MS // 60_000
        return Phase.CONTINUOUS if 555 <= minute < 930 else Phase.CLOSED


def calendar(exchange: str) -> _Hours:
    return _Hours()
