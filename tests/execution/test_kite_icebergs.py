"""Iceberg orders at Kite: each leg is an order of its own to the broker, and all of them are one order here."""

from __future__ import annotations

from uuid import uuid5

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import Variety
from execution.domain.kite.orders import ActStage
from execution.domain.kite.reducer import ActNews, take, take_all
from tests.builders import at, e4
from tests.kite_builders import ORDER, live, placing, seen, terms, traded

ACT = uuid5(ORDER, "act")
OTHER_ID = "1953341975595868161"


def test_an_iceberg_goes_on_from_leg_to_leg() -> None:
    order = live(None, placing(), variety=Variety.ICEBERG, iceberg_legs=2)
    leg = {"quantity": 5, "variety": "iceberg"}
    order = take_all(order, [seen(S.COMPLETE, 5, **leg), traded(1, 5)]).order
    assert (order.status, order.quantity, order.unfilled, order.alarms) == (S.OPEN, 10, 5, frozenset())

    order = take_all(
        order, [seen(S.COMPLETE, 5, order_id=OTHER_ID, **leg), traded(2, 5, order_id=OTHER_ID)]
    ).order
    assert (order.status, order.alarms) == (S.COMPLETE, frozenset())


def test_an_iceberg_stands_at_the_price_of_its_leg_at_work() -> None:
    """A change is of one leg; whether the next one takes it over, the broker's row tells."""
    order = live(None, placing(), variety=Variety.ICEBERG, iceberg_legs=2)
    leg = {"quantity": 5, "variety": "iceberg"}
    changed = [
        ActNews(ACT, ActStage.DONE, at(), terms(limit=105)),
        seen(S.COMPLETE, 5, limit_price_e4=e4(105), at_ms=at() + 1_000, **leg),
        traded(1, 5),
    ]
    next_leg = seen(S.OPEN, 0, order_id=OTHER_ID, limit_price_e4=e4(100), at_ms=at() + 1_000, **leg)

    assert take_all(order, changed).order.now.limit_price_e4 == e4(105)
    for news in ([*changed, next_leg], [next_leg, *changed]):
        result = take_all(order, news)
        assert result.order.now.limit_price_e4 == e4(100)
        assert result.changes[-1].limit_price_e4 == e4(100)


def test_an_iceberg_whose_legs_were_made_smaller_ends_with_the_last_one() -> None:
    order = live(None, placing(), variety=Variety.ICEBERG, iceberg_legs=2)
    leg = {"quantity": 3, "variety": "iceberg"}
    order = take_all(order, [seen(S.COMPLETE, 3, **leg), traded(1, 3)]).order
    assert (order.status, order.quantity) == (S.OPEN, 10)
    news = [seen(S.COMPLETE, 3, order_id=OTHER_ID, **leg), traded(2, 3, order_id=OTHER_ID)]
    order = take_all(order, news).order
    assert (order.status, order.quantity, order.unfilled) == (S.COMPLETE, 6, 0)


def test_an_iceberg_ends_with_the_leg_that_is_cancelled() -> None:
    order = live(None, placing(), variety=Variety.ICEBERG, iceberg_legs=2)

    assert take(order, seen(S.CANCELLED, 0, quantity=5)).order.status is S.CANCELLED
