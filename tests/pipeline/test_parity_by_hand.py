"""The pipeline's services, turned by hand, give the rows of the backtest whatever the batching and the deaths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import time
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from alphapanda.core import ids
from alphapanda.deploying import Definition
from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from marketdata.reference import YESBANK_FILES
from strategies import loading
from strategies.domain import registry
from strategies.domain.base import Bracket, Intent, Strategy, View
from strategies.models import Command, Deployment
from tests.pipeline.hand import Hand, packed, recording, seeded

FILES = [str(YESBANK_FILES[0])]


@pytest.fixture(scope="module")
def expected():
    recorded = recording(FILES, deployments_over(FILES))
    source = recorded.source()
    return source, parity.of_accounts([run.account for run in recorded.backtest(source)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("shards", "batch"), [(1, 2000), (2, 37)])
def test_rows_equal_the_backtest(monkeypatch, expected, shards, batch):
    source, rows = expected
    with override_settings(SHARDS=shards):
        seeded(deployments_over(FILES))
    hand = Hand(packed(source.iter_from(), source=source.source, batch=batch), shards=shards)
    hand.attach(monkeypatch)

    hand.run()

    count, first = parity.compare(rows, parity.of_database())
    assert (count, first) == (0, [])


class Guarded(Strategy):
    """Enters with brackets at times of day and at fills, so that every guard of the platform has work."""

    name = "guarded"

    def timers(self) -> tuple[time, ...]:
        return time(9, 30), time(10, 45), time(13, 0), time(15, 18)

    def bar_minutes(self) -> tuple[int, ...]:
        return (1,)

    def on_timer(self, state: Any, at: time, view: View) -> Iterable[Intent]:
        act = view.buy if at.hour % 2 else view.sell
        near = Bracket(stop=Decimal("0.30"), target=Decimal("0.25"))
        yield act(100, reason=f"at {at:%H:%M}", bracket=near)
        yield act(30, reason="trailed", bracket=Bracket(trail=Decimal("0.20"), minutes=40))

    def on_fill(self, state: Any, fill: Any, view: View) -> Iterable[Intent]:
        if fill.quantity == 30:
            yield view.buy(7, limit_price=fill.price - Decimal("0.40"), bracket=Bracket(minutes=15))


def command_given() -> None:
    deployment = Deployment.objects.get()
    Command.objects.create(
        id=ids.derived("test", "command"),
        deployment=deployment,
        kind="FLATTEN",
        reason="drill",
        actor="alice",
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("batch", "flattened_at"), [(2000, None), (41, 5), (173, 25)])
def test_guards_and_commands_do_the_same_in_the_pipeline(monkeypatch, batch, flattened_at):
    monkeypatch.setattr(registry, "known", lambda: {"guarded": Guarded})
    monkeypatch.setattr("alphapanda.deploying.known", registry.known)
    definitions = [Definition(name="guarded", strategy="guarded", instruments=("NSE:YESBANK",))]
    recorded = recording(FILES, definitions)
    source = recorded.source()
    seeded(definitions)
    hand = Hand(packed(source.iter_from(), source=source.source, batch=batch), shards=1)
    hand.attach(monkeypatch)
    if flattened_at:  # an operator's act while the log is being read
        every, hand.readers[0].values = hand.readers[0].values, hand.readers[0].values[:flattened_at]
        hand.run()
        command_given()
        hand.readers[0].values = every

    hand.run()

    commands = defaultdict(dict)
    for row in Command.objects.all():
        commands[row.deployment_id][row.step] = loading.command_row(row)
    runs = recorded.backtest(source, commands=commands)
    assert Command.objects.filter(step=None).count() == 0
    found = parity.of_database()
    origins = {row["origin"] for row in found["guarded"]["signals"]}
    assert origins == {"STRATEGY", "BRACKET", "SQUARE_OFF"} | ({"OPERATOR"} if flattened_at else set())
    assert parity.compare(parity.of_accounts([run.account for run in runs]), found) == (0, [])
