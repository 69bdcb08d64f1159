"""A live deployment by hand against the Kite simulator: real services and database, orders over real HTTP."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import BrokerSession
from alphapanda import deploying
from alphapanda.core import ids
from alphapanda.core.clock import to_datetime
from alphapanda.core.vocabulary import Broker, OrderType, Product, SignalKind, Validity, Waiting
from alphapanda.deploying import Definition
from alphapanda.kite.client import Access
from alphapanda.proof.kite_world import let_run
from execution.models import BrokerCall, Order
from execution.services.live.desk import Desk
from marketdata.models import Instrument
from marketdata.services import instruments
from strategies.models import Deployment, Signal
from tests.kite.server import Served
from tests.pipeline.hand import Hand
from tests.rows import a_broker_account

NAME = "Live on NSE:INFY"
ROUNDS_MAX = 400


def deployed(**more: Any) -> Deployment:
    """A deployment at zerodha that decides nothing by itself, for it is given no tick."""
    instruments.load_shipped(now=timezone.now())
    portfolio_id = deploying.portfolio_of(Broker.ZERODHA, starting_cash=Decimal(1_000_000))
    definition = Definition(
        name=NAME, strategy="ema_cross", instruments=("NSE:INFY",), broker=Broker.ZERODHA, **more
    )
    deploying.deploy([definition], portfolio_id=portfolio_id)
    let_run()
    return Deployment.objects.get(name=NAME)


class Live:
    """The pipeline and the broker's process, one step after the other; time is the simulator's."""

    def __init__(self, served: Served, monkeypatch: Any, **more: Any) -> None:
        self.served = served
        self.deployment = deployed(**more)
        self.hand = Hand([])
        self.hand.attach(monkeypatch)
        self.account = a_broker_account()
        self.access: Access | None = self.logged_in()
        self.desk = self.begun()

    def begun(self) -> Desk:
        """A process of the account that has just started."""
        desk = Desk(self.served.url, lambda: self.access, self.now, sleep=lambda _seconds: None)
        desk.begin()
        return desk

    def logged_in(self) -> Access:
        """What a login at the simulator gives; the access token of before is dead from here on."""
        client = self.served.kite()
        number = BrokerSession.objects.count() + 1
        session = BrokerSession(
            account=self.account,
            number=number,
            logged_in_at=self.now(),
            logged_in_by="alice",
            dies_at=self.now() + timedelta(hours=20),
            access_token=b"",
        )
        session.save(force_insert=True)
        return Access(client.api_key, client.access_token, session.pk)

    def now(self) -> datetime:
        return to_datetime(self.served.simulator.clock.now_ms())

    def want(self, **signal: Any) -> Order:
        """A signal that goes through risk and becomes an intent."""
        row = self.signal(**signal)
        self.hand.ring_signals([str(self.deployment.id)])
        self.hand.run()
        return Order.objects.filter(decision__signal=row).first() or Order.objects.get(id=row.target)

    def signal(self, **signal: Any) -> Signal:
        deployment = Deployment.objects.get(id=self.deployment.id)
        step, at_ms = deployment.step + 1, self.served.simulator.clock.now_ms()
        instrument = Instrument.objects.get(exchange="NSE", tradingsymbol="INFY")
        fields: dict[str, Any] = {
            "side": "BUY",
            "quantity": 10,
            "order_type": OrderType.MARKET,
            "validity": Validity.DAY,
            "product": Product.MIS,
            "reason": "a test",
            "kind": SignalKind.ORDER,
        }
        row = Signal.objects.create(
            id=ids.signal_id(deployment.id, step, 0),
            deployment=deployment,
            broker=Broker.ZERODHA,
            step=step,
            ordinal=0,
            instrument=instrument,
            at_ms=at_ms,
            marks={str(instrument.instrument_token): {"price_e4": 15_000_000, "at_ms": at_ms}},
            correlation_id=ids.derived("test", step),
            **(fields | signal),
        )
        Deployment.objects.filter(id=deployment.id).update(
            step=step, waiting=Waiting.SIGNALS, waiting_since=timezone.now(), at_ms=at_ms
        )
        return row

    def work(self, *, advance_ms: int = 100, rounds: int = ROUNDS_MAX) -> None:
        """Let the broker's process and the pipeline go on until nothing is under way."""
        for _ in range(rounds):
            self.served.advance(advance_ms)
            self.desk.round()
            self.hand.run()
            if self.desk._flying or self.desk._looking is not None:
                time.sleep(0.005)  # the broker answers by threads, whose time does not pass with its clock
            if self.is_quiet():
                return

    def is_quiet(self) -> bool:
        waiting = BrokerCall.objects.filter(state__in=("READY", "SENDING", "UNKNOWN"))
        return not waiting.exists() and not Order.objects.exclude(status__in=ENDED).exists()

    def posts(self) -> dict[str, int]:
        """Order requests that reached the broker, by tag."""
        return dict(self.served.call(lambda: self.served.simulator.posts))


ENDED = ("COMPLETE", "CANCELLED", "REJECTED", "EXPIRED")
