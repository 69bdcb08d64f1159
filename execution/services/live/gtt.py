"""What operators ask of triggers at the broker (GTT): intents, audited, which the broker's process sends.

A trigger may only close what is held, so it is an exit: no halt holds it up, and no halt deletes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from accounts.services import act_record
from alphapanda.core import ids
from alphapanda.core.clock import ist_date, to_ms
from alphapanda.core.money import PriceNotExact, to_e4
from alphapanda.core.refusals import BadRequest, Conflict, NotThere, reason_problem
from alphapanda.core.vocabulary import Broker, OrderStatus, Product
from execution.domain.kite import gtt
from execution.domain.kite.account import place_of, pooled, twins
from execution.domain.kite.gtt import GttStatus, GttTerms, Price
from execution.domain.kite.rows import Where
from execution.domain.kite.wire import CannotBeSaid
from execution.gtt_models import WAITING, Gtt, GttCall
from execution.models import BrokerDesk, ExternalOrder, Order
from execution.services.live import account
from execution.services.live.held import books
from marketdata import selectors as market
from marketdata.domain.instruments import InstrumentSpec
from marketdata.marks import marks_before

KEY_MAX = 80
Kind = GttCall.Kind


class GttRefused(BadRequest):
    """What was asked for is no trigger that closes what is held."""


class GttBusy(Conflict):
    """The trigger, or the process that would send it, is not in a state for that."""


class GttNotFound(NotThere):
    """There is no such trigger."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a trigger is to close and where, in rupees; a limit that is not said follows from its trigger, the last
    price from the platform's own ticks."""

    quantity: int
    stop: Decimal | None = None
    stop_limit: Decimal | None = None
    target: Decimal | None = None
    target_limit: Decimal | None = None
    last_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, why, and by which key of their own: asked again with it, nothing is done twice."""

    key: str
    actor: str
    reason: str
    now: datetime
    ip: str | None = None


@transaction.atomic
def gtt_place(*, instrument: str, wanted: Wanted, asked: Asked) -> Gtt:
    """Ask for a trigger that closes what the account holds of an instrument. Raises GttRefused, GttBusy."""
    found = _known(asked, Kind.PLACE, lambda row: row.gtt.instrument == instrument)
    if found is not None:
        return found.gtt
    desk = _locked_desk()
    spec = _instrument(instrument, asked.now)
    terms, last_e4 = _terms(spec, wanted, desk, asked.now)
    if Gtt.objects.filter(status__in=gtt.STANDING).count() >= gtt.ACTIVE_MAX:
        raise GttBusy(f"The account has {gtt.ACTIVE_MAX} active GTTs, the most that Kite keeps.")
    _check_excess(terms, desk, None)
    row = Gtt.objects.create(
        id=ids.derived("gtt", asked.key), is_ours=True, status=GttStatus.PENDING, **columns(terms)
    )
    _call(row, Kind.PLACE, asked, terms, last_e4)
    return row


@transaction.atomic
def gtt_modify(*, gtt_id: UUID, wanted: Wanted, asked: Asked) -> Gtt:
    """Ask for other prices or another quantity of a trigger of ours; what is said replaces all of it.
    Raises GttNotFound, GttRefused, GttBusy."""
    if (found := _known(asked, Kind.MODIFY, lambda row: row.gtt_id == gtt_id)) is not None:
        return found.gtt
    desk = _locked_desk()
    row = _active(gtt_id)
    terms, last_e4 = _terms(_instrument(row.instrument, asked.now), wanted, desk, asked.now)
    before = terms_of(row)
    if terms == before:
        raise GttRefused("That changes nothing.")
    if (terms.kind, terms.side) != (before.kind, before.side):
        raise GttRefused(
            f"A GTT stays {before.kind.value} and {before.side.value}: delete it, and place another."
        )
    _check_excess(terms, desk, row)
    _call(row, Kind.MODIFY, asked, terms, last_e4)
    return row


@transaction.atomic
def gtt_delete(*, gtt_id: UUID, asked: Asked) -> Gtt:
    """Ask for the end of a trigger of ours: nothing protects its position then. Raises GttNotFound, GttBusy."""
    if (found := _known(asked, Kind.DELETE, lambda row: row.gtt_id == gtt_id)) is not None:
        return found.gtt
    _locked_desk()
    row = _active(gtt_id)
    _call(row, Kind.DELETE, asked, None, 0)
    return row


def _known(asked: Asked, kind: str, fits: Callable[[GttCall], bool]) -> GttCall | None:
    """The call that was asked for with this key before."""
    if problem := reason_problem(asked.reason):
        raise GttRefused(problem)
    if not 0 < len(asked.key) <= KEY_MAX:
        raise GttRefused(f"The key has 1 to {KEY_MAX} characters.")
    row = GttCall.objects.select_related("gtt").filter(key=asked.key).first()
    if row is not None and (row.kind != kind or not fits(row)):
        raise GttBusy(f"The key {asked.key!r} was used for something else: {row.kind} of {row.gtt}.")
    return row


def _locked_desk() -> BrokerDesk:
    """The account, so that one operator asks after the other."""
    desk = BrokerDesk.objects.select_for_update().filter(broker=Broker.ZERODHA).first()
    if desk is None:
        raise GttBusy("The broker's process has never run: `manage.py up`, or `manage.py broker`.")
    return desk


def _active(gtt_id: UUID) -> Gtt:
    row = Gtt.objects.select_for_update().filter(pk=gtt_id).first()
    if row is None:
        raise GttNotFound(f"There is no GTT {gtt_id}.")
    if not row.is_ours:
        raise GttBusy(f"{row} was made elsewhere: change it there.")
    if row.status != GttStatus.ACTIVE or row.trigger_id is None:
        raise GttBusy(f"{row}: only an active GTT can be changed or deleted.")
    if row.calls.filter(state__in=WAITING).exists():
        raise GttBusy(f"{row}: a change of it is under way.")
    return row


def _instrument(key: str, now: datetime) -> InstrumentSpec:
    spec = market.specs_by_key([key]).get(key)
    if spec is None:
        raise GttRefused(f"There is no instrument {key}; name it as NSE:INFY.")
    return spec.on(ist_date(to_ms(now)))


def _terms(spec: InstrumentSpec, wanted: Wanted, desk: BrokerDesk, now: datetime) -> tuple[GttTerms, int]:
    """What is asked for as a trigger, and the price now."""
    prices = {name: _e4(name, getattr(wanted, name)) for name in ("stop", "target", "last_price")}
    limits = {name: _e4(name, getattr(wanted, name)) for name in ("stop_limit", "target_limit")}
    stop_e4, target_e4 = prices["stop"], prices["target"]
    last_e4 = prices["last_price"] or _mark(spec, now)
    held = holdings(desk)[pooled(Where(spec.key, gtt.product_of(spec).value))]
    try:
        terms = gtt.protecting(
            spec,
            held,
            wanted.quantity,
            stop=None if stop_e4 is None else Price(stop_e4, limits["stop_limit"]),
            target=None if target_e4 is None else Price(target_e4, limits["target_limit"]),
        )
    except CannotBeSaid as error:
        raise GttRefused(f"{error}.") from None
    if problem := gtt.objection(terms, spec, stop_e4=stop_e4, target_e4=target_e4, last_e4=last_e4):
        raise GttRefused(f"{problem}.")
    return terms, last_e4


def _e4(name: str, price: Decimal | None) -> int | None:
    try:
        price_e4 = None if price is None else to_e4(price)
    except PriceNotExact as error:
        raise GttRefused(f"{name}: {error}.") from None
    if price_e4 is not None and not 0 < price_e4 < 10**15:
        raise GttRefused(f"{name}: {price} is no price in rupees.")
    return price_e4


def _mark(spec: InstrumentSpec, now: datetime) -> int:
    found = marks_before([spec.key], to_ms(now)).get(spec.key)
    if found is None:
        raise GttRefused(f"No price of {spec.key} is known here: say the last price.")
    return found[0]


def _check_excess(terms: GttTerms, desk: BrokerDesk, row: Gtt | None) -> None:
    if problem := excess(terms, desk, row):
        raise GttRefused(f"{problem}.")


def _call(row: Gtt, kind: str, asked: Asked, terms: GttTerms | None, last_e4: int) -> None:
    GttCall.objects.create(
        id=ids.derived("gtt call", asked.key),
        key=asked.key,
        gtt=row,
        kind=kind,
        terms=None if terms is None else msgspec.to_builtins(terms),
        last_price_e4=last_e4,
        actor=asked.actor,
        why=asked.reason,
        queued_at_ms=to_ms(asked.now),
    )
    act_record(
        actor=asked.actor,
        action=f"gtt.{kind.lower()}",
        target=f"gtt:{row.instrument} {row.product}",
        reason=asked.reason,
        details={"gtt": str(row.pk), "terms": None if terms is None else msgspec.to_builtins(terms)},
        now=asked.now,
        ip=asked.ip,
    )


# ---- what is held, and what covers it ---------------------------------------------------------------------------


def holdings(desk: BrokerDesk) -> Counter[Where]:
    """Units that the account holds, by pooled places: of our books, and what is there beside them."""
    held: Counter[Where] = Counter()
    beside = {place_of(name): units for name, units in account.outside_of(desk).units.items()}
    for where, units in (*books().held.items(), *beside.items()):
        held[pooled(where)] += units
    return held


def excess(terms: GttTerms, desk: BrokerDesk, row: Gtt | None) -> str:
    """Why a trigger, instead of what `row` was, would close more than is held; empty: it does not."""
    where = pooled(Where(terms.instrument, terms.product))
    covers = covered(terms, without=None if row is None else row.pk)
    return gtt.excess(terms, holdings(desk)[where], covers, closing()[where, terms.side])


def closing() -> Counter[tuple[Where, str]]:
    """Units that orders at work may still trade, by pooled places and side: ours, and those made elsewhere or by
    triggers that have fired."""
    units: Counter[tuple[Where, str]] = Counter()
    over = [status for status in OrderStatus if status.is_final]
    ours = Order.objects.filter(broker=Broker.ZERODHA).exclude(status__in=over).select_related("instrument")
    for row in ours:
        units[pooled(Where(str(row.instrument), row.product)), row.side] += row.quantity - row.filled_quantity
    for other in ExternalOrder.objects.filter(is_open=True).values("instrument", "snapshot"):
        told = other["snapshot"]  # what nobody can read any more closes nothing here
        where = pooled(Where(other["instrument"], told.get("product", "")))
        units[where, told.get("side", "")] += told.get("quantity", 0) - told.get("filled", 0)
    return units


def covered(terms: GttTerms, *, without: UUID | None = None) -> int:
    """Units that other triggers close on the same side, as they are or as they may be."""
    names = twins(terms.instrument) if terms.product == Product.CNC else (terms.instrument,)
    standing = Gtt.objects.filter(
        instrument__in=names, product=terms.product, side=terms.side, status__in=gtt.STANDING
    )
    return sum(units_at_most(row) for row in standing.exclude(pk=without).prefetch_related("calls"))


def units_at_most(row: Gtt) -> int:
    """The most that a trigger can trade, with a change of it that is under way."""
    wanted = [wanted_of(call) for call in row.calls.all() if call.state in WAITING and call.terms]
    return max([row.quantity, *(terms.quantity for terms in wanted)])


# ---- rows and what the domain knows of them ---------------------------------------------------------------------


def terms_of(row: Gtt) -> GttTerms:
    return msgspec.convert(row.terms, GttTerms)


def wanted_of(call: GttCall) -> GttTerms:
    return msgspec.convert(call.terms, GttTerms)


def columns(terms: GttTerms) -> dict[str, Any]:
    """A trigger's terms as columns of its row."""
    return {
        "instrument": terms.instrument,
        "side": terms.side,
        "product": terms.product,
        "kind": terms.kind,
        "quantity": terms.quantity,
        "terms": msgspec.to_builtins(terms),
    }
