"""What the page of strategies says of trades, of wins and of when a deployment was last seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from alphapanda import projections
from alphapanda.core.clock import DAY_MS
from alphapanda.core.vocabulary import Side
from alphapanda.dashboard import at_work
from alphapanda.push import readmodel
from alphapanda.web.formats import UNKNOWN
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_moment import now_passed
from tests.cockpit.test_moment import rows as rows_then
from tests.cockpit.test_pages import browser
from tests.cockpit.test_strategies import rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("exchange_hours")]
DAY_S = DAY_MS // 1000


def round_trip(own: SimpleNamespace, step: int, exit_e4: int) -> None:
    world.trade(own.deployments[0], step, Side.BUY, 100, 15_000_000)
    world.trade(own.deployments[0], step + 5, Side.SELL, 100, exit_e4)


@pytest.fixture
def shown() -> Callable[[], str]:
    viewer = browser("viewer")

    def row() -> str:
        projections.rebuild()
        (found,) = rows(viewer, "/strategies/", "traders")
        return found

    return row


def test_trades_of_the_day_and_how_many_of_all_were_won(shown: Callable[[], str]) -> None:
    own = world.desk(count=1)
    assert f'<td class="n wide">0</td><td class="n wide">{UNKNOWN}</td>' in shown()
    round_trip(own, 60, 16_000_000)
    round_trip(own, DAY_S + 60, 16_000_000)
    round_trip(own, DAY_S + 120, 14_000_000)
    world.trade(own.deployments[0], DAY_S + 180, Side.BUY, 100, 15_000_000)
    world.posted()
    assert '<td class="n wide">2</td><td class="n wide" title="2 of 3 won">67 %</td>' in shown()


def test_none_won_is_no_percent_and_not_unknown(shown: Callable[[], str]) -> None:
    own = world.desk(count=1)
    round_trip(own, 60, 14_000_000)
    world.posted()
    assert "0 of 1 won" in shown()
    assert ">0 %<" in shown()


def test_without_a_day_nobody_knows_how_many_of_its_trades_are_over(settings: Any) -> None:
    own = world.desk(count=1)
    round_trip(own, 60, 16_000_000)
    world.posted()
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    (row,) = rows(browser("viewer"), "/strategies/", "traders")
    assert f'<td class="n wide">{UNKNOWN}</td><td class="n wide" title="1 of 1 won">100 %</td>' in row


def test_a_past_moment_has_the_trades_of_then_and_not_when_it_was_seen() -> None:
    own = world.desk(count=1)
    round_trip(own, 60, 16_000_000)
    world.posted()
    Deployment.objects.update(checkpointed_at=timezone.now())
    at = now_passed()
    round_trip(own, 120, 14_000_000)
    (row,) = rows_then(browser("viewer"), "/strategies/", at, "traders")
    assert ">100 %<" in row
    assert " ago<" not in row


@pytest.mark.parametrize(
    ("age_s", "status", "is_open", "is_stale"),
    [
        (20, "RUNNING", True, False),
        (40, "RUNNING", True, True),
        (40, "PAUSED", True, True),
        (40, "STOPPED", True, False),
        (40, "RUNNING", False, False),
        (None, "RUNNING", True, True),
        (None, "RUNNING", False, False),
    ],
)
def test_when_it_was_last_seen_is_amber_where_ticks_come_and_it_writes_nothing(
    age_s: int | None, status: str, is_open: bool, is_stale: bool, shown: Callable[[], str]
) -> None:
    (deployment,) = world.desk(count=1).deployments
    seen = None if age_s is None else timezone.now() - timedelta(seconds=age_s)
    Deployment.objects.update(status=status, checkpointed_at=seen)
    hours = 3 if is_open else 12
    readmodel.stream_write(source="recorded", last_at_ms=world.START + hours * 3_600_000)
    told = at_work.last_seen([deployment.pk])[str(deployment.pk)]
    assert told["is_stale"] is is_stale
    words = "never" if is_stale and age_s is None else UNKNOWN if age_s is None else f"{age_s} s ago"
    row = shown()
    assert f">{words}<" in row
    assert (f'class="warn">{words}<' in row) is is_stale
