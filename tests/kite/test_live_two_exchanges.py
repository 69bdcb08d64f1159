"""One share that two deployments hold at two exchanges: the account has one heap of it, whoever sells from that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alphapanda import deploying
from alphapanda.core.vocabulary import Broker, Product
from alphapanda.deploying import Definition
from execution.models import Difference
from execution.services.differences import difference_accept
from portfolio.models import Position
from strategies.models import Command, Deployment
from tests.kite.live import Live
from tests.kite.looks import Started, looks, open_differences, order_of_others, tick
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
