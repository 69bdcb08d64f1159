"""An entry that waits for a person is asked about, and not denied."""

from __future__ import annotations

import pytest

from alphapanda import projections
from alphapanda.core.vocabulary import Side
from strategies.models import Signal
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.rows import an_approval

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
PAGES = [("/", "signals"), ("/signals/", "signals"), ("/strategies/", "traders")]


@pytest.mark.parametrize(("path", "kind"), PAGES)
@pytest.mark.parametrize("rule", ["approval", "position_limit"])
def test_what_waits_for_a_person_is_not_called_denied(path: str, kind: str, rule: str) -> None:
    own = world.desk(count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000, denied=rule)
    if rule == "approval":
        an_approval(Signal.objects.get())
    projections.rebuild()
    viewer = browser("viewer")
    (row,) = viewer.get(path, headers=ROWS).json()["rows"][kind].values()

    page = viewer.get(f"/signals/{Signal.objects.get().pk}/").content.decode()
    assert (">asked<" in page, ">denied<" in page) == (rule == "approval", rule != "approval")
    assert (">asked<" in row) == (rule == "approval")
    assert (">denied<" in row) == (rule != "approval")
