"""The paper exchange: fills are a function of an order and the log after it. Event time only.

A market order takes what is offered: recorded depth level by level where the tick has it, else the last price
and the configured slippage, no more than the size on offer. A limit order fills at its price or better. This page
is the door; the rooms are settings, orders, placing, acts, refusals, matching, offer, queue and expiry."""

from __future__ import annotations

from execution.domain.ladder import LADDER, History
from execution.domain.matching import match, watch
from execution.domain.orders import Act, Execution, OrderEventRow, PaperOrder, Place, Terms
from execution.domain.placing import carry_out, place
from execution.domain.settings import Liquidity, PaperSettings, Queue
from execution.domain.venue import Memory, Outcome, Standing, Trace, Venue

__all__ = [
    "LADDER",
    "Act",
    "Execution",
    "History",
    "Liquidity",
    "Memory",
    "OrderEventRow",
    "Outcome",
    "PaperOrder",
    "PaperSettings",
    "Place",
    "Queue",
    "Standing",
    "Terms",
    "Trace",
    "Venue",
    "carry_out",
    "match",
    "place",
    "watch",
]
