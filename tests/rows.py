"""Builders of rows, one of each kind, down the chain from an instrument to a snapshot."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from accounts.broker import secret_set
from accounts.models import BrokerAccount, BrokerLogin, BrokerSession, LiveAct, Look
from alphapanda.core import ids
from alphapanda.eventlog.models import DeadLetter, LogCursor, OutboxEvent
from execution.gtt_models import Gtt, GttCall
from execution.models import (
    BrokerCall,
    BrokerDesk,
    BrokerName,
    BrokerOrder,
    BrokerPush,
    Difference,
    ExternalOrder,
    Fill,
    Order,
    OrderEvent,
    PaperMemory,
)
from marketdata.models import (
    Bar,
    CandleFetch,
    CircuitLimit,
    FreezeQuantity,
    Holiday,
    Instrument,
    InstrumentRule,
    MarketCutoff,
    MasterChange,
    MasterLoad,
    Permission,
    SessionRule,
    SpecialSession,
    TickFaultCount,
)
from portfolio.models import (
    ActionPosting,
    Book,
    CorporateAction,
    LedgerEntry,
    Portfolio,
    Position,
    Posting,
    Snapshot,
)
from risk.models import (
    AccountOutside,
    Alert,
    Decision,
    KillSwitch,
    LimitSet,
    LimitsInForce,
    LimitVersion,
    OversightChange,
    RiskState,
    StartOfDay,
)
from strategies.models import Approval, BacktestRun, Command, Deployment, Due, Report, Signal
from strategies.services.catalogue import catalogue_refresh, version_installed
from tests.rows_journal import an_api_key, others

AT_MS = 1_562_644_200_000  # 2019-07-09 09:20:00 IST
SOME = UUID(int=7)


def an_instrument(**facts: Any) -> Instrument:
    defaults = {
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "instrument_token": 408065,
        "exchange_token": 1594,
        "name": "INFOSYS",
        "tick_size": Decimal("0.05"),
        "lot_size": 1,
        "instrument_type": "EQ",
        "segment": "NSE",
    }
    values = defaults | facts
    key = {name: values.pop(name) for name in ("exchange", "tradingsymbol")}
    return Instrument.objects.get_or_create(**key, defaults=values)[0]


def a_deployment(name: str = "ma-infy", **facts: Any) -> Deployment:
    values = {"strategy_version": version_installed("ema_cross"), "broker": "paper", "at_ms": AT_MS} | facts
    deployment = Deployment.objects.create(id=ids.deployment_id(name), name=name, **values)
    deployment.instruments.add(an_instrument())
    return deployment


def a_signal(deployment: Deployment, step: int = 1) -> Signal:
    return Signal.objects.create(
        id=ids.signal_id(deployment.pk, step, 0),
        deployment=deployment,
        broker=deployment.broker,
        step=step,
        ordinal=0,
        instrument=an_instrument(),
        side="BUY",
        quantity=10,
        order_type="LIMIT",
        limit_price_e4=12_490_500,
        validity="DAY",
        product="CNC",
        reason="crossed above",
        at_ms=AT_MS,
        marks={},
        correlation_id=SOME,
    )


def an_approval(signal: Signal, **facts: Any) -> Approval:
    """An entry that waits for a minute of the log and of the wall clock."""
    now = datetime(2019, 7, 9, 3, 50, tzinfo=UTC)
    values = {
        "deployment": signal.deployment,
        "expires_at_ms": signal.at_ms + 60_000,
        "asked_at": now + timedelta(milliseconds=signal.step),
        "expires_at": now + timedelta(seconds=60),
    }
    return Approval.objects.create(signal=signal, **values | facts)


def a_decision(signal: Signal, **numbers: Any) -> Decision:
    return Decision.objects.create(
        id=ids.decision_id(signal.pk),
        signal=signal,
        deployment=signal.deployment,
        broker=signal.broker,
        is_approved=True,
        rule="all",
        reason="within limits",
        numbers={"order_value": "12490.50", **numbers},
        at_ms=AT_MS,
    )


def an_order(decision: Decision) -> Order:
    return Order.objects.create(
        id=ids.order_id(decision.pk, 0),
        decision=decision,
        deployment=decision.deployment,
        broker=decision.broker,
        instrument=an_instrument(),
        step=1,
        ordinal=0,
        side="BUY",
        quantity=10,
        order_type="LIMIT",
        limit_price_e4=12_490_500,
        validity="DAY",
        product="CNC",
        placed_at_ms=AT_MS,
        eligible_from_ms=AT_MS,
        expires_at_ms=AT_MS,
        updated_at_ms=AT_MS,
        correlation_id=SOME,
    )


def an_order_event(order: Order) -> OrderEvent:
    return OrderEvent.objects.create(
        id=ids.derived("order event", order.pk, 1),
        order=order,
        number=1,
        status="PUT ORDER REQ RECEIVED",
        at_ms=AT_MS,
        quantity=10,
        filled_quantity=0,
    )


def a_fill(order: Order) -> Fill:
    return Fill.objects.create(
        id=ids.fill_id(order.pk, 1),
        order=order,
        number=1,
        deployment=order.deployment,
        broker=order.broker,
        instrument=order.instrument,
        step=2,
        side="BUY",
        quantity=10,
        price_e4=12_490_500,
        charges={"stt": "12.49"},
        at_ms=AT_MS,
    )


def a_book(deployment: Deployment) -> Book:
    portfolio, _ = Portfolio.objects.get_or_create(
        name="paper", defaults={"id": uuid4(), "broker": "paper", "starting_cash": Decimal(1_000_000)}
    )
    return Book.objects.create(
        deployment_id=deployment.pk, portfolio=portfolio, broker="paper", name=deployment.name
    )


def one_of_each() -> dict[type, Any]:
    """One row of every kind that has an admin page, by model."""
    deployment = a_deployment()
    signal = a_signal(deployment)
    decision = a_decision(signal)
    order = an_order(decision)
    halt = KillSwitch.objects.create(level="GLOBAL", reason="drill", thrown_by="alice")
    rows = [
        deployment.instruments.get(),
        deployment.strategy_version.strategy,
        deployment.strategy_version,
        next(file for file in catalogue_refresh() if file.file == "ema_cross.py"),
        deployment,
        signal,
        an_approval(signal),
        decision,
        order,
        a_fill(order),
        an_order_event(order),
        PaperMemory.objects.create(deployment=deployment),
        halt,
        OversightChange.objects.create(deployment=deployment, from_step=3, status="RUNNING"),
        RiskState.objects.create(deployment=deployment, data={"orders": 1}),
        LimitSet.objects.create(level="GLOBAL", order_value=Decimal(100_000)),
        LimitsInForce.objects.get(deployment=deployment),
        LimitVersion.objects.latest("created_at"),
        Alert.objects.create(code="drill", severity="WARNING", subject="all", text="a drill"),
        StartOfDay.objects.create(day=date(2019, 7, 9), is_passed=True, findings=[], checked_by="alice"),
        Command.objects.create(id=SOME, deployment=deployment, kind="FLATTEN", reason="drill", actor="alice"),
        Report.objects.create(id=SOME, deployment=deployment, number=1, data={}),
        Due.objects.create(id=SOME, deployment=deployment, step=1, item={}, correlation_id=SOME),
        BacktestRun.objects.create(id=SOME, name="averages on infy", plan={"files": []}, asked_by="alice"),
        *_accounts(),
        *_at_broker(order),
        *_books(deployment),
        *_calendar(),
        *_rules(),
        *_log(),
    ]
    return {type(row): row for row in rows}


def a_broker_account(**facts: Any) -> BrokerAccount:
    """The account AB1234, with the secret of the simulator."""
    defaults = {"name": "main", "user_id": "AB1234", "api_key": "simulatorapikey"}
    account = BrokerAccount(**defaults | facts)
    secret_set(account, "simulatorapisecret")
    account.save()
    return account


def _accounts() -> list[Any]:
    account, at = a_broker_account(), datetime(2026, 11, 27, 3, tzinfo=UTC)
    session = BrokerSession(
        account=account, number=1, logged_in_at=at, logged_in_by="alice", dies_at=at, access_token=b""
    )
    session.save(force_insert=True)
    login = BrokerLogin(account=account, state_digest="s", browser_digest="b", actor="alice", started_at=at)
    login.save()
    act = LiveAct.objects.create(kind="UNLOCK", actor="alice", at=at)
    key = an_api_key(at)
    return [account, session, login, act, key, Look.objects.create(user=key.owner)]


def _at_broker(order: Order) -> list[Any]:
    at = datetime(2026, 11, 27, 5, tzinfo=UTC)
    at_broker = BrokerOrder.objects.create(order=order, state={"filled": 10})
    call = BrokerCall.objects.create(
        id=SOME, order=at_broker, kind="ORDER", lane="ENTRY", attempt=1, tag="t", queued_at_ms=AT_MS
    )
    return [
        at_broker,
        call,
        BrokerName.objects.create(name="t", order=at_broker),
        BrokerPush.objects.create(body="{}", source="stream"),
        BrokerDesk.objects.create(broker="zerodha", house="h"),
        ExternalOrder.objects.create(
            broker_order_id="1", instrument="NSE:INFY", snapshot={"status": "OPEN"}, seen_at=timezone.now()
        ),
        AccountOutside.objects.create(broker="zerodha", told_at=timezone.now()),
        *_triggers(),
        Difference.objects.create(
            kind="POSITION", key="k", ours="1", theirs="2", first_seen_at=at, seen_at=at
        ),
    ]


def _triggers() -> list[Any]:
    leg = {"trigger_e4": 14_000_000, "limit_e4": 13_860_000, "quantity": 10}
    terms = {"kind": "single", "instrument": "NSE:INFY", "side": "SELL", "product": "CNC", "legs": [leg]}
    said = {name: terms[name] for name in ("kind", "instrument", "side", "product")}
    row = Gtt.objects.create(
        id=SOME, trigger_id=7, is_ours=True, **said, quantity=10, terms=terms, status="ACTIVE"
    )
    call = GttCall.objects.create(
        id=SOME, key="k", gtt=row, kind="PLACE", terms=terms, actor="alice", why="a test", queued_at_ms=AT_MS
    )
    return [row, call]


def _books(deployment: Deployment) -> list[Any]:
    book = a_book(deployment)
    money = {"cash": Decimal("-12490.5"), "cost": Decimal("12490.5"), "realised": 0, "charges": 0}
    owner = {"book": book, "portfolio": book.portfolio, "at_ms": AT_MS}
    entry = LedgerEntry.objects.create(
        id=SOME,
        **owner,
        instrument=an_instrument(),
        fill_id=SOME,
        number=1,
        account="CASH",
        amount=Decimal("-12490.5"),
    )
    return [
        book.portfolio,
        book,
        entry,
        Snapshot.objects.create(id=SOME, **owner, **money),
        Position.objects.create(
            book=book, instrument=an_instrument(), quantity=10, cost=Decimal("12490.5"), updated_at_ms=AT_MS
        ),
        Posting.objects.create(fill_id=SOME, book=book, fill={}, event_id=SOME, correlation_id=SOME),
        *_actions(book),
        *others(book),
    ]


def _actions(book: Book) -> list[Any]:
    action = CorporateAction.objects.create(
        instrument=an_instrument(), kind="BONUS", ex_date=date(2018, 9, 4), new=1, old=1
    )
    posting = ActionPosting.objects.create(
        posting_id=SOME,
        book=book,
        corporate_action=action,
        booked={},
        after_sequence=0,
        quantity_before=10,
        quantity_after=20,
    )
    return [action, posting]


def _calendar() -> list[Any]:
    day, opens, closes = date(2026, 11, 8), time(18, 0), time(19, 0)
    return [
        Holiday.objects.create(exchange="NSE", date=date(2026, 12, 25), name="Christmas"),
        SpecialSession.objects.create(exchange="NSE", date=day, opens=opens, closes=closes, name="Muhurat"),
        SessionRule.objects.create(
            market="NSE", valid_from=day, phase="CONTINUOUS", starts=time(9, 15), ends=time(15, 30)
        ),
        MarketCutoff.objects.create(market="NSE", valid_from=day, kind="SQUARE_OFF", minutes=10),
        TickFaultCount.objects.create(instrument_token=408065, fault="DUPLICATE", count=3),
    ]


def _rules() -> list[Any]:
    day, infy = date(2026, 11, 20), an_instrument()
    load = MasterLoad.objects.create(
        id=SOME, source="nse.csv", exchanges="NSE", loaded_at=datetime(2026, 11, 20, tzinfo=UTC), changed=1
    )
    prices = {"open_e4": 1, "high_e4": 2, "low_e4": 1, "close_e4": 2}
    return [
        load,
        MasterChange.objects.create(load=load, kind="GONE", instrument="NSE:INFY"),
        CandleFetch.objects.create(id=SOME, instrument=infy, first=day, last=day, created_at=load.loaded_at),
        InstrumentRule.objects.create(instrument=infy, valid_from=day, tick_size=Decimal("0.05"), lot_size=1),
        FreezeQuantity.objects.create(exchange="NFO", underlying="NIFTY", valid_from=day, quantity=1_800),
        CircuitLimit.objects.create(instrument=infy, date=day, lower=1_100, upper=1_350),
        Permission.objects.create(
            market="NSE", valid_from=day, products="CNC MIS", order_types="LIMIT", validities="DAY"
        ),
        Bar.objects.create(instrument=infy, minutes=1, starts_ms=AT_MS, volume=10, ticks=3, **prices),
    ]


def _log() -> list[Any]:
    place = {"consumer": "relay", "topic": "market.ticks", "partition": 0, "incarnation": SOME, "offset": 1}
    return [
        DeadLetter.objects.create(**place, body=b"{not json", reason="UNDECODABLE", error="bad byte"),
        LogCursor.objects.create(**place),
        OutboxEvent.objects.create(
            event_id=SOME,
            type="signal.raised",
            broker="paper",
            topic="paper.signals.raw",
            key="k",
            correlation_id=SOME,
            causation_id=SOME,
            body=b'{"a":1}',
        ),
    ]
