"""What is under way at the broker: it decides when the book is to be read next, and is asked in every round."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists

from alphapanda.core.vocabulary import Broker
from alphapanda.prepared import Prepared
from execution.gtt_models import WAITING, CallState, GttCall
from execution.models import BrokerCall, BrokerDesk, BrokerOrder, ExternalOrder
from execution.services.live.evidence import ANY_TIME

State = BrokerCall.State


class UnderWay(NamedTuple):
    """`is_busy`: calls wait for something, or orders work. `wants_trades`: more has traded than is booked.
    `are_others_new`: an order of others was told of since the last look began, and what it has traded is to be looked
    at. `is_searched`: what came of a call is not known."""

    is_busy: bool
    wants_trades: bool
    are_others_new: bool
    is_searched: bool


def under_way(looked_at: datetime) -> UnderWay:
    """All in one question."""
    return UnderWay(*_under_way(looked_at)[0])


_under_way = Prepared(
    lambda looked_at: BrokerDesk.objects.filter(broker=Broker.ZERODHA).values_list(
        Exists(BrokerCall.objects.filter(state__in=WAITING))
        | Exists(BrokerOrder.objects.filter(is_open=True))
        | Exists(GttCall.objects.filter(state__in=WAITING)),
        Exists(BrokerOrder.objects.filter(wants_trades=True)),
        Exists(ExternalOrder.objects.filter(seen_at__gt=looked_at)),
        Exists(BrokerCall.objects.filter(state=State.UNKNOWN))
        | Exists(GttCall.objects.filter(state=CallState.UNKNOWN)),
    ),
    ANY_TIME,
)
