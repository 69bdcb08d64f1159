"""The broker's book read: each row of ours is news of its order, each search for an unknown outcome goes on, and what
nobody here has sent is kept as external."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec
from django.db import close_old_connections

from alphapanda import logs
from alphapanda.core.clock import ist_date, ist_day, to_datetime, to_ms
from alphapanda.core.vocabulary import Broker, Severity, SignalKind
from alphapanda.prepared import Prepared
from execution.domain.kite import lookup
from execution.domain.kite.account import day_of
from execution.domain.kite.answers import Amount, Funds, charges_of, funds_of, holdings_of, positions_of
from execution.domain.kite.bills import Bill, Charges, said
from execution.domain.kite.gtt import TriggerRow, Triggers
from execution.domain.kite.lookup import Finding, Lookup, Wish
from execution.domain.kite.orders import LiveOrder, Sending
from execution.domain.kite.outcomes import Verdict, of_answer
from execution.domain.kite.reconciling import Where
from execution.domain.kite.reducer import Evidence, Placing, Seen, Traded, is_known
from execution.domain.kite.rows import (
    NotKites,
    OrderSnapshot,
    Rows,
    TradeRow,
    orders_of,
    trades_of,
)
from execution.domain.kite.wire import units_a_lot
from execution.models import BrokerCall, BrokerName, BrokerOrder
from execution.services.live import answers, evidence, external, states
from execution.services.live.calls import tell_refused
from execution.services.live.containing import BUSY, contained, rests, savepoint
from execution.services.live.http import Failed, KiteHttp, NotLoggedIn
from execution.services.live.states import Remembered
from marketdata.selectors import specs_by_key
from risk.services.alerts import alert_raise
from strategies.loading import DeploymentBusy

State = BrokerCall.State
Shown = TypeVar("Shown")
BILLS_MAX = 50  # orders in one question on charges
LOTS = ("CDS", "BCD", "MCX")  # where Kite counts lots
log = logs.channel("trading")


class Wanted(NamedTuple):
    """What a look reads besides orders, trades and positions."""

    is_whole: bool = False  # holdings and funds too
    bills: tuple[Bill, ...] = ()  # orders whose charges are to be told


NOTHING_MORE = Wanted()


class Book(msgspec.Struct, frozen=True):
    """What one look showed; None where the read failed, which is no information. Orders, trades and triggers are the
    rows that could be read: with faults in a list, what is not in it may still be at the broker."""

    began_ms: int
    orders: tuple[OrderSnapshot, ...] | None = None
    trades: tuple[TradeRow, ...] | None = None
    order_faults: tuple[str, ...] = ()  # rows that could not be read
    trade_faults: tuple[str, ...] = ()
    positions: dict[Where, Amount] | None = None  # net, by instrument and product
    holdings: dict[str, Amount] | None = None  # of the morning
    funds: dict[str, Funds] | None = None
    charges: dict[str, Charges] | None = None  # of the orders that were asked about
    asked: Wanted = NOTHING_MORE
    is_refused: bool = False  # Kite does not know the token any more
    has_gtts: bool = False  # the list of triggers was asked for
    gtts: tuple[TriggerRow, ...] | None = None
    gtt_faults: tuple[str, ...] = ()
    moved: frozenset[str] = (
        frozenset()
    )  # orders that traded while it was read: its lists say different things of them

    @property
    def whole_orders(self) -> tuple[OrderSnapshot, ...] | None:
        """All orders of the broker's day; None where that is not known."""
        return None if self.order_faults else self.orders

    @property
    def whole_trades(self) -> tuple[TradeRow, ...] | None:
        return None if self.trade_faults else self.trades

    @property
    def whole_gtts(self) -> tuple[TriggerRow, ...] | None:
        return None if self.gtt_faults else self.gtts

    @property
    def shows_all_gtts(self) -> bool:
        """Whether a trigger that is in no row is gone. An empty list says nothing between midnight and the broker's new
        day, for which it makes its lists anew."""
        is_night = day_of(self.began_ms) != ist_day(self.began_ms)
        return bool(self.gtts or not is_night) and self.whole_gtts is not None


class Units(Mapping[str, int]):
    """How many units Kite counts as one, by EXCHANGE:TRADINGSYMBOL; looked up when it is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def __getitem__(self, key: str) -> int:
        if key.partition(":")[0] not in LOTS:
            return 1
        if key not in self._known:
            close_old_connections()  # a look is read in a thread that nobody else looks after
            spec = specs_by_key([key]).get(key)
            self._known[key] = units_a_lot(spec) if spec else 1
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def look(http: KiteHttp, now: datetime, pause: Callable[[], None], wanted: Wanted = NOTHING_MORE) -> Book:
    """Read orders, trades, positions and what is wanted besides; whatever failed is None. `pause` lets other calls go
    between the reads."""
    try:
        with http.kept_open():
            return _read(http, to_ms(now), pause, wanted)
    except NotLoggedIn:
        return Book(to_ms(now), is_refused=True)


def _read(http: KiteHttp, began_ms: int, pause: Callable[[], None], wanted: Wanted) -> Book:
    units = Units()
    orders = read_list(http, "/orders", lambda body: orders_of(body, units))
    pause()
    trades = read_list(http, "/trades", lambda body: trades_of(body, units))
    pause()
    held = read_list(http, "/portfolio/positions", lambda body: positions_of(body, units))
    pause()
    again = read_list(http, "/orders", lambda body: orders_of(body, units))
    holdings = funds = None
    if wanted.is_whole:
        pause()
        holdings = read_list(http, "/portfolio/holdings", holdings_of)
        pause()
        funds = read_list(http, "/user/margins", funds_of)
    charges = _read_charges(http, wanted.bills, pause) if wanted.bills else None
    moved = _moved(orders, again)
    return Book(
        began_ms,
        None if orders is None else orders.orders,
        None if trades is None else trades.trades,
        order_faults=() if orders is None else orders.faults,
        trade_faults=() if trades is None else trades.faults,
        positions=held if moved == frozenset() else None,
        holdings=holdings,
        funds=funds,
        charges=charges,
        asked=wanted,
        moved=moved or frozenset(),
    )


def _read_charges(
    http: KiteHttp, bills: Sequence[Bill], pause: Callable[[], None]
) -> dict[str, Charges] | None:
    """What Kite takes for orders, a few at a time; None where any of it could not be read."""
    found: dict[str, Charges] = {}
    for first in range(0, len(bills), BILLS_MAX):
        some = bills[first : first + BILLS_MAX]
        pause()
        told = read_list(http, "/charges/orders", partial(charges_of, bills=some), asking=said(some))
        if told is None:
            return None
        found |= told
    return found


def _moved(orders: Rows | None, again: Rows | None) -> frozenset[str] | None:
    """Orders that traded between two reads of the book; None where that cannot be told."""
    if orders is None or again is None:
        return None
    return frozenset(name for name, _ in _filled(orders).items() ^ _filled(again).items())


def _filled(rows: Rows) -> dict[str, int]:
    """Of orders that have traded: one that has only come to be changes no position."""
    return {row.order_id: row.filled for row in rows.orders if row.filled}


def read_list(
    http: KiteHttp, path: str, parse: Callable[[bytes], Shown], asking: object = None
) -> Shown | None:
    """One list; None where it could not be read. Raises NotLoggedIn where the token is dead."""
    try:
        answer = http.read(path) if asking is None else http.ask(path, asking)
        if of_answer(answer.status, answer.body).verdict is Verdict.TOKEN_DEAD:
            raise NotLoggedIn(answers.TOKEN_DEAD)
        shown = parse(answer.body)
    except (Failed, NotKites) as error:
        log.warning("execution.broker.unread", path=path, error=type(error).__name__, text=str(error)[:200])
        return None
    for fault in shown.faults if isinstance(shown, (Rows, Triggers)) else ():
        log.warning("execution.broker.faulty_row", path=path, text=fault[:200])
    return shown


def take_book(book: Book, now: datetime, remembered: Remembered | None = None) -> None:
    """Merge all that a look showed and that is not known. Trades first: an end that tells of trades waits for them
    anyway. A row that cannot be read costs itself, and what only a whole list can tell. Raises DeploymentBusy after
    all the others where an order could not be merged for that."""
    _tell_unread(book, now)
    owners, is_busy = _owners(book), False
    for order_id, told in _news(book, owners, remembered or Remembered(), now).items():
        with contained("order", order_id, now) as held:
            evidence.take(order_id, told, now=now)
        is_busy |= held.fault == BUSY
    _search(book, now)
    if book.orders is not None:
        others = (row for row in book.orders if not {row.order_id, *row.tags} & owners.keys())
        external.keep_book(others, to_datetime(book.began_ms), now, is_whole=not book.order_faults)
    if is_busy:
        raise DeploymentBusy("news of an order waits for its deployment")


def _tell_unread(book: Book, now: datetime) -> None:
    """Rows that could not be read may be trades of ours: a person hears of it, again where it goes on for a day."""
    unread = {"orders": book.order_faults, "trades": book.trade_faults, "GTTs": book.gtt_faults}
    for name, faults in unread.items():
        if faults:
            alert_raise(
                code="broker_row_unreadable",
                subject=f"{name} of {ist_date(book.began_ms)}",
                text=f"{len(faults)} rows of the broker's {name} say nothing to us, such as: {faults[0]}",
                severity=Severity.CRITICAL,
                broker=Broker.ZERODHA,
                once=True,
                now=now,
            )


def _news(
    book: Book, owners: Mapping[str, UUID], remembered: Remembered, now: datetime
) -> dict[UUID, list[Evidence]]:
    """What a look showed of each order; of those that ended before, which are most in the afternoon, nothing again."""
    known = remembered.of(BrokerOrder.objects.filter(pk__in=owners.values()), now)
    news: dict[UUID, list[Evidence]] = defaultdict(list)
    for trade in book.trades or ():
        told = Traded(trade, book.began_ms)
        owner = owners.get(trade.order_id)
        if owner in known and not is_known(known[owner], told):
            news[owner].append(told)
    for row in book.orders or ():
        seen = Seen(row, book.began_ms)
        owner = next((owners[name] for name in (row.order_id, *row.tags) if name in owners), None)
        if owner in known and not is_known(known[owner], seen):
            news[owner].append(seen)
    return news


def take_pushed(row: OrderSnapshot, received_ms: int, now: datetime) -> None:
    """An order as a websocket frame or a postback showed it: ours or not."""
    owners = _owners(Book(received_ms, (row,)))
    owner = next((owners[name] for name in (row.order_id, *row.tags) if name in owners), None)
    if owner is None:
        external.keep([row], now)
    else:
        evidence.take(owner, [Seen(row, received_ms)], now=now)


def _owners(book: Book) -> dict[str, UUID]:
    """Our orders by the names in a book that stand for them."""
    names = {name for row in book.orders or () for name in (row.order_id, *row.tags)}
    names |= {trade.order_id for trade in book.trades or ()}
    return dict(BrokerName.objects.filter(name__in=names).values_list("name", "order_id"))


# ---- outcomes that are not known -----------------------------------------------------------------------------


def _search(book: Book, now: datetime) -> None:
    """Let the search for each unknown outcome see a book, or that the read failed; those that failed a moment ago are
    left alone."""
    for call_id, _ in _searches():
        if not rests("search", call_id, now):
            savepoint("search", call_id, now, partial(_search_one, call_id, book, now))


def _search_one(call_id: UUID, book: Book, now: datetime) -> None:
    call = BrokerCall.objects.select_for_update(of=("self",)).select_related("order").get(id=call_id)
    if call.state == State.UNKNOWN:
        _advance(call, book, now)


def _advance(call: BrokerCall, book: Book, now: datetime) -> None:
    search = msgspec.convert(call.lookup, Lookup)
    finding = None if book.orders is None else _finding(call, states.known(call.order), book.orders, book)
    search, answer = lookup.advance(search, lookup.Read(book.began_ms, finding))
    call.lookup = msgspec.to_builtins(search)
    if answer.wish is not Wish.READ:
        call.answered_at_ms = to_ms(now)
        _FOUND[answer.wish](call, now)
    call.save()


def _finding(call: BrokerCall, live: LiveOrder, rows: Sequence[OrderSnapshot], book: Book) -> Finding | None:
    """What a book says of a call. An order that is not in it may be in a row that could not be read; in a whole one, a
    request on it is not to be seen: to ask for a cancellation or a change again does no harm."""
    nowhere = None if book.order_faults else Finding.ABSENT
    if call.kind == SignalKind.ORDER:
        return Finding.DONE if lookup.found(live, rows) else nowhere
    row = next((one for one in rows if one.order_id == call.broker_order_id), None)
    if row is None:
        return nowhere
    if call.kind == SignalKind.CANCEL:
        return lookup.of_cancelling(row)
    terms = next((act.terms for key, act in live.acts.items() if key == call.decision_id), None)
    return lookup.of_modifying(row, live.wanted, terms) if terms is not None else None


def _done(call: BrokerCall, now: datetime) -> None:
    call.state = State.DONE
    if call.kind != SignalKind.ORDER:
        answers.tell_done(call, now)


def _in_vain(call: BrokerCall, now: datetime) -> None:
    """Not there after the stated patience: the strategy hears a fact, and nothing is sent again."""
    call.state, call.reason = State.REFUSED, "looked for in the broker's book in vain"
    if call.kind == SignalKind.ORDER:
        news = Placing(Sending.NOT_PLACED, to_ms(now), call.attempt, reason=call.reason)
        evidence.take(call.order_id, [news], now=now)
        _alert(call, "order_not_placed", "its request was sent, and it is not in the broker's book", now)
    else:
        tell_refused(call, call.reason, now)


def _too_late(call: BrokerCall, now: datetime) -> None:
    call.state, call.reason = State.REFUSED, "the order ended first"
    tell_refused(call, call.reason, now)


def _ask(call: BrokerCall, now: datetime) -> None:
    """The book of the day cannot tell any more."""
    call.state, call.reason = State.REFUSED, "never found out: the broker's book of that day is gone"
    _alert(call, "outcome_unknown", "compare positions and the broker's statement of the day", now)
    tell_refused(call, call.reason, now)


def _alert(call: BrokerCall, code: str, text: str, now: datetime) -> None:
    subject, order = str(call.order_id), call.order.order
    alert_raise(
        code=code,
        subject=subject,
        text=text,
        severity=Severity.CRITICAL,
        deployment_id=order.deployment_id,
        now=now,
    )


_FOUND: dict[Wish, Callable[[BrokerCall, datetime], None]] = {
    Wish.DONE: _done,
    Wish.TOO_LATE: _too_late,
    Wish.NOT_DONE: _in_vain,
    Wish.ASK: _ask,
}


def searches_due_ms(now: datetime) -> int | None:
    """When the next search for an unknown outcome wants to read; None: nothing is unknown."""
    due = []
    for call_id, row in _searches():
        if not rests("search", call_id, now):
            with contained("search", call_id, now):
                due.append(lookup.next_read_ms(msgspec.convert(row, Lookup)))
    return min(due, default=None)


_searches = Prepared(lambda: BrokerCall.objects.filter(state=State.UNKNOWN).values_list("id", "lookup"))
