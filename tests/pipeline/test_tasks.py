"""The tasks as doorbells ring them: any number of times, two at once, beside one that fails, over a real database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from alphapanda.core.vocabulary import Broker, DeploymentStatus, Waiting
from alphapanda.eventlog import doorbell
from alphapanda.eventlog.models import OutboxEvent
from alphapanda.proof import parity
from alphapanda.proof.recorded import deployments_over
from execution import tasks as execution
from execution.domain.charges import NoChargeCard
from execution.models import BrokerCall
from execution.services import paper
from marketdata.domain.stretch import stretch_of
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.reference import YESBANK_FILES
from marketdata.services.calendar import calendars_load_shipped
from portfolio import tasks as portfolio
from portfolio.audit import books_differences
from risk import tasks as risk
from strategies.models import Deployment
from strategies.services import lifecycle
from tests.pipeline.hand import Hand, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
BAD, GOOD = "Fast trend on NSE:YESBANK", "Trend on NSE:YESBANK"
SIGNALS = (risk.decide, execution.submit, portfolio.book, execution.settle)
DUES = (execution.match, portfolio.book, execution.settle)
Run = Callable[..., object]


@pytest.fixture(scope="module")
def played():
    """The first two hours of the recording, and the rows of a backtest over that."""
    recorded = recording(FILES, deployments_over(FILES))
    source = recorded.source()
    items = list(source.iter_from())[:700]
    runs = recorded.fold([stretch_of(items, first_seq=FIRST_SEQ)], source=source.source)
    return source, items, parity.of_accounts([run.account for run in runs])


class Ringing(Hand):
    """Rings whole chains as tasks, each link by `run`; nothing carries on by itself."""

    run_link: Run = staticmethod(lambda task, ids: task(deployment_ids=ids))

    def attach(self, monkeypatch):
        super().attach(monkeypatch)
        monkeypatch.setattr(doorbell, "carry_on", lambda _task: None)
        monkeypatch.setattr(doorbell, "ring_shard", lambda *_a, **_k: True)

    def ring_signals(self, deployment_ids: Sequence[str]) -> bool:
        return self._ring(SIGNALS, deployment_ids)

    def ring_due(self, deployment_ids: Sequence[str]) -> bool:
        return self._ring(DUES, deployment_ids)

    def _ring(self, links, deployment_ids) -> bool:
        self.rung.extend(
            (lambda ids, task=task: self.run_link(task, ids), list(deployment_ids)) for task in links
        )
        return True


def hand_over(monkeypatch, played, run_link: Run | None = None) -> Ringing:
    source, items, _ = played
    calendars_load_shipped()
    with override_settings(SHARDS=1):
        seeded(deployments_over(FILES))
    hand = Ringing(packed(items, source=source.source, batch=100))
    hand.attach(monkeypatch)
    if run_link:
        hand.run_link = run_link
    return hand


def times(count: int) -> Run:
    def run(task, ids):
        for _ in range(count):
            task(deployment_ids=ids)

    return run


def two_at_once(pool: ThreadPoolExecutor) -> Run:
    def here(task, ids):
        try:
            task(deployment_ids=ids)
        finally:
            connection.close()

    def run(task, ids):
        for copy in [pool.submit(here, task, ids), pool.submit(here, task, ids)]:
            copy.result(timeout=20)

    return run


def compared(played) -> tuple[int, list[object]]:
    assert books_differences().adds_up
    events = OutboxEvent.objects.values_list("event_id", flat=True)
    assert len(set(events)) == len(events)
    return parity.compare(played[2], parity.of_database())


@pytest.mark.parametrize("count", [2, 3])
def test_every_link_run_again_and_again_gives_the_same_rows(monkeypatch, played, count):
    hand_over(monkeypatch, played, times(count)).run()

    assert compared(played) == (0, [])


def test_every_link_run_twice_at_once_gives_the_same_rows(monkeypatch, played):
    with ThreadPoolExecutor(2) as pool:
        hand_over(monkeypatch, played, two_at_once(pool)).run()

    assert compared(played) == (0, [])


def test_whole_chains_in_any_order_give_the_same_rows(monkeypatch, played):
    """Links that come too early find nothing, the sweeper's chain does all."""

    def run(task, ids):
        for other in (*reversed(SIGNALS), *DUES, *SIGNALS, task):
            other(deployment_ids=ids)

    hand_over(monkeypatch, played, run).run()

    assert compared(played) == (0, [])


def test_a_deployment_whose_chain_raises_holds_up_no_other(monkeypatch, played):
    def dear(executions, changed, **more):
        if any(one.order.deployment_id == bad.id for one in executions):
            raise NoChargeCard("no rates")
        return charged(executions, changed, **more)

    hand = hand_over(monkeypatch, played)
    bad, charged = Deployment.objects.get(name=BAD), paper.charged
    monkeypatch.setattr(paper, "charged", dear)

    hand.run()

    bad.refresh_from_db()
    assert (bad.status, bad.waiting) == (DeploymentStatus.QUARANTINED, Waiting.DUE)
    assert "NoChargeCard: no rates" in bad.error
    wrong = {one.deployment for one in compared(played)[1]}
    assert wrong == {BAD}
    assert OutboxEvent.objects.filter(type="deployment.quarantined").count() == 1

    monkeypatch.setattr(paper, "charged", charged)
    execution.sweep()
    assert not hand.rung, "what is in quarantine waits for its release"
    lifecycle.deployment_release_quarantine(
        deployment_id=bad.id, actor="alice", reason="mended", now=timezone.now()
    )
    execution.sweep()
    hand.run()
    assert compared(played) == (0, [])


def test_a_deployment_of_another_broker_is_never_carried_out_on_paper(monkeypatch, played):
    hand = hand_over(monkeypatch, played)
    Deployment.objects.filter(name=BAD).update(broker=Broker.ZERODHA)

    hand.run()

    live = Deployment.objects.get(name=BAD)
    assert live.fills.count() == 0
    sent = {call.state for call in BrokerCall.objects.filter(order__order__deployment=live)}
    assert sent == {"READY"}, "what is meant for a broker waits for its process"
    assert live.orders.count() == BrokerCall.objects.count() > 0
    assert {one.deployment for one in compared(played)[1]} == {BAD}
