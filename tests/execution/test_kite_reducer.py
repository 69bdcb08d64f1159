"""News of an order at Kite, doubled, late and out of order, gives one order and one set of fills."""

from __future__ import annotations

from uuid import uuid5

import msgspec

from alphapanda.core.vocabulary import OrderStatus as S
from alphapanda.core.vocabulary import OrderType, Side, Validity, Variety
from execution.domain.kite.orders import SECONDS_MS, ActStage, Alarm, LiveOrder, Sending, Want
from execution.domain.kite.reducer import (
    ActNews,
    Evidence,
    NewFill,
    Seen,
    Traded,
    take,
    take_all,
)
from tests.builders import at, e4
from tests.kite_builders import BROKER_ID, ORDER, TAG, live, placing, seen, snapshot, terms, trade, traded

ACT = uuid5(ORDER, "act")
OTHER_ID = "1953341975595868161"


def fills_of(order: LiveOrder, evidence: list[Evidence]) -> tuple[LiveOrder, list[NewFill]]:
    result = take_all(order, evidence)
    return result.order, sorted(result.fills, key=lambda fill: fill.trade_key)


# ---- one by one --------------------------------------------------------------------------------------------


def test_an_order_from_intent_to_complete() -> None:
    order = live()
    assert (order.status, order.is_unresolved) == (S.PUT_RECEIVED, False)
    order = take(order, placing(Sending.SUBMITTING)).order
    assert order.is_unresolved
    assert (order.worst_filled, order.worst_open) == (10, 10)

    order = take(order, placing()).order
    assert (order.status, order.is_unresolved) == (S.PUT_RECEIVED, False)
    assert (order.worst_filled, order.worst_open) == (0, 10)
    result = take(order, seen(S.OPEN))
    assert [(row.status, row.filled_quantity) for row in result.changes] == [(S.OPEN, 0)]
    result = take(result.order, seen(S.OPEN, 4, at_ms=at() + 1))
    assert (result.wants, result.fills, result.order.filled_quantity) == ({Want.FETCH_TRADES}, (), 0)
    assert (result.order.worst_filled, result.order.worst_open) == (4, 10)
    result = take(result.order, traded(1, 4))
    assert [(one.quantity, one.price_e4, one.at_ms) for one in result.fills] == [(4, e4(100), at() + 1)]
    assert (result.wants, result.order.unfilled) == (frozenset(), 6)
    result = take_all(result.order, [seen(S.COMPLETE, 10, at_ms=at() + 9), traded(2, 6)])
    assert (result.order.status, result.order.unfilled, result.wants) == (S.COMPLETE, 0, frozenset())
    assert result.alarms == frozenset()


def test_the_first_row_of_history_is_that_of_sending_and_news_without_change_has_none() -> None:
    news = [
        placing(Sending.SUBMITTING, at() + 3),
        placing(Sending.SUBMITTING, at() + 3),
        placing(),
        seen(S.OPEN),
    ]
    result = take_all(live(), [*news, seen(S.OPEN, received_ms=at() + 9)])

    assert [(row.status, row.at_ms, row.quantity) for row in result.changes] == [
        (S.PUT_RECEIVED, at() + 3, 10), (S.OPEN, at(), 10),
    ]  # fmt: skip
    assert take(live(), traded(1, 3)).changes[0].filled_quantity == 3


def test_history_has_the_brokers_time_or_else_ours() -> None:
    order = live(None, placing())

    assert take(order, seen(S.OPEN, received_ms=at() + 9)).changes[0].at_ms == at()
    untimed = Seen(msgspec.structs.replace(snapshot(), at_ms=0), at() + 9)
    assert take(order, untimed).changes[0].at_ms == at() + 9
    assert take(order, traded(5)).changes[0].at_ms == at() + 5
    assert take(order, Traded(trade(5, at_ms=0), at() + 7)).changes[0].at_ms == at() + 7


def test_an_end_waits_for_the_trades_that_it_tells_of() -> None:
    for end in (S.COMPLETE, S.CANCELLED):
        filled = 10 if end is S.COMPLETE else 4
        order = live(None, placing(), seen(S.OPEN), seen(end, filled, at_ms=at() + 9))
        assert (order.status, order.wants) == (S.OPEN, {Want.FETCH_TRADES})
        assert order.worst_filled == filled

        result = take(order, traded(1, filled))
        assert (result.order.status, result.wants) == (end, frozenset())
        assert result.order.worst_open == 0


def test_trades_alone_complete_an_order_whose_status_lies() -> None:
    order = live(None, placing(), seen(S.OPEN), traded(1, 6), traded(2, 4))

    assert (order.status, order.alarms) == (S.COMPLETE, frozenset())
    assert take(order, seen(S.OPEN, 3, at_ms=at() + 99)).order.status is S.COMPLETE


def test_a_partial_fill_that_is_told_after_the_end_changes_nothing() -> None:
    order = live(None, placing(), seen(S.COMPLETE, 10, at_ms=at() + 9), traded())
    result = take(order, seen("UPDATE", 4, at_ms=at() + 8))

    assert (result.order.status, result.changes, result.wants) == (S.COMPLETE, (), frozenset())


def test_an_order_shown_as_cancelled_that_was_filled_is_filled_and_raises_an_alarm_once() -> None:
    order = live(None, placing(), seen(S.CANCELLED, 0))
    result = take(order, traded(1, 4))
    assert (result.order.status, result.order.filled_quantity) == (S.CANCELLED, 4)
    assert result.alarms == {Alarm.TRADED_AFTER_END}

    result = take(result.order, traded(2, 6))
    assert (result.order.status, result.alarms) == (S.COMPLETE, frozenset())


def test_two_ends_of_different_quantities_leave_it_ended_and_ask_for_the_trades() -> None:
    order = live(None, placing(), seen(S.CANCELLED, 0))
    result = take(order, seen(S.COMPLETE, 10, at_ms=at() + 5))

    assert (result.order.status, result.alarms) == (S.CANCELLED, {Alarm.TOLD_TWO_ENDS})
    assert result.wants == {Want.FETCH_TRADES}


def test_a_refusal_ends_it_here_and_one_that_was_none_brings_it_back() -> None:
    order = live(None, placing(Sending.SUBMITTING), placing(Sending.REFUSED, reason="no margin"))
    assert (order.status, order.reason, order.worst_open) == (S.REJECTED, "no margin", 0)

    result = take(order, seen(S.OPEN))
    assert (result.order.status, result.alarms, result.wants) == (S.OPEN, {Alarm.REVIVED}, {Want.CANCEL})
    result = take(result.order, seen(S.CANCELLED, at_ms=at() + 5))
    assert (result.order.status, result.wants) == (S.CANCELLED, frozenset())


def test_one_that_was_given_up_and_traded_is_booked() -> None:
    order = live(None, placing(Sending.UNKNOWN), placing(Sending.NOT_PLACED, at() + 120_000))
    result = take(order, traded(1, 10))

    assert (order.status, result.order.status) == (S.REJECTED, S.COMPLETE)
    assert (len(result.fills), result.alarms) == (1, {Alarm.REVIVED})


def test_a_later_attempt_counts_for_more_than_the_refusal_of_the_one_before() -> None:
    tag = "AP" + "0" * 18
    order = live(
        None, placing(Sending.REFUSED), placing(Sending.SUBMITTING, at() + 9, attempt=2, tag=tag)
    )  # fmt: skip

    assert (order.is_unresolved, order.status) == (True, S.PUT_RECEIVED)
    assert order.tags == {TAG, tag}


def test_one_intent_with_two_orders_at_the_broker_is_an_alarm_and_both_are_counted() -> None:
    order = live(None, placing(), seen(S.OPEN), seen(S.OPEN, order_id=OTHER_ID))

    assert (order.alarms, order.quantity, order.worst_open) == ({Alarm.DOUBLED}, 20, 20)
    result = take_all(order, [traded(1, 10), traded(2, 10, order_id=OTHER_ID)])
    assert (result.order.status, result.order.filled_quantity) == (S.COMPLETE, 20)


def test_what_is_of_another_instrument_or_side_is_never_counted() -> None:
    order = live(None, placing())
    for news in (
        seen(S.COMPLETE, 10, side=Side.SELL),
        seen(S.COMPLETE, 10, instrument="NSE:OTHER"),
        traded(1, 10, side=Side.SELL),
        traded(1, 10, instrument="NSE:OTHER"),
    ):
        result = take(order, news)
        assert (result.order.status, result.fills, result.alarms) == (
            S.PUT_RECEIVED, (), {Alarm.CONTRADICTED},
        )  # fmt: skip


def test_a_trade_that_comes_again_with_other_numbers_stays_as_it_was_booked() -> None:
    result = take(live(None, placing(), traded(1, 4)), traded(1, 5))

    assert (result.order.filled_quantity, result.fills) == (4, ())
    assert result.alarms == {Alarm.CONTRADICTED}


def test_the_same_trade_id_at_another_exchange_or_order_is_another_trade() -> None:
    order = live(None, placing(), traded(1, 2), traded(1, 3, exchange="BSE"), traded(1, 4, order_id=OTHER_ID))

    assert order.filled_quantity == 9


def test_a_fill_has_the_id_of_its_trade_and_the_time_we_heard_where_it_tells_none() -> None:
    one = take(live(), Traded(trade(1, 4), at())).fills[0]
    other = take(live(None, placing(), traded(2, 3)), Traded(trade(1, 4), at() + 99)).fills[0]

    assert (one.id, one.broker_order_id) == (other.id, BROKER_ID)
    assert take(live(), Traded(trade(1, 4, at_ms=0), at() + 7)).fills[0].at_ms == at() + 7


def test_a_protected_market_order_stays_one_and_has_its_protection_as_limit() -> None:
    market = terms(10, OrderType.MARKET, None)
    order = live(market, placing(), seen(S.OPEN, limit_price_e4=e4(102), tags=(TAG, "mktp")))

    assert (order.now.order_type, order.now.limit_price_e4) == (OrderType.MARKET, e4(102))
    plain = live(terms(10, OrderType.SL, 100, 99), placing(), seen(S.OPEN, order_type="LIMIT"))
    assert plain.now.order_type is OrderType.LIMIT
    strange = live(terms(10, OrderType.SL, 100, 99), placing(), seen(S.OPEN, order_type="CO", validity="GTC"))
    assert (strange.now.order_type, strange.now.validity) == (OrderType.SL, Validity.DAY)
    changed = ActNews(ACT, ActStage.DONE, at(), terms(10, OrderType.LIMIT, 101))
    assert live(market, placing(), seen(S.OPEN), changed).now.order_type is OrderType.LIMIT


def test_terms_and_reasons_are_those_of_its_end_or_of_what_is_known_last() -> None:
    assert live().quantity == 10
    ended = live(
        None, placing(), seen(S.OPEN), seen(S.CANCELLED, quantity=8, limit_price_e4=e4(99), reason="why")
    )
    assert (ended.quantity, ended.now.limit_price_e4, ended.reason) == (8, e4(99), "why")
    half_seen = live(None, placing(), seen(S.OPEN, order_id=OTHER_ID, quantity=4))
    assert (half_seen.quantity, half_seen.status) == (10, S.OPEN)
    lost = live(None, placing(Sending.UNKNOWN))
    assert (lost.is_unresolved, take(lost, seen(S.OPEN)).order.is_unresolved) == (True, False)


def test_prices_that_are_told_and_prices_that_are_not() -> None:
    stop = live(terms(10, OrderType.SL, 100, 99), placing())
    told = take(stop, seen(S.TRIGGER_PENDING, order_type="SL", trigger_price_e4=e4(98))).order
    assert (told.now.limit_price_e4, told.now.trigger_price_e4) == (e4(100), e4(98))
    bare = take(stop, seen(S.OPEN, limit_price_e4=None, validity="IOC")).order.now
    assert (bare.limit_price_e4, bare.trigger_price_e4, bare.validity) == (None, None, Validity.IOC)


def test_one_part_is_enough_for_an_alarm() -> None:
    other = seen(S.OPEN, order_id=OTHER_ID)
    twice = live(None, placing(), other, seen(S.CANCELLED, 0), seen(S.CANCELLED, 3))
    assert Alarm.TOLD_TWO_ENDS in twice.alarms
    after = live(None, placing(), other, seen(S.CANCELLED, 0), traded(1, 3))
    assert Alarm.TRADED_AFTER_END in after.alarms
    leg = live(None, placing(), seen(S.COMPLETE, 5), traded(1, 6), variety=Variety.ICEBERG, iceberg_legs=2)
    assert leg.alarms == frozenset()


def test_what_we_wanted_last_and_was_done_is_what_we_want() -> None:
    def change(number: int, stage: ActStage, at_ms: int, limit: int) -> ActNews:
        return ActNews(uuid5(ORDER, str(number)), stage, at_ms, terms(limit=limit))

    first, later = change(1, ActStage.DONE, at() + 5, 101), change(2, ActStage.DONE, at() + 9, 102)
    refused = change(3, ActStage.REFUSED, at() + 12, 103)
    sent = change(4, ActStage.SENT, at() + 13, 104)
    cancel = ActNews(ACT, ActStage.DONE, at() + 14)
    order = live(None, placing(), later, first, refused, sent, cancel)
    assert (order.wanted, order.now) == (terms(limit=102), terms(limit=102))
    assert live(None, placing(), sent, refused).wanted == terms()
    assert live(None, placing(), traded(1, 3)).status is S.OPEN


def test_of_two_orders_that_stand_for_one_any_that_waits_for_trades_keeps_it_open() -> None:
    waits, rests = seen(S.COMPLETE, 10), seen(S.TRIGGER_PENDING, order_id=OTHER_ID)

    assert live(None, placing(), rests).status is S.TRIGGER_PENDING
    assert live(None, placing(), rests, waits).status is S.OPEN
    assert live(None, placing(), rests, waits).wants == {Want.FETCH_TRADES}
    later = seen(S.OPEN, 0, order_id=OTHER_ID, at_ms=at() + 9, limit_price_e4=e4(101))
    assert live(None, placing(), seen(S.OPEN), later).now.limit_price_e4 == e4(101)
    ends = [seen(S.CANCELLED), seen(S.CANCELLED, order_id=OTHER_ID, at_ms=at("15:30"))]
    assert live(None, placing(), *ends).status is S.EXPIRED


def test_a_changed_quantity_is_the_brokers_and_completes_with_it() -> None:
    order = live(None, placing(), seen(S.OPEN), seen("UPDATE", 0, at_ms=at() + 5, quantity=4))
    assert (order.quantity, order.status) == (4, S.OPEN)
    order = take(order, traded(1, 4)).order
    assert order.status is S.OPEN  # it was 10 once: only its end tells that 4 are all
    assert order.unfilled == 0
    assert take(order, seen(S.COMPLETE, 4, at_ms=at() + 9, quantity=4)).order.status is S.COMPLETE


def test_a_larger_quantity_that_is_on_its_way_keeps_it_from_being_complete() -> None:
    change = ActNews(ACT, ActStage.SENT, at(), terms(15))
    order = live(None, placing(), seen(S.OPEN), change, traded(1, 10))

    assert (order.status, order.worst_open) == (S.OPEN, 5)


def test_a_larger_quantity_that_was_refused_does_not() -> None:
    sent, refused = (ActNews(ACT, stage, at(), terms(15)) for stage in (ActStage.SENT, ActStage.REFUSED))
    order = live(None, placing(), seen(S.OPEN), sent, refused, traded(1, 10))

    assert (order.status, order.worst_open) == (S.COMPLETE, 0)


def test_trades_beyond_any_quantity_are_counted_and_told() -> None:
    order = live(None, placing(), seen(S.OPEN), traded(1, 10), traded(2, 3))

    assert (order.quantity, order.filled_quantity, order.unfilled) == (13, 13, 0)
    assert order.alarms == {Alarm.OVERFILLED}


def test_within_one_second_the_later_news_of_the_exchange_wins_over_the_ladder() -> None:
    order = live(
        None,
        placing(),
        seen(S.OPEN, received_ms=at() + 1),
        seen(S.MODIFIED, received_ms=at() + 2, limit_price_e4=e4(101)),
        seen(S.OPEN, received_ms=at() + 3, limit_price_e4=e4(101)),
        seen(S.VALIDATION_PENDING, received_ms=at() + 4),  # late: it was so before the exchange had it
    )

    assert (order.status, order.now.limit_price_e4) == (S.OPEN, e4(101))


def test_unknown_words_tell_terms_but_no_status() -> None:
    order = live(
        None, placing(), seen(S.TRIGGER_PENDING), seen("UPDATE", at_ms=at() + 5, limit_price_e4=e4(99))
    )

    assert (order.status, order.now.limit_price_e4) == (S.TRIGGER_PENDING, e4(99))
    assert live(None, placing(), seen("SOMETHING NEW")).status is S.OPEN


def test_an_end_by_time_is_an_expiry_unless_we_cancelled() -> None:
    late = {"at_ms": at("15:30")}
    cancel = ActNews(ACT, ActStage.DONE, at())

    assert live(None, placing(), seen(S.CANCELLED, **late)).status is S.EXPIRED
    assert live(None, placing(), seen(S.CANCELLED)).status is S.CANCELLED
    assert live(None, placing(), seen(S.CANCELLED, at_ms=at("15:30") - 2_000)).status is S.EXPIRED
    assert live(None, placing(), seen(S.CANCELLED, at_ms=at("15:30") - 2_001)).status is S.CANCELLED
    assert live(None, placing(), seen(S.CANCELLED, **late), cancel).status is S.CANCELLED
    refused = ActNews(ACT, ActStage.REFUSED, at())
    changed = ActNews(ACT, ActStage.DONE, at(), terms())
    assert live(None, placing(), seen(S.CANCELLED, **late), refused).status is S.EXPIRED
    assert live(None, placing(), seen(S.CANCELLED, **late), changed).status is S.EXPIRED
    ioc = terms(validity=Validity.IOC)  # as at the paper exchange: it is cancelled, not outlived
    assert live(ioc, placing(), seen(S.CANCELLED, validity="IOC")).status is S.CANCELLED
    assert live(None, placing(), seen(S.REJECTED, reason="RMS")).reason == "RMS"


def test_an_act_has_one_row_with_its_decision() -> None:
    order = live(None, placing(), seen(S.OPEN))
    result = take_all(
        order,
        [
            ActNews(ACT, ActStage.SENT, at()),
            ActNews(ACT, ActStage.REFUSED, at() + 1, reason="no"),
            ActNews(ACT, ActStage.REFUSED, at() + 1, reason="no"),
        ],
    )

    assert [(row.decision_id, row.reason, row.status) for row in result.changes] == [(ACT, "no", S.OPEN)]
    at_once = take(order, ActNews(ACT, ActStage.DONE, at()))  # after a death between sending and its row
    assert [row.decision_id for row in at_once.changes] == [ACT]
    later = take(at_once.order, ActNews(ACT, ActStage.SENT, at()))
    assert (later.order, later.changes) == (at_once.order, ())


def test_a_cancellation_that_was_taken_is_on_its_way_until_the_order_is_seen_to_work_on() -> None:
    taken = ActNews(ACT, ActStage.DONE, at() + 10)
    order = take_all(live(), [placing(), seen(S.OPEN, received_ms=at()), taken]).order
    assert order.status is S.CANCEL_PENDING

    late = seen(S.OPEN, received_ms=at() + 10 + SECONDS_MS)  # which may have left before
    assert take(order, late).order.status is S.CANCEL_PENDING
    after = take(order, seen(S.OPEN, received_ms=at() + 11 + SECONDS_MS))
    assert [row.status for row in after.changes] == [S.OPEN]
    assert take(order, seen(S.CANCELLED)).order.status is S.CANCELLED


def test_a_change_that_was_taken_holds_until_the_broker_shows_the_order_again() -> None:
    taken = ActNews(ACT, ActStage.DONE, at() + 10, terms(12, limit=101))
    result = take_all(live(), [placing(), seen(S.OPEN, received_ms=at()), taken])
    assert (result.changes[-1].quantity, result.changes[-1].limit_price_e4) == (12, e4(101))

    refused = take(result.order, seen(S.OPEN, received_ms=at() + 11)).order
    assert (refused.now, refused.quantity) == (terms(), 10)
    ended = take(result.order, seen(S.CANCELLED, received_ms=at() + 9)).order
    assert (ended.now, ended.quantity) == (terms(), 10)
