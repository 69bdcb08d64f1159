"""News of an order at Kite in any order and any number of times, and the answers that are news."""

from __future__ import annotations

from random import Random
from uuid import uuid5

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import Side, Variety
from execution.domain.kite.orders import ActStage, LiveOrder, Sending
from execution.domain.kite.outcomes import Outcome, Resend, Verdict
from execution.domain.kite.reducer import (
    ActNews,
    Evidence,
    Gone,
    LastLeg,
    NewFill,
    Placing,
    Seen,
    answered,
    take,
    take_all,
)
from tests.builders import at, e4
from tests.kite_builders import BROKER_ID, ORDER, TAG, live, placing, seen, terms, traded

ACT = uuid5(ORDER, "act")
OTHER_ID = "1953341975595868161"


def fills_of(order: LiveOrder, evidence: list[Evidence]) -> tuple[LiveOrder, list[NewFill]]:
    result = take_all(order, evidence)
    return result.order, sorted(result.fills, key=lambda fill: fill.trade_key)


def test_answers_to_placing() -> None:
    accepted = answered(Outcome(Verdict.ACCEPTED, order_id=BROKER_ID), attempt=1, at_ms=5)
    assert accepted == Placing(Sending.ACKED, 5, 1, order_ids=(BROKER_ID,))
    sendings = {
        verdict: answered(Outcome(verdict, "why", Resend.NEVER), attempt=2, at_ms=5).sending
        for verdict in Verdict
    }
    assert sendings == {
        Verdict.ACCEPTED: Sending.ACKED,
        Verdict.REFUSED: Sending.REFUSED,
        Verdict.TOKEN_DEAD: Sending.REFUSED,
        Verdict.UNKNOWN: Sending.UNKNOWN,
    }


# ---- laws --------------------------------------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn) -> list[Evidence]:
    """What a broker tells of one order in its life, in its order: never two things that exclude one another."""
    news: list[Evidence] = [placing(Sending.SUBMITTING)]
    news += draw(st.sampled_from([[], [placing()], [placing(Sending.UNKNOWN), placing()]]))
    quantity, filled, now = 10, 0, at()
    ladder = [S.PUT_RECEIVED, S.VALIDATION_PENDING, S.OPEN_PENDING, S.OPEN]
    news += [seen(step, received_ms=now + number) for number, step in enumerate(ladder)]
    for number in range(1, draw(st.integers(0, 5)) + 1):
        now += draw(st.sampled_from([0, 1_000]))
        what = draw(st.sampled_from(["trade", "trade", "update", "change"]))
        if what == "trade" and filled < quantity:
            units = draw(st.integers(1, quantity - filled))
            filled += units
            news.append(traded(number, units))
        if what == "change" and filled < quantity:
            quantity = draw(st.integers(filled + 1, 15))
            act_id = uuid5(ORDER, str(number))
            news += [ActNews(act_id, stage, now, terms(quantity)) for stage in (ActStage.SENT, ActStage.DONE)]
        word = draw(st.sampled_from([S.OPEN, "UPDATE", S.MODIFIED, "NEW"]))
        news.append(seen(word, filled, received_ms=now + 10 * number, at_ms=now, quantity=quantity))
    end = S.COMPLETE if filled == quantity else draw(st.sampled_from([None, S.CANCELLED]))
    if end is not None:
        news.append(seen(end, filled, received_ms=now + 99, at_ms=now, quantity=quantity))
    return news


ANY_NEWS = st.one_of(
    st.builds(
        placing, st.sampled_from(Sending), st.integers(at(), at() + 2), attempt=st.integers(1, 2), tag=st.just(TAG)
    ),
    st.builds(
        seen,
        st.sampled_from([*(s for s in S if s is not S.EXPIRED), "UPDATE"]),
        st.integers(0, 12),
        st.integers(at(), at() + 3),
        at_ms=st.sampled_from([at(), at() + 1_000]),
        quantity=st.integers(8, 12),
        order_id=st.sampled_from([BROKER_ID, BROKER_ID, OTHER_ID]),
        side=st.sampled_from([Side.BUY] * 5 + [Side.SELL]),
        limit_price_e4=st.sampled_from([None, e4(100), e4(101)]),
    ),
    st.builds(Gone, st.integers(at(), at() + 2)),
    st.builds(LastLeg, st.integers(1, 2), st.integers(at(), at() + 2)),
    st.integers(1, 6).map(lambda number: traded(number, number)),  # the same trade each time it is told
    st.integers(1, 2).map(lambda number: traded(number, number, order_id=OTHER_ID)),
    st.builds(
        ActNews,
        st.sampled_from([ACT, uuid5(ORDER, "other")]),
        st.sampled_from(ActStage),
        st.integers(at(), at() + 2),
        st.just(terms(12)),
    ),
)  # fmt: skip
SHUFFLES = st.randoms(use_true_random=False)


def disturbed(news: list[Evidence], luck: Random) -> list[Evidence]:
    """The same news in another order, some of it again."""
    again = [one for one in news for _ in range(luck.choice([1, 1, 2, 3]))]
    luck.shuffle(again)
    return again


@settings(max_examples=300)
@given(lives(), SHUFFLES)
def test_a_life_told_in_any_order_and_any_number_of_times_is_the_same_life(
    news: list[Evidence], luck: Random
) -> None:
    order, fills = fills_of(live(), news)

    assert fills_of(live(), disturbed(news, luck)) == (order, fills)
    assert sum(fill.quantity for fill in fills) == order.filled_quantity
    assert order.alarms == frozenset()
    assert order.wants == frozenset()
    last = news[-1]
    if isinstance(last, Seen) and last.snapshot.is_final:
        assert order.status is last.snapshot.status
        assert order.quantity == last.snapshot.quantity


@settings(max_examples=300)
@given(st.lists(ANY_NEWS, max_size=12), SHUFFLES, st.sampled_from([Variety.REGULAR, Variety.ICEBERG]))
def test_even_nonsense_told_in_any_order_and_any_number_of_times_is_the_same_nonsense(
    news: list[Evidence], luck: Random, variety: Variety
) -> None:
    start = live(variety=variety, iceberg_legs=3)

    assert fills_of(start, disturbed(news, luck)) == fills_of(start, news)


@settings(max_examples=300)
@given(st.lists(ANY_NEWS, max_size=12))
def test_filled_never_falls_ends_stay_and_history_tells_what_changed(news: list[Evidence]) -> None:
    order, fills, row = live(), [], None
    for one in news:
        result = take(order, one)
        after = result.order
        assert after.filled_quantity >= order.filled_quantity
        if (
            order.parts
            and all(part.ended for part in order.parts.values())
            and len(after.parts) == len(order.parts)
        ):
            assert after.status.is_final
        assert after.filled_quantity <= after.quantity
        assert (after.status is S.COMPLETE) <= (after.filled_quantity > 0 or _told_complete(after))
        assert after.worst_filled >= after.filled_quantity
        assert result.alarms.isdisjoint(order.alarms)
        fills += result.fills
        row = result.changes[-1] if result.changes else row
        order = after
    assert len({fill.id for fill in fills}) == len(fills)
    assert sum(fill.quantity for fill in fills) == order.filled_quantity
    if row is not None and order.local.sending is not Sending.READY:
        assert (row.status, row.filled_quantity) == (order.status, order.filled_quantity)


def _told_complete(order: LiveOrder) -> bool:
    return any(part.end and part.end.status is S.COMPLETE for part in order.parts.values())


@given(lives(), SHUFFLES)
def test_at_no_moment_is_less_counted_than_what_the_broker_may_have_done(
    news: list[Evidence], luck: Random
) -> None:
    """Risk's worst case covers the truth from the moment that a request is on its way."""
    truth, _ = fills_of(live(), news)
    assume(
        not any(isinstance(one, ActNews) for one in news)
    )  # a change that nobody has told of is not counted
    order = live(None, placing(Sending.SUBMITTING))
    for one in disturbed(news, luck):
        order = take(order, one).order
        assert order.filled_quantity + order.worst_open >= truth.filled_quantity
