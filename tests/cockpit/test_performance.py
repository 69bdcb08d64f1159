"""Performance out of the ledger: signs, sums, days."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alphapanda import projections
from alphapanda.core import ids
from alphapanda.core.clock import DAY_MS
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
    assert found["lines"] == [("stt", Decimal("40.2549"))]
    assert "₹40.2549" not in answer.content.decode()  # charges have two decimals in every sum
    assert "<svg" in found["equity"]
    one_day = viewer.get("/performance/?first=2019-07-10").context
    assert one_day["total"].net == Decimal(-100)
    assert not one_day["equity"]
    assert viewer.get("/performance/?first=never").status_code == 400
    assert viewer.get("/performance/?broker=zerodha").context["days"] == []
