"""Orders whose day is gone from the broker's book: over, with what is known to have traded."""

from __future__ import annotations

from alphapanda.core.vocabulary import OrderStatus as S
from execution.domain.kite.orders import Want
from execution.domain.kite.reducer import Gone, take
from tests.builders import at
from tests.kite_builders import live, placing, seen, traded


def test_what_worked_on_a_day_whose_book_is_gone_is_over_with_what_is_known_to_have_traded() -> None:
    order = live(None, placing(), seen(S.OPEN, 6), traded(1, 4))
    assert order.wants == {Want.FETCH_TRADES}

    result = take(order, Gone(at("09:15")))

    assert (result.order.status, result.order.filled_quantity) == (S.EXPIRED, 4)
    assert (result.wants, len(result.changes)) == (frozenset(), 1)
    assert take(result.order, traded(2, 2)).order.filled_quantity == 6, (
        "a trade that is told all the same counts"
    )


def test_how_it_is_known_to_have_ended_counts_for_more() -> None:
    assert live(None, Gone(at()), placing(), seen(S.CANCELLED, 0)).status is S.CANCELLED
    assert live(None, placing(), traded(1, 10), Gone(at())).status is S.COMPLETE
