"""Risk: what is left of limits, what is halted."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from alphapanda import projections
from risk.domain.limits import Limits
from risk.models import LimitSet
from risk.services.halts import halt_release, halt_throw
from risk.services.terms import terms_refresh
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    world.desk(count=1)
    projections.rebuild()
    return browser("operator")


def rows(client: Client, path: str, kind: str) -> list[str]:
    return list(client.get(path, headers=ROWS).json()["rows"][kind].values())


def test_each_limit_says_what_is_left_of_it(operator: Client) -> None:
    page = operator.get("/risk/").content.decode()
    assert "No limit is set" in page
    assert "/admin/risk/limitset/" not in page  # without access to Admin it would end at a login
    User.objects.update(is_staff=True)
    assert "/admin/risk/limitset/" in operator.get("/risk/").content.decode()
    LimitSet.objects.create(level="GLOBAL", daily_orders=10, order_quantity=50)
    found = rows(operator, "/risk/", "limits")
    page = operator.get("/risk/").content.decode()
    assert all(html in page for html in found)
    (orders,) = [html for html in found if "daily_orders" in html]
    assert "<td>10</td>" in orders.replace(' class="n"', "")
    assert "0.0 percent used" in orders


def test_limits_have_the_words_and_units_of_people(operator: Client) -> None:
    given = {"daily_loss": 150_000, "daily_orders": 10_000, "collar_percent": "1.5", "entries_from": "09:20"}
    given |= {"price_age_ms": 2_500, "products": ["MIS", "CNC"]}
    LimitSet.objects.create(level="GLOBAL", **given)
    found = "".join(rows(operator, "/risk/", "limits"))
    for words in ("₹1,50,000.00", "₹0.00", "10,000", "1.50 %", "2.5 s", "CNC, MIS", "09:20:00"):
        assert f">{words}</td>" in found
    assert found.count("₹") == 3 * found.count(">loss of the day</td>") > 0
    assert not [name for name in Limits.__struct_fields__ if "_" in name and f">{name}<" in found]


def test_a_limit_of_nothing_is_used_up_and_stands_first(operator: Client) -> None:
    given = {"position_quantity": 0, "daily_loss": 0, "collar_ticks": 0, "loss_flatten": 0}
    given |= {"daily_orders": 10, "orders_per_minute": 10, "exit_lane": 10}
    LimitSet.objects.create(level="GLOBAL", **given)
    found = rows(operator, "/risk/", "limits")
    spent = [("used up" in html, html.partition('title="')[2].partition('"')[0]) for html in found]

    own = {name for is_spent, name in spent if is_spent}
    assert own == {"position_quantity", "daily_loss", "daily_orders", "orders_per_minute"}
    assert [is_spent for is_spent, _ in spent] == sorted((is_spent for is_spent, _ in spent), reverse=True)
    assert all("100.0 %" in html for html in found if 'title="position_quantity"' in html)
    assert ">100.0 %<" in operator.get("/").content.decode()  # the tightest, at a glance


def test_limits_of_many_deployments_cost_no_more_questions_than_of_few() -> None:
    own = world.desk(count=6).deployments
    LimitSet.objects.create(level="GLOBAL", daily_orders=10, gross_exposure=100_000, margin=100_000)
    terms_refresh()
    projections.rebuild()
    viewer = browser("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert viewer.get("/risk/", headers=ROWS).status_code == 200
        return len(asked)

    def least() -> int:
        """Without what is asked once in a process, or once in some seconds of the wall's clock."""
        return min(queries() for _ in range(3))

    of_all = least()
    Deployment.objects.exclude(pk__in=[one.pk for one in own[:2]]).update(status="STOPPED")
    assert of_all == least()


def test_halts_are_shown_with_the_way_back(operator: Client) -> None:
    halt = halt_throw(level="GLOBAL", reason="odd prices", actor="bob", now=timezone.now())
    halt_throw(level="BROKER", broker="zerodha", reason="other side", actor="bob", now=timezone.now())
    (shown,) = rows(operator, "/risk/", "switches")
    assert "odd prices" in shown
    assert f"/api/v1/halts/{halt.pk}/release/" in shown
    halt_release(halt_id=halt.pk, reason="fine", actor="ann", now=timezone.now())
    (shown,) = rows(operator, "/risk/", "switches")
    assert "released" in shown
    assert "/release/" not in shown
