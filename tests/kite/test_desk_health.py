"""Live trading as a stage of the health page."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from alphapanda import deploying, health_broker
from alphapanda.core.clock import ist_day, to_ms
from alphapanda.core.vocabulary import Broker
from alphapanda.health.registry import Level, Status
from execution import live_selectors
from execution.domain.kite.budgets import Spent
from execution.models import BrokerDesk, Difference

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def enabled(settings: Any) -> None:
    settings.ZERODHA_ENABLED = True


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def a_desk(**facts: Any) -> BrokerDesk:
    at_work = {"house": "h", "seen_at": ago(0), "reconciled_at": ago(1)}
    return BrokerDesk.objects.create(broker="zerodha", **at_work | facts)


def lines() -> dict[str, Level]:
    found = health_broker.live_desk()
    return {"": found.level} if isinstance(found, Status) else {key: one.level for key, one in found.items()}


def test_nothing_is_asked_where_live_trading_is_off(settings: Any) -> None:
    settings.ZERODHA_ENABLED = False

    assert lines() == {"": Level.OK}


def test_a_desk_that_never_ran_fails() -> None:
    assert lines() == {"": Level.FAIL}


def test_a_desk_at_work_is_well() -> None:
    a_desk()

    assert set(lines().values()) == {Level.OK}


@pytest.mark.parametrize(
    ("facts", "line", "level"),
    [
        ({"seen_at": None}, "process", Level.FAIL),
        ({"seen_at": 6}, "process", Level.WARN),
        ({"seen_at": 20}, "process", Level.FAIL),
        ({"stopped": "no token"}, "process", Level.FAIL),
        ({"reconciled_at": None}, "book", Level.WARN),
        ({"reconciled_at": 100}, "book", Level.WARN),
        ({"reconciled_at": 400}, "book", Level.FAIL),
    ],
)
def test_what_is_wrong_with_a_desk_is_one_line(facts: dict[str, Any], line: str, level: Level) -> None:
    a_desk(**{name: ago(value) if isinstance(value, int) else value for name, value in facts.items()})

    found = lines()
    assert found.pop(line) is level
    assert set(found.values()) == {Level.OK}


@pytest.mark.parametrize(("opening", "level"), [("1000000", Level.OK), ("980000", Level.WARN)])
def test_books_that_may_spend_more_than_the_account_has_are_told_of(opening: str, level: Level) -> None:
    a_desk(funds={"equity": {"opening": opening, "net": "5"}})
    deploying.portfolio_of(Broker.ZERODHA, starting_cash=Decimal(1_000_000))

    found = lines()
    assert found.pop("funds") is level
    assert set(found.values()) == {Level.OK}


@pytest.mark.parametrize(
    ("placed", "level"), [(4_799, Level.OK), (4_800, Level.WARN), (4_999, Level.WARN), (5_000, Level.FAIL)]
)
def test_a_day_in_which_nothing_may_be_placed_any_more_is_told(
    monkeypatch: pytest.MonkeyPatch, placed: int, level: Level
) -> None:
    a_desk()
    spent = Spent(day=ist_day(to_ms(timezone.now())), placed=placed)
    monkeypatch.setattr(live_selectors, "spent_today", lambda _now_ms: spent)

    assert lines()["orders"] is level


def test_an_open_difference_fails() -> None:
    a_desk()
    Difference.objects.create(kind="POSITION", key="2", first_seen_at=ago(9), seen_at=ago(9))
    assert lines()["differences"] is Level.FAIL
