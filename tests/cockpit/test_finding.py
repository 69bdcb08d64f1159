"""The palette: what is found by a name or an id."""

from __future__ import annotations

import pytest

from alphapanda.core.vocabulary import Side
from execution.models import BrokerName, BrokerOrder, Fill, Order
from strategies.models import Signal
from tests.cockpit import world
from tests.cockpit.test_pages import browser

pytestmark = pytest.mark.django_db


def test_instruments_are_found_by_name_and_things_by_the_beginning_of_their_id() -> None:
    own = world.desk(count=2)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    viewer = browser("viewer")

    def found(asked: str) -> list[str]:
        return [one["address"] for one in viewer.get("/find/", {"q": asked}).json()["found"]]

    assert found("infy") == ["/chart/NSE:INFY/"]
    assert found("nse:reli") == ["/chart/NSE:RELIANCE/"]
    assert found("bse:reli") == []
    assert found("I") == found("") == found("\0") == found("zzz%") == []
    for kind, model in (("orders", Order), ("fills", Fill), ("signals", Signal)):
        name = str(model.objects.get().pk)
        assert found(name) == [f"/{kind}/{name}/"]
        assert f"/{kind}/{name}/" in found(name[:8])
    deployment = own.deployments[0].pk
    assert found(str(deployment)) == [f"/strategies/{deployment}/"]
    assert all(viewer.get(address).status_code == 200 for address in found("infy"))


@pytest.mark.usefixtures("live_enabled")
def test_an_order_is_found_by_the_brokers_id_and_by_its_tag() -> None:
    own = world.desk("zerodha", count=1)
    world.trade(own.deployments[0], 60, Side.BUY, 100, 15_000_000)
    row = BrokerOrder.objects.create(order=Order.objects.get(), state={})
    for name in ("1148449197658210305", "APCY8EDG2XQVX9FCQW09"):
        BrokerName.objects.create(name=name, order=row)
    viewer = browser("viewer")
    for asked in ("1148449197658210305", "114844", "apcy8e"):
        (found,) = viewer.get("/find/", {"q": asked}).json()["found"]
        assert found["address"] == f"/orders/{row.pk}/"
    assert viewer.get("/find/", {"q": "114845"}).json()["found"] == []


def test_acts_are_in_the_palette_of_who_may_act() -> None:
    assert 'data-opens="halt"' in browser("operator").get("/").content.decode()
    page = browser("viewer").get("/").content.decode()
    assert 'data-opens="halt"' not in page
    assert "Limits, halts" in page
