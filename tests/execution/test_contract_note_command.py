"""The contract note of a day's fills, beside what is booked."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from execution.models import Fill
from marketdata.models import Instrument
from strategies.models import Deployment
from tests.rows import AT_MS, a_book, a_decision, a_deployment, a_signal, an_instrument, an_order

pytestmark = pytest.mark.django_db
DAY = "2019-07-09"


def traded(*fills: tuple[str, int, int], deployment: Deployment | None = None, **facts: Any) -> Deployment:
    """Fills of INFY (side, quantity, rupees), each in an order of its own, with 1.25 rupees of STT booked."""
    if deployment is None:
        deployment = a_deployment("ema")
        a_book(deployment)
    for step, (side, quantity, price) in enumerate(fills, start=Fill.objects.count() + 1):
        order = an_order(a_decision(a_signal(deployment, step)))
        values = {
            "order": order, "number": 1, "deployment": deployment, "broker": "paper",
            "instrument": order.instrument, "step": step, "side": side, "quantity": quantity,
            "price_e4": price * 10_000, "charges": {"stt": "1.25"}, "at_ms": AT_MS + step,
        }  # fmt: skip
        Fill.objects.create(id=order.pk, **(values | facts))
    return deployment


def noted(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    call_command("contract_note", *(arguments or ("--portfolio", "paper")), "--day", DAY, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_day_trade_is_intraday_on_the_note_though_its_orders_said_delivery(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """E2's trade at the oldest card, whose rates stand in for those of 2019: 204.39, STT 110."""
    traded(("BUY", 400, 1_000), ("SELL", 400, 1_100))
    found = noted(capsys)

    [note] = found["notes"]
    assert (note["exchange"], note["bought"], note["sold"]) == ("NSE", "400000.00", "440000.00")
    assert (note["lines"]["stt"], note["lines"]["brokerage"]) == ("110.00", "40.00")
    assert note["charged"] == "204.39"
    assert found["depository"] == {}
    assert found["booked"] == {"stt": "2.50"}
    assert found["difference"] == "201.89"
    assert found["is_assumed"] is True


def test_what_leaves_the_depository_is_charged_beside_the_note(capsys: pytest.CaptureFixture[str]) -> None:
    traded(("SELL", 10, 1_000))
    assert noted(capsys)["depository"] == {"depository": "13.50", "gst": "2.43"}


def test_fills_of_other_days_and_other_portfolios_are_not_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    deployment = traded(("BUY", 10, 1_000))
    traded(("SELL", 10, 1_000), deployment=deployment, at_ms=AT_MS + 86_400_000)
    traded(("SELL", 10, 1_000), deployment=a_deployment("without a book"))
    [note] = noted(capsys, "--broker", "paper")["notes"]
    assert (note["bought"], note["sold"]) == ("10000.00", "0.00")


def test_it_is_shown_to_people_with_what_it_takes_beyond_the_books(
    capsys: pytest.CaptureFixture[str],
) -> None:
    traded(("BUY", 400, 1_000), ("SELL", 400, 1_100))
    call_command("contract_note", "--portfolio", "paper", "--day", DAY)
    out = capsys.readouterr().out
    assert "take 201.89 rupees more than is booked" in out
    assert "those of the oldest card stand in" in out


def test_what_cannot_be_charged_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    traded(("BUY", 10, 1_000))
    Instrument.objects.filter(pk=an_instrument().pk).update(exchange="NCDEX")
    with pytest.raises(CommandError, match="EQ on NCDEX is of no segment"):
        noted(capsys)
    with pytest.raises(CommandError, match="there are: paper"):
        noted(capsys, "--portfolio", "nobody")
    assert Decimal(Fill.objects.get().charges["stt"]) == Decimal("1.25")
