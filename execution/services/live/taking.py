"""What others have closed at the broker leaves our books: a command to each deployment that holds it, at the prices of
their orders. Until it has left, an exit that would close it once more is held up."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Sum

from alphapanda.core.clock import ist_date, to_datetime, to_ms
from alphapanda.core.money import ZERO, to_e4, value
from alphapanda.core.refusals import Conflict
from alphapanda.core.vocabulary import Broker, CommandKind, FillSource, Product, Severity, SignalKind
from alphapanda.eventlog import doorbell
from execution.domain.kite.account import began_ms, heap, pooled, text_of
from execution.domain.kite.reconciling import Kind, gap_of
from execution.domain.kite.rows import TradeRow, Where
from execution.models import BrokerCall, BrokerName, BrokerOrder, Difference, ExternalOrder, Fill
from execution.services.live import held, states
from marketdata.marks import marks_before
from portfolio.models import Position
from risk.loading import product_of
from risk.services.alerts import alert_raise
from strategies import loading as deployments
from strategies.domain.signals import Taken
from strategies.models import Command, Deployment
from strategies.services.lifecycle import command_give

if TYPE_CHECKING:
    from execution.services.live.looking import Book

Lot = tuple[int, int]  # units, negative where they were sold, and their price
WAIT_MS = 1_000


class NoPrice(Conflict):
    """Nobody here knows at what price others have traded."""


def lots_of(where: Where, book: Book) -> list[Lot]:
    """What each order of others has traded of a place today, the newest first, at its average price: shares at either
    exchange."""
    found: dict[str, list[TradeRow]] = defaultdict(list)
    for trade in book.trades or ():
        if pooled(Where(trade.instrument, trade.product)) == pooled(where):
            found[trade.order_id].append(trade)
    for name in BrokerName.objects.filter(name__in=found).values_list("name", flat=True):
        del found[name]
    orders = sorted(found.values(), key=lambda trades: -max(trade.at_ms for trade in trades))
    return [_lot(trades) for trades in orders]


def _lot(trades: list[TradeRow]) -> Lot:
    units = sum(trade.quantity for trade in trades)
    worth = sum((value(trade.price_e4, trade.quantity) for trade in trades), ZERO)
    return trades[0].side.sign * units, to_e4(round(worth / units, 4))


def is_of_our_gtts(row: Difference, book: Book, now: datetime) -> bool:
    """Whether trades of our GTTs have closed all that is gone: then nobody need be asked whose it was. An order may be
    shown as filled before its trades are, which tell the price."""
    gap = gap_of(Kind(row.kind), row.key, row.ours, row.theirs)
    names, place = {one.order_id for one in book.trades or ()}, pooled(gap.where)
    made = set(ExternalOrder.objects.filter(pk__in=names, gtt__is_ours=True).values_list("pk", flat=True))
    closed = sum(
        -one.side.sign * one.quantity
        for one in book.trades or ()
        if one.order_id in made and pooled(Where(one.instrument, one.product)) == place
    )
    known = Fill.objects.filter(
        _is_in(gap.where),
        source=FillSource.ELSEWHERE,
        order__product=gap.where.product,
        created_at__gte=to_datetime(began_ms(to_ms(now))),
    ).aggregate(units=Sum("quantity"))
    missing = gap.ours - gap.theirs
    return closed * missing > 0 and abs(closed) >= abs(missing) + (known["units"] or 0)


def take_out(
    row: Difference, where: Where, units: int, *, actor: str, reason: str, now: datetime
) -> dict[str, int]:
    """Have units that others have traded (negative: sold) leave the books that hold them, the largest first, shares at
    either exchange; how many of each deployment. Those that were told already are not told again. Raises NoPrice,
    DeploymentBusy."""
    told: Counter[str] = Counter()
    holders = _holders(where, units)
    rooms = [abs(held) - _waiting(one.pk, place) for one, place, held in holders]
    left = max(0, abs(units) - sum(abs(held) for _, _, held in holders) + sum(rooms))
    lots = _at(where, left if units > 0 else -left, row.lots, now)
    for (deployment, place, _), most in zip(holders, rooms, strict=True):
        room = most
        while room > 0 and lots:
            (count, price_e4), *lots = lots
            taken = min(room, abs(count))
            sign, name = (1 if count > 0 else -1), f"{row.pk}.{told.total()}"
            _command(deployment, Taken(place.instrument, sign * taken, price_e4, name), actor, reason)
            told[deployment.name] += taken
            room -= taken
            lots = [(count - sign * taken, price_e4), *lots] if taken < abs(count) else lots
    return dict(told)


def _at(where: Where, units: int, lots: list[list[int]], now: datetime) -> list[Lot]:
    """So many units at the prices of the newest orders that traded them, what is left at the last price."""
    found, left = [], units
    for count, price_e4 in lots:
        if count * left > 0:
            some = count if abs(count) < abs(left) else left
            found.append((some, price_e4))
            left -= some
    if left:
        mark = marks_before([where.instrument], to_ms(now)).get(where.instrument)
        if mark is None:
            raise NoPrice(f"No price of {where.instrument} is known here: wait for its first tick.")
        found.append((left, mark[0]))
    return found


def _holders(where: Where, units: int) -> list[tuple[Deployment, Where, int]]:
    """Deployments that hold what is gone, locked, with where and how much; the largest first."""
    rows = Position.objects.filter(_is_in(where), book__broker=Broker.ZERODHA).select_related("instrument")
    held = [row for row in rows if row.quantity * units < 0]
    locked = {one: deployments.locked_soon(one) for one in sorted({row.book_id for row in held})}
    found = [
        (locked[row.book_id], Where(str(row.instrument), where.product), row.quantity)
        for row in held
        if product_of(locked[row.book_id]) == where.product
    ]
    return sorted(found, key=lambda one: -abs(one[2]))


def _is_in(where: Where) -> Q:
    """Whether a row's instrument is that of a place, or of its twin at the other exchange."""
    names = [place.instrument.partition(":") for place in heap(where)]
    return Q(instrument__exchange__in=[one for one, _, _ in names], instrument__tradingsymbol=names[0][2])


def _waiting(deployment_id: UUID, where: Where) -> int:
    """Units that a deployment has been told of, and has not booked yet."""
    rows = Command.objects.filter(
        deployment_id=deployment_id, kind=CommandKind.TAKEN, step=None, taken__instrument=where.instrument
    )
    return sum(abs(row.taken["units"]) for row in rows)


def _command(deployment: Deployment, taken: Taken, actor: str, reason: str) -> None:
    facts = {"kind": CommandKind.TAKEN, "reason": reason, "actor": actor}
    command_give(deployment=deployment, taken=msgspec.to_builtins(taken), **facts)
    transaction.on_commit(lambda: doorbell.ring_shard(deployment.shard, partition_ends={}))


def holds_up(call: BrokerCall, now: datetime) -> bool:
    """Whether a call is an exit from more than the account still holds: it would open a position. A person is told.
    Delivery needs no such care, for the broker sells no share that is not there."""
    order = call.order.order
    where = Where(str(order.instrument), order.product)
    if order.product == Product.CNC:
        return False
    row = Difference.objects.filter(kind=Kind.TAKEN, key=text_of(where), settled_at=None).first()
    is_more = row is not None and order.quantity > _still_there(row, where) - _being_closed(call, now)
    if not is_more and not _waiting(order.deployment_id, where):
        return False
    alert_raise(
        code="exit_held_up",
        subject=f"{order.deployment.name} {text_of(where)}, {_occasion(row, now)}",
        text="others have closed what it would close: accept the difference TAKEN, and the books say so too",
        severity=Severity.CRITICAL,
        deployment_id=order.deployment_id,
        once=True,
        now=now,
    )
    return True


def _occasion(row: Difference | None, now: datetime) -> str:
    """By what one time that others closed something is told from the next."""
    return f"difference {row.pk}" if row is not None else str(ist_date(to_ms(now)))


def _still_there(row: Difference, where: Where) -> int:
    """Units of our books that the account holds now. What others have closed stays the same, whatever ours trade after
    the look that showed it."""
    gone = abs(int(row.ours) - int(row.theirs))
    return max(0, abs(held.books().held[where]) - gone)


def _being_closed(call: BrokerCall, now: datetime) -> int:
    """Units that other orders of ours, which have left, may still close of the same place: of any deployment."""
    order = call.order.order
    sent = BrokerCall.objects.filter(kind=SignalKind.ORDER).exclude(state=BrokerCall.State.READY)
    rows = BrokerOrder.objects.filter(
        Exists(sent.filter(order=OuterRef("pk"))),
        is_open=True,
        order__instrument_id=order.instrument_id,
        order__product=order.product,
        order__side=order.side,
    )
    return sum(live.worst_open for live in states.readable(rows.exclude(pk=call.order_id), now).values())
