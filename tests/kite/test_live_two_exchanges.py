"""One share that two deployments hold at two exchanges: the account has one heap of it, whoever sells from that."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, OrderStatus, Product, Side
from alphapanda.deploying import Definition
from execution.domain.kite.rows import Where
from execution.models import Difference, ExternalOrder, Fill
from execution.services.differences import difference_accept
from execution.services.live import external, looking, taking
from portfolio.models import Position
from strategies.models import Command, Deployment
from tests.kite.live import Live
from tests.kite.looks import Started, looks, open_differences, order_of_others, tick
from tests.kite.test_live_taken import fired
from tests.kite_builders import snapshot, trade
from tests.rows import an_instrument

pytestmark = pytest.mark.django_db(transaction=True)
AT_BSE = "Live on BSE:INFY"


def hold_at_bse(quantity: int) -> None:
    """A second deployment, whose books hold so many of the seven shares that lie in the depository."""
    share = an_instrument(exchange="BSE", instrument_token=128046084, segment="BSE")
    portfolio_id = deploying.portfolio_of(Broker.ZERODHA, starting_cash=Decimal(1_000_000))
    definition = Definition(
        name=AT_BSE,
        strategy="ema_cross",
        instruments=("BSE:INFY",),
        broker=Broker.ZERODHA,
        product=Product.CNC,
    )
    deploying.deploy([definition], portfolio_id=portfolio_id)
    book_id = Deployment.objects.get(name=AT_BSE).id
    Position.objects.create(book_id=book_id, instrument=share, quantity=quantity, cost=1_400 * quantity)


def accept(live: Live) -> dict[str, list[tuple[str, int]]]:
    """What a person accepts, as each deployment is told of it."""
    row = Difference.objects.get(settled_at=None, kind="TAKEN")
    difference_accept(difference_id=row.pk, actor="alice", reason="sold in the app", now=live.now())
    told: dict[str, list[tuple[str, int]]] = {}
    for one in Command.objects.filter(kind="TAKEN").select_related("deployment"):
        told.setdefault(one.deployment.name, []).append((one.taken["instrument"], one.taken["units"]))
    return told


@pytest.mark.parametrize(
    ("sold", "left"),
    [(8, {"NSE:INFY": -6}), (13, {"NSE:INFY": -10, "BSE:INFY": -1})],
)
def test_what_a_person_sold_leaves_the_books_of_all_who_hold_the_share(
    started: Started, sold: int, left: dict[str, int]
) -> None:
    """Ten are held at one exchange, five at the other, and two lie there beside them."""
    live = started(product=Product.CNC)
    hold_at_bse(5)
    looks(live)
    live.want(quantity=10, product=Product.CNC)
    live.work()
    tick(live)
    looks(live)
    assert open_differences() == []
    order_of_others(live, quantity=sold, product="CNC")
    looks(live, 2)
    assert open_differences() == [("TAKEN", "BSE:INFY CNC", "15", str(17 - sold))]

    told = [one for each in accept(live).values() for one in each]
    totals = {name: sum(units for key, units in told if key == name) for name, _ in told}

    assert totals == left
    live.hand.run()
    looks(live, 2)
    assert open_differences() == []


@pytest.mark.parametrize(("product", "names"), [("CNC", ["BSE:INFY"]), ("MIS", ["NSE:INFY"])])
def test_what_was_sold_leaves_no_books_that_hold_it_as_another_product(
    started: Started, product: str, names: list[str]
) -> None:
    live = started()
    hold_at_bse(5)
    live.want(quantity=10)
    live.work()

    with transaction.atomic():
        found = taking._holders(Where("NSE:INFY", product), -5)

    assert [place.instrument for _, place, _ in found] == names


@pytest.mark.parametrize("exchange", ["NSE", "BSE"])
def test_what_a_gtt_sold_explains_nothing_more_once_it_is_booked(started: Started, exchange: str) -> None:
    """At whatever exchange the units were held that have left."""
    live = started(product=Product.CNC)
    live.want(quantity=10, product=Product.CNC)
    live.work()
    at_nse = {"order_id": "g1", "instrument": "NSE:INFY", "side": Side.SELL, "product": "CNC"}
    sold = snapshot(OrderStatus.COMPLETE, 10, tags=(), **at_nse)
    external.keep([sold], live.now())
    ExternalOrder.objects.update(gtt=fired(live))
    row = Difference(kind="TAKEN", key="NSE:INFY CNC", ours="10", theirs="0")
    book = looking.Book(0, (sold,), (trade(**at_nse),))
    assert taking.is_of_our_gtts(row, book, live.now())

    bought = Fill.objects.get()
    facts = {name: getattr(bought, name) for name in ("order", "deployment", "broker", "step", "charges")}
    facts |= {"quantity": 10, "price_e4": 14_999_000, "at_ms": bought.at_ms, "side": Side.SELL}
    share = an_instrument(exchange=exchange, instrument_token=128046084, segment=exchange)
    Fill.objects.create(id=uuid4(), number=2, instrument=share, source="ELSEWHERE", **facts)

    assert not taking.is_of_our_gtts(row, book, live.now())
