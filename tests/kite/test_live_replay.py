"""A deployment that trades at the simulator, folded again from its ticks and what the broker told: the same rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from alphapanda.core.vocabulary import Broker, Waiting
from alphapanda.deploying import Definition, spec
from alphapanda.engine.backtest import fold
from alphapanda.engine.live_account import LiveReport
from alphapanda.proof import parity
from alphapanda.replaying import NoReplay, replay
from execution.domain.live import Reported
from execution.models import BrokerCall, Fill, Order
from execution.reference import charge_cards
from execution.services.live import evidence
from marketdata import selectors
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ, pack
from marketdata.reference import load_calendars
from risk.services.approvals import approval_answer
from strategies import loading
from strategies.models import Approval, Command, Deployment, Report, Signal
from strategies.services.lifecycle import deployment_stop
from strategies.services.sharding import ladders_assign
from tests.kite import live as by_hand
from tests.kite.server import a_simulator, quoted, serving
from tests.kite.test_clearance import a_trader
from tests.pipeline.hand import INCARNATION, MemoryReader

pytestmark = pytest.mark.django_db(transaction=True)
SOURCE, STEP_S = 77, 10
PARAMS = {"fast": 2, "slow": 3, "quantity": 5}


def prices() -> list[float]:
    """Up and down, so that averages cross."""
    return [1500 + 2 * abs((number % 40) - 20) for number in range(110)]


@pytest.fixture(
    params=[{}, {"approval_s": 120}, {"is_stopped": True}], ids=["at once", "approved", "stopped"]
)
def traded(monkeypatch: Any, settings: Any, request: pytest.FixtureRequest) -> Any:
    """With approvals a person lets every second entry pass, as soon as it waits."""
    settings.ZERODHA_ENABLED = settings.LIVE_TRADING = True
    monkeypatch.setattr(selectors, "calendars", load_calendars)
    execution = dict(request.param)
    is_stopped = execution.pop("is_stopped", False)
    ticks = [quoted(price, number * STEP_S) for number, price in enumerate(prices())]
    with serving(a_simulator(ticks)) as served:
        live = by_hand.Live(served, monkeypatch, params=PARAMS, execution=execution)
        a_trader()
        log = live.hand.readers[0].values
        left: list[int] = []
        for number, tick in enumerate(ticks):
            log.append(pack([tick], source=SOURCE, first_seq=FIRST_SEQ + number))
            live.hand.run()
            if is_stopped:
                left.append(stop_as_it_leaves(live))
            live.work(advance_ms=STEP_S * 1_000 // 4, rounds=4)
            answer()
            Deployment.objects.filter(status="STOPPED").update(status="RUNNING", revision=F("revision") + 1)
        live.work()
        assert not is_stopped or max(left) > 1, "one at a time tells nothing of steps"
        yield live, ticks, execution


def stop_as_it_leaves(live: by_hand.Live) -> int:
    """Stop the deployment once its order is at the broker: all that becomes of it is told to one that reads nothing.
    How many reports were booked so."""
    if not BrokerCall.objects.filter(state="READY", kind="ORDER").exists():
        return 0
    while BrokerCall.objects.filter(state__in=("READY", "SENDING"), kind="ORDER").exists():
        live.served.advance(20)
        live.desk.round()
    facts = {"actor": "alice", "reason": "a test", "now": timezone.now()}
    deployment_stop(deployment_id=live.deployment.id, **facts)
    live.work(advance_ms=500, rounds=40)
    for _ in range(3):  # each look books the first that is left of a deployment, and what follows it
        evidence.book_what_is_left(timezone.now() + timedelta(seconds=1))
    return Report.objects.filter(told_at=None).exclude(booked_at=None).count()


def test_what_was_booked_while_it_stood_at_an_item_is_heard_before_the_next_item(
    monkeypatch: Any, settings: Any
) -> None:
    """Its reports have the steps that follow the item's; items that come after must not take them."""
    settings.ZERODHA_ENABLED = settings.LIVE_TRADING = True
    monkeypatch.setattr(selectors, "calendars", load_calendars)
    ticks = [quoted(price, number * STEP_S) for number, price in enumerate(prices())]
    with serving(a_simulator(ticks)) as served:
        live = by_hand.Live(served, monkeypatch, params=PARAMS)
        a_trader()
        log = live.hand.readers[0].values

        def append(number: int) -> None:
            log.append(pack([ticks[number]], source=SOURCE, first_seq=FIRST_SEQ + number))

        numbers = iter(range(len(ticks)))
        while not BrokerCall.objects.filter(state="READY", kind="ORDER").exists():
            append(next(numbers))
            live.hand.run()
        with transaction.atomic():
            ladders_assign({live.deployment.id})  # what it has at work is looked at with the next item
        for number in numbers:
            append(number)
            live.hand.shards[0].evaluate({0: len(log)})
            if Deployment.objects.get().waiting == Waiting.DUE:
                break
        step = Deployment.objects.get().step
        booked = stop_as_it_leaves(live)
        for _, number in zip(range(booked + 3), numbers, strict=False):
            append(number)
        Deployment.objects.update(status="RUNNING", revision=F("revision") + 1)
        live.work()

        reports = list(Report.objects.order_by("number").values_list("step", flat=True))
        assert booked > 1, "one at a time tells nothing of steps"
        assert reports[:booked] == [step + 2 + number for number in range(booked)]
        assert Report.objects.filter(told_at=None).count() == 0
        found = replay(by_hand.NAME, reader=live.hand.readers[0], incarnation=INCARNATION)
        assert (found.differences, found.first) == (0, [])


def answer() -> None:
    for approval in Approval.objects.filter(state=Approval.State.WAITING):
        approval_answer(
            signal_id=approval.pk,
            is_approved=Approval.objects.count() % 2 == 1,
            actor="alice",
            reason="a test",
            now=timezone.now(),
        )


def test_a_live_run_is_reproduced_from_ticks_and_reports(traded: Any) -> None:
    live, ticks, execution = traded
    definition = Definition(
        name=by_hand.NAME,
        strategy="ema_cross",
        instruments=("NSE:INFY",),
        params=PARAMS,
        broker=Broker.ZERODHA,
        execution=execution,
    )
    plan = spec(definition, lambda key: selectors.specs_by_key([key])[key])
    reports = {
        row.step: LiveReport(row.id, msgspec.convert(row.data, Reported, strict=False))
        for row in Report.objects.exclude(step=None)
    }
    commands = {row.step: loading.command_row(row) for row in Command.objects.exclude(step=None)}
    runs = fold(
        [stretch_of(ticks, first_seq=FIRST_SEQ)],
        [plan],
        source=SOURCE,
        calendar=load_calendars(),
        cards=charge_cards(),
        reports={plan.id: reports},
        commands={plan.id: commands},
    )

    assert (runs[0].error, Report.objects.filter(told_at=None).count()) == ("", 0)
    again = Signal.objects.exclude(approves=None)
    assert again.count() == len(commands) == Approval.objects.filter(state="APPROVED").count()
    assert bool(again) is bool(execution)
    assert (
        BrokerCall.objects.filter(order__order__decision__signal__in=again, kind="ORDER").count()
        == again.count()
    )
    assert Order.objects.count() > 2
    assert Fill.objects.count() > 2
    count, first = parity.compare(parity.of_accounts([run.account for run in runs]), parity.of_database())
    assert (count, first) == (0, [])
    found = replay(by_hand.NAME, reader=live.hand.readers[0], incarnation=INCARNATION)
    assert (found.differences, found.first, found.items) == (0, [], len(ticks))
    assert found.rows["fills"] == Fill.objects.count()


def test_what_cannot_be_folded_anew_is_refused_in_words() -> None:
    reader = MemoryReader([])
    with pytest.raises(NoReplay, match="there is no deployment 'Nobody'"):
        replay("Nobody", reader=reader, incarnation=INCARNATION)
    row = by_hand.deployed()
    with pytest.raises(NoReplay, match="has read nothing yet"):
        replay(by_hand.NAME, reader=reader, incarnation=INCARNATION)
    Deployment.objects.update(incarnation=INCARNATION, first_offset=None)
    with pytest.raises(NoReplay, match="not in this log"):
        replay(by_hand.NAME, reader=reader, incarnation=INCARNATION)
    Deployment.objects.update(first_offset=0, offset=2)
    with pytest.raises(NoReplay, match="message 0 of the log does not come"):
        replay(by_hand.NAME, reader=reader, incarnation=INCARNATION)
    Report.objects.create(id=uuid4(), deployment=row, number=1, data={})
    with pytest.raises(NoReplay, match="not heard yet"):
        replay(by_hand.NAME, reader=reader, incarnation=INCARNATION)
