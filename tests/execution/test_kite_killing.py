"""The kill sweep: the largest exposure first, until a read of the book shows none of ours."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from uuid import uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.core.vocabulary import OrderStatus as S
from execution.domain.kite.killing import Plan, Sweep, Target, begun, hidden, plan, read, targets, told
from execution.domain.kite.orders import LiveOrder, Sending
from tests.builders import at, e4
from tests.kite_builders import HOUSE, ORDER, live, placing, seen, terms, traded

KILLED = at()


def an_order(number: int, quantity: int = 10, *, status: S = S.OPEN, **more: object) -> LiveOrder:
    own = {"order_id": str(number), "quantity": quantity}
    news = [placing(order_ids=(str(number),)), seen(status, **own, **more)]
    return live(terms(quantity), *news, order_id=uuid5(ORDER, str(number)))


def test_the_largest_exposure_goes_first_and_the_unknown_before_it() -> None:
    unpriced = an_order(9, 1, limit_price_e4=None)
    orders = [an_order(1, 5), an_order(2, 20), unpriced, an_order(3, 20)]

    assert [(one.broker_order_id, one.exposure) for one in targets(orders, {})] == [
        ("9", None), ("2", Decimal(2_000)), ("3", Decimal(2_000)), ("1", Decimal(500)),
    ]  # fmt: skip
    marked = targets(orders, {"NSE:STOCK7": e4(3_000)})
    assert [one.broker_order_id for one in marked] == ["2", "3", "1", "9"]


def test_what_ended_is_no_target_and_what_traded_counts_no_more() -> None:
    ended = [
        an_order(1, status=S.CANCELLED),
        an_order(2, status=S.REJECTED),
        live(None, placing(Sending.REFUSED)),
    ]
    waits_for_trades = live(None, placing(), seen(S.COMPLETE, 10))
    part = live(None, placing(), seen(S.OPEN, 4), traded(1, 4))

    assert targets([*ended, waits_for_trades], {}) == ()
    assert [one.exposure for one in targets([part], {})] == [Decimal(600)]


def test_orders_that_nobody_has_seen_are_hidden() -> None:
    orders = [
        live(None, placing(Sending.SUBMITTING)), live(None, placing(Sending.UNKNOWN), order_id=uuid5(ORDER, "2")),
        live(None, placing(Sending.NOT_PLACED)), an_order(1),
    ]  # fmt: skip

    assert hidden(orders) == (str(ORDER), str(uuid5(ORDER, "2")))


def test_it_cancels_what_we_know_before_it_has_read_anything() -> None:
    known = targets([an_order(1), an_order(2)], {})

    assert plan(begun(KILLED, known), KILLED, unseen=()) == Plan(known, KILLED)


def test_an_empty_book_of_ours_is_no_end_before_the_brokers_was_read_after_the_kill() -> None:
    sweep = begun(KILLED, ())
    assert not plan(sweep, KILLED, unseen=()).is_over
    sweep = read(sweep, KILLED - 1, ())
    assert not plan(sweep, KILLED + 9, unseen=()).is_over
    sweep = read(sweep, KILLED + 10, None)  # failed
    assert not plan(sweep, KILLED + 19, unseen=()).is_over
    sweep = read(sweep, KILLED + 20, ())
    assert plan(sweep, KILLED + 30, unseen=()) == Plan()
    assert not plan(sweep, KILLED + 30, unseen=("lost",)).is_over
    assert plan(sweep, KILLED + 30, unseen=("lost",)).hidden == ("lost",)


def test_it_looks_every_five_seconds_whether_reads_fail_or_not() -> None:
    sweep = read(begun(KILLED, targets([an_order(1)], {})), KILLED, None)
    assert plan(sweep, KILLED + 10, unseen=()).look_ms == KILLED + 5_000
    sweep = read(sweep, KILLED + 5_000, targets([an_order(1)], {}))
    assert plan(sweep, KILLED + 5_010, unseen=()).look_ms == KILLED + 10_000
    assert plan(sweep, KILLED + 90_000, unseen=()).look_ms == KILLED + 90_000


def test_an_order_is_cancelled_again_only_when_a_later_read_shows_it_still() -> None:
    book = targets([an_order(1)], {})
    sweep = told(begun(KILLED, book), "1", KILLED)
    assert plan(sweep, KILLED + 60_000, unseen=()).cancel == ()

    sweep = read(sweep, KILLED + 4_000, book)
    assert plan(sweep, KILLED + 4_999, unseen=()).cancel == ()
    assert plan(sweep, KILLED + 5_000, unseen=()).cancel == book


def test_what_three_cancellations_did_not_end_is_listed_with_the_brokers_words_and_goes_on() -> None:
    book = targets([an_order(1), an_order(2, 20)], {})
    sweep, now = begun(KILLED, book), KILLED
    for _ in range(3):
        assert plan(sweep, now, unseen=()).stubborn == ()
        sweep = told(sweep, "1", now, "cannot be cancelled")
        now += 5_000
        sweep = read(sweep, now, book)
    found = plan(sweep, now, unseen=())

    assert [(one.broker_order_id, tried.times, tried.words) for one, tried in found.stubborn] == [
        ("1", 3, "cannot be cancelled"),
    ]
    assert "1" in [one.broker_order_id for one in found.cancel]
    assert not found.is_over


def test_a_read_that_comes_late_does_not_bring_back_an_older_book() -> None:
    sweep = read(begun(KILLED, ()), KILLED + 2_000, ())
    sweep = read(sweep, KILLED + 1_000, targets([an_order(1)], {}))

    assert plan(sweep, KILLED + 3_000, unseen=()).is_over


@settings(max_examples=100)
@given(st.integers(0, 10**6))
def test_every_order_that_can_die_does_and_the_plan_says_so_only_then(seed: int) -> None:
    """A broker that loses cancellations and fails reads: it ends with an empty book, never before."""
    luck = Random(f"{HOUSE} {seed}")
    working = {
        str(n): Target(str(n), "regular", Decimal(luck.randint(0, 9))) for n in range(luck.randint(0, 12))
    }
    sweep: Sweep = begun(KILLED, tuple(one for one in working.values() if luck.random() < 0.7))
    now = KILLED
    for _ in range(400):
        todo = plan(sweep, now, unseen=())
        if todo.is_over:
            break
        ranks = [one.rank for one in todo.cancel]
        assert ranks == sorted(ranks), f"seed {seed}"
        for target in todo.cancel[:4]:
            sweep = told(sweep, target.broker_order_id, now)
            if luck.random() < 0.6:
                working.pop(target.broker_order_id, None)
            now += 125
        if todo.look_ms is not None and todo.look_ms <= now:
            book = None if luck.random() < 0.3 else tuple(working.values())
            sweep = read(sweep, now, book)
        now += luck.choice([50, 1_000])
    assert todo.is_over, f"seed {seed}"
    assert not working, f"seed {seed}"
