"""The palette: what is found by a name or an id."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from alphapanda.core.vocabulary import Side
from execution.models import BrokerName, BrokerOrder, Fill, Order
from risk.services.halts import halt_release, halt_throw
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


@pytest.mark.usefixtures("live_enabled")
def test_halts_are_found_by_what_they_halt_why_and_by_whom() -> None:
    own = world.desk(count=1).deployments[0]
    by = {"now": timezone.now(), "actor": "bob"}
    of_all = halt_throw(level="GLOBAL", reason="odd prices", **by)
    of_one = halt_throw(level="DEPLOYMENT", deployment_id=own.pk, reason="strange fills", **by)
    other = halt_throw(level="BROKER", broker="zerodha", reason="odd too", **by)
    halt_release(halt_id=of_all.pk, reason="fine", actor="ann", now=timezone.now())
    viewer = browser("viewer")

    def found(asked: str, **more: str) -> list[tuple[str, str]]:
        told = viewer.get("/find/", {"q": asked, **more}).json()["found"]
        return [(one["words"], one["address"]) for one in told if one["kind"] == "halt"]

    everything = ("halt of everything, released: odd prices", f"/risk/#switches-{of_all.pk}")
    one = (f"halt of {own.name}: strange fills", f"/risk/#switches-{of_one.pk}")
    assert found("halt") == found("bob") == [one, everything]
    assert found("ODD") == [everything]
    assert found(own.name) == [one]
    assert found("h") == found("nothing") == []
    assert (f"switches-{other.pk}", True) in [
        (address.partition("#")[2], "broker=zerodha" in address)
        for _, address in found("odd", broker="zerodha")
    ]
    before = f"{timezone.localtime() - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
    assert found("halt", at=before) == []


def test_acts_are_in_the_palette_of_who_may_act() -> None:
    assert 'data-opens="halt"' in browser("operator").get("/").content.decode()
    page = browser("viewer").get("/").content.decode()
    assert 'data-opens="halt"' not in page
    assert "Limits, halts" in page
