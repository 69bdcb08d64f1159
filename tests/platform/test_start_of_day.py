"""The gate of the day: every check can fail, and all of them are told."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from alphapanda import start_of_day
from alphapanda.preflight import Missing
from alphapanda.tasks import audit
from execution.models import Order
from marketdata.models import Holiday, Instrument
from portfolio.models import Position
from risk.models import Alert, LimitSet, LimitsInForce, StartOfDay
from strategies.models import Deployment
from tests.rows import (
    a_book,
    a_broker_account,
    a_decision,
    a_deployment,
    a_signal,
    an_instrument,
    an_order,
    one_of_each,
)

pytestmark = pytest.mark.django_db
YESTERDAY = timezone.now().date() - timedelta(days=2)


def bound() -> Deployment:
    deployment = a_deployment()
    LimitSet.objects.create(level="GLOBAL", order_value=Decimal(5))
    return deployment


@pytest.mark.usefixtures("exchange_hours")
def test_a_good_day_passes():
    deployment = bound()
    a_book(deployment)
    Holiday.objects.create(exchange="NSE", date=timezone.now().date() + timedelta(days=400), name="far")

    for name, check in start_of_day.CHECKS.items():
        if name not in ("redis", "log", "database"):
            assert check(), name


def _master() -> None:
    a_deployment()
    Instrument.objects.update(is_listed=False)


def _expired() -> None:
    a_deployment()
    Instrument.objects.update(expiry=YESTERDAY)


def _unbound() -> None:
    a_deployment()


def _old_limits() -> None:
    other = bound()
    LimitsInForce.objects.filter(deployment=other).delete()


def _quarantined() -> None:
    a_deployment(status="QUARANTINED")


def _waiting() -> None:
    a_deployment(waiting="SIGNALS", waiting_since=timezone.now() - timedelta(minutes=2))


def _thin_air() -> None:
    Position.objects.create(book=a_book(a_deployment()), instrument=an_instrument(), quantity=5)


def _oversized() -> None:
    order = an_order(a_decision(a_signal(a_deployment())))
    Order.objects.filter(pk=order.pk).update(quantity=11)


def _alert() -> None:
    Alert.objects.create(code="x", severity="CRITICAL", subject="y", text="z")


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("calendar", lambda: None, "holidays are known until None"),
        ("instruments", _master, "no longer listed, or expired: NSE:INFY"),
        ("instruments", _expired, "no longer listed, or expired: NSE:INFY"),
        ("limits", _unbound, "no limit binds ma-infy"),
        ("limits", _old_limits, "the limits in force of ma-infy"),
        ("books", _thin_air, "the books do not add up"),
        ("deployments", _quarantined, "in quarantine: ma-infy"),
        ("deployments", _waiting, "waiting for their chain: ma-infy"),
        ("orders", _oversized, "1 orders are larger than what was decided"),
        ("dead letters", one_of_each, "1 to look at"),
        ("alerts", _alert, "1 critical to acknowledge"),
        ("broker", a_broker_account, "no token of main: log in to Kite on the page Broker"),
    ],
)
def test_each_check_can_fail(name, spoil, said):
    spoil()
    with pytest.raises(Missing, match=said):
        start_of_day.CHECKS[name]()


@pytest.mark.parametrize(("quantity", "alerts"), [(10, 0), (11, 1)])
def test_an_order_larger_than_its_signal_is_an_alert(quantity, alerts):
    order = an_order(a_decision(a_signal(a_deployment())))
    Order.objects.filter(pk=order.pk).update(quantity=quantity)

    audit()

    assert Alert.objects.filter(code="oversized_order", text__contains=str(order.pk)).count() == alerts


@pytest.mark.parametrize("setting", [{"FEED": "kite"}, {"ZERODHA_ENABLED": True}])
def test_a_day_at_kite_wants_an_account(setting, settings):
    assert start_of_day.broker_tokens() == "no broker account is active"
    for name, value in setting.items():
        setattr(settings, name, value)
    with pytest.raises(Missing, match="no broker account is active: make one"):
        start_of_day.broker_tokens()


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(start_of_day, "DISK_FREE_MIN", 1 << 60)
    with pytest.raises(Missing, match="MiB free"):
        start_of_day.disk()


def test_the_command_records_what_it_found(monkeypatch, capsys):
    def bad() -> str:
        raise Missing("not right")

    monkeypatch.setattr(start_of_day, "CHECKS", {"good": lambda: "fine", "bad": bad})
    with pytest.raises(SystemExit):
        call_command("start_of_day", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False
    assert [finding["is_good"] for finding in told["findings"]] == [True, False]
    monkeypatch.setattr(start_of_day, "CHECKS", {"good": lambda: "fine"})
    call_command("start_of_day")
    assert "passed" in capsys.readouterr().out
    assert StartOfDay.objects.get().is_passed
    monkeypatch.setattr(start_of_day, "CHECKS", {"bad": bad})
    with pytest.raises(SystemExit):
        call_command("start_of_day")
    assert "not passed; it had passed before" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call_command("start_of_day", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["day_passed"]) == (False, True)
