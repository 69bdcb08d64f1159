"""What our books hold at the broker, by instrument and product."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from django.db.models import BigIntegerField, Case, CharField, F, JSONField, QuerySet, Value, When
from django.db.models.functions import Concat

from alphapanda.core.vocabulary import Broker, FillSource, Side
from alphapanda.prepared import Prepared
from execution.domain.kite.rows import Where
from execution.domain.live import Reported
from execution.models import Fill, Order
from portfolio.models import Position, Posting
from risk.loading import product_of
from strategies.models import Deployment, Report


class Books(NamedTuple):
    """Units by instrument and product: `held` in all our books at the broker, with the trades that wait to be booked;
    `taken` all that others have traded and that has left the books, ever."""

    held: Counter[Where]
    taken: Counter[Where]


def books() -> Books:
    """What our books hold. It is one statement, for units move from one of its tables to the next while it runs."""
    products = {row.id: product_of(row) for row in _deployments()}
    found = Books(Counter(), Counter())
    reports = []
    for part, deployment_id, key, units, data in _parts_now():
        if part == REPORT:
            with suppress(
                msgspec.ValidationError
            ):  # what is no report brings no trade; who books it tells a person
                reports.append(msgspec.convert(data, Reported, strict=False))
        elif part == POSTING:
            where = Where(data["instrument"], products[deployment_id])
            found.held[where] += Side(data["side"]).sign * data["quantity"]
        else:
            (found.taken if part == TAKEN else found.held)[Where(key, products[deployment_id])] += units
    orders = Order.objects.select_related("instrument").in_bulk({told.order_id for told in reports})
    for told in reports:
        if (order := orders.get(told.order_id)) is None:
            continue  # who books it tells a person
        where = Where(str(order.instrument), order.product)
        found.held[where] += Side(order.side).sign * sum(fill.quantity for fill in told.fills)
    return found


_deployments = Prepared(lambda: Deployment.objects.filter(broker=Broker.ZERODHA).only("id", "execution"))
POSITION, POSTING, REPORT, TAKEN = range(4)
KEY = Concat("instrument__exchange", Value(":"), "instrument__tradingsymbol")


def _parts() -> QuerySet[Any, Any]:
    """Rows of (which, deployment, instrument, units, JSON)."""
    no_key, no_units = Value("", output_field=CharField()), Value(0, output_field=BigIntegerField())
    nothing = Value(None, output_field=JSONField())
    live = {"book__broker": Broker.ZERODHA}
    sold = When(side=Side.SELL, then=-F("quantity"))
    signed = Case(sold, default=F("quantity"), output_field=BigIntegerField())
    held = Position.objects.filter(**live).exclude(quantity=0)
    waiting = Posting.objects.filter(**live, state=Posting.State.NEW)
    reports = Report.objects.filter(booked_at=None)
    taken = Fill.objects.filter(broker=Broker.ZERODHA, source=FillSource.ELSEWHERE)
    return held.values_list(Value(POSITION), "book_id", KEY, "quantity", nothing).union(
        waiting.values_list(Value(POSTING), "book_id", no_key, no_units, "fill"),
        reports.values_list(Value(REPORT), "deployment_id", no_key, no_units, "data"),
        taken.values_list(
            Value(TAKEN),
            "deployment_id",
            KEY,
            signed,
            nothing,
        ),
        all=True,
    )


_parts_now = Prepared(_parts)
