"""Performance out of the ledger: signs, sums, days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from alphapanda import projections
from alphapanda.core import ids
from alphapanda.core.clock import DAY_MS
from alphapanda.dashboard.performance import fall_of
from portfolio.models import LedgerEntry
from tests.cockpit import world
from tests.cockpit.test_pages import browser

pytestmark = pytest.mark.django_db


def entry(own: object, number: int, account: str, amount: str, at_ms: int) -> None:
    """An account of the ledger that gains; what a book earns it loses."""
    book = own.portfolio.books.first()
    fill = ids.derived("fill", at_ms, number)
    LedgerEntry.objects.create(
        id=ids.derived("entry", at_ms, number), book=book, portfolio=own.portfolio, instrument=own.instruments[0],
        fill_id=fill, number=number, account=account, amount=Decimal(amount), at_ms=at_ms,
    )  # fmt: skip


@pytest.mark.usefixtures("live_enabled")
def test_what_was_earned_and_what_it_cost_by_day() -> None:
    own = world.desk(count=1)
    viewer = browser("viewer")
    assert "Nothing is booked" in viewer.get("/performance/").content.decode()
    entry(own, 1, "REALISED", "-500", world.START)
    entry(own, 2, "CHARGES:stt", "40.2549", world.START)
    entry(own, 3, "REALISED", "100", world.START + DAY_MS)
    entry(own, 4, "CASH", "999", world.START)
    projections.rebuild()

    answer = viewer.get("/performance/")
    found = answer.context
    assert (found["total"].net, found["total"].charges) == (Decimal("359.7451"), Decimal("40.2549"))
    assert [(day.isoformat(), sums.net) for day, sums in found["days"]] == [
        ("2019-07-10", Decimal(-100)),
        ("2019-07-09", Decimal("459.7451")),
    ]
    assert [(month.isoformat(), sums.net) for month, sums in found["months"]] == [
        ("2019-07-01", Decimal("359.7451"))
    ]
    assert (found["fall"].deepest, found["fall"].now, found["won"]) == (Decimal(100), Decimal(100), 1)
    page = answer.content.decode()
    assert 'title="From 9 Jul 2019 to 10 Jul 2019, by whole days">₹100.00 <small>now ₹100.00<' in page
    assert f'<a href="/strategies/{own.deployments[0].pk}/">' in page
    assert '<a href="/journal/?first=2019-07-10&amp;last=2019-07-10">' in page
    assert found["lines"] == [("stt", Decimal("40.2549"))]
    assert "₹40.2549" not in answer.content.decode()  # charges have two decimals in every sum
    assert "<svg" in found["equity"]
    one_day = viewer.get("/performance/?first=2019-07-10").context
    assert one_day["total"].net == Decimal(-100)
    assert not one_day["equity"]
    assert viewer.get("/performance/?first=never").status_code == 400
    assert viewer.get("/performance/?broker=zerodha").context["days"] == []


@pytest.mark.parametrize(
    ("nets", "fall"),
    [
        ([], (0, None, None, 0)),
        ([5, 3], (0, None, None, 0)),
        ([-4, 1], (4, None, 1, 3)),
        ([10, -3, 1, -6, 20, -2], (8, 1, 4, 2)),
        ([10, -3, 5, -3, 3], (3, 1, 2, 0)),
    ],
)
def test_how_deep_profit_fell_below_its_best(nets: list[int], fall: tuple[int | None, ...]) -> None:
    days = {date(2019, 7, place): Decimal(net) for place, net in enumerate(nets, start=1)}
    found = fall_of(days)
    on = [one and one.day for one in (found.peak, found.trough)]
    assert (found.deepest, *on, found.now) == fall
