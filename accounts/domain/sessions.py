"""The life of a broker's session, as its times tell it."""

from __future__ import annotations

from datetime import time
from enum import StrEnum

from alphapanda.core.clock import next_ist_ms

DIES_AT = time(6)  # IST: Kite ends every access token at this time of day


class SessionState(StrEnum):
    """What an account can do at its broker now."""

    NONE = "NONE"  # nobody has logged in yet
    ALIVE = "ALIVE"
    EXPIRED = "EXPIRED"  # its day is over
    ENDED = "ENDED"  # before its day was over: refused by the broker, logged out, other credentials


def dies_ms(login_ms: int) -> int:
    """When the token of a login dies: at the first six o'clock in India after it."""
    return next_ist_ms(login_ms, DIES_AT)


def state_of(*, dies_ms: int, ended: bool, now_ms: int) -> SessionState:
    """The state of the newest session of an account."""
    if now_ms >= dies_ms:
        return SessionState.EXPIRED
    return SessionState.ENDED if ended else SessionState.ALIVE
