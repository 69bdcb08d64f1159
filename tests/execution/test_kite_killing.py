"""What a kill sweep goes by: the largest exposure first."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid5

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import OrderType
from execution.domain.kite.killing import exposure, rank
from execution.domain.kite.orders import LiveOrder
from tests.builders import at
from tests.kite_builders import ORDER, live, placing, seen, terms, traded


def an_order(number: int, quantity: int = 10) -> LiveOrder:
    own = {"order_id": str(number), "quantity": quantity}
    news = [placing(order_ids=(str(number),)), seen(S.OPEN, **own)]
    return live(terms(quantity), *news, order_id=uuid5(ORDER, str(number)))


def test_the_largest_exposure_goes_first_and_the_unknown_before_it() -> None:
    small, large = an_order(1, 5), an_order(2, 20)
    unpriced = live(terms(1, OrderType.MARKET, None), placing())

    assert [exposure(one) for one in (small, large, unpriced)] == [Decimal(500), Decimal(2_000), None]
    assert sorted([small, large, unpriced], key=rank) == [unpriced, large, small]
    assert rank(small) != rank(an_order(3, 5)), "a tie is broken the same way each time"


def test_what_has_traded_counts_no_more() -> None:
    assert exposure(live(None, placing(), seen(S.OPEN, 4), traded(1, 4))) == Decimal(600)


def test_when_it_was_seen_at_work_is_when_we_heard_of_it_last() -> None:
    assert live(None, placing()).seen_ms == 0
    shown = [seen(S.OPEN, at_ms=at(), received_ms=at() + later) for later in (700, 300)]
    assert live(None, placing(), *shown).seen_ms == at() + 700
