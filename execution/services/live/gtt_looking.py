"""The broker's list of triggers read: what is shown of ours, searches for unknown outcomes, and triggers of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec
from django.db import transaction
from django.db.models import Exists, Q

from alphapanda.core import ids
from alphapanda.core.clock import ist_date, to_datetime, to_ms
from alphapanda.core.vocabulary import Broker, HaltStep, OrderStatus, Severity
from alphapanda.prepared import Prepared
from execution.domain.kite import gtt, lookup
from execution.domain.kite.account import pooled
from execution.domain.kite.gtt import GttStatus, TriggerRow, triggers_of
from execution.domain.kite.lookup import Finding, Lookup, Wish
from execution.domain.kite.rows import Where
from execution.gtt_models import CallState, Gtt, GttCall
from execution.models import BrokerDesk, ExternalOrder
from execution.services.live import gtt_calls, looking
from execution.services.live.containing import contained, resting, rests, savepoint
from execution.services.live.evidence import ANY_TIME
from execution.services.live.gtt import closing, columns, holdings, terms_of, units_at_most, wanted_of
from execution.services.live.http import KiteHttp, NotLoggedIn
from risk.models import KillSwitch
from risk.services.alerts import alert_raise

EVERY_MS = 30_000
EXCEEDS_AFTER = timedelta(seconds=60)
UNFILLED_SINCE = timedelta(days=7)  # orders of triggers that ended longer ago are no news
SHOWN_MAX = 5  # in one alert
OVER = [status.value for status in OrderStatus if status.is_final]
Kind = GttCall.Kind


def is_due(looked_ms: int, now: datetime) -> bool:
    """Whether the list is to be read, that was last read at a time: also where a trigger of ours may have made an order
    that has come to light since, though it was seen to fire already and nobody has told its order."""
    if _others_since(to_datetime(looked_ms)):
        return True
    search_ms = searches_due_ms(now)
    due_ms = looked_ms + EVERY_MS
    return to_ms(now) >= (due_ms if search_ms is None else min(due_ms, search_ms))


_MAY_HAVE_MADE = Q(status=GttStatus.ACTIVE) | Q(status=GttStatus.TRIGGERED, orders=[])
_others_since = Prepared(
    lambda since: ExternalOrder.objects.filter(
        Exists(Gtt.objects.filter(_MAY_HAVE_MADE, is_ours=True)), seen_at__gt=since
    ).values_list("pk")[:1],
    ANY_TIME,
)


def searches_due_ms(now: datetime) -> int | None:
    """When the next search for an unknown outcome wants to read; None: nothing is unknown."""
    due = []
    for call_id, row in _searches():
        if not rests("trigger", call_id, now):
            with contained("trigger", call_id, now):
                due.append(lookup.next_read_ms(msgspec.convert(row, Lookup)))
    return min(due, default=None)


_searches = Prepared(lambda: GttCall.objects.filter(state=CallState.UNKNOWN).values_list("id", "lookup"))


def look(
    http: KiteHttp, now: datetime, pause: Callable[[], None], wanted: looking.Wanted = looking.NOTHING_MORE
) -> looking.Book:
    """Read the book, and the list of triggers after it."""
    book = looking.look(http, now, pause, wanted)
    if book.is_refused:
        return book
    pause()
    units = looking.Units()
    try:
        found = looking.read_list(http, "/gtt/triggers", lambda body: triggers_of(body, units))
    except NotLoggedIn:
        return msgspec.structs.replace(book, is_refused=True)
    rows, faults = (None, ()) if found is None else (found.rows, found.faults)
    return msgspec.structs.replace(book, has_gtts=True, gtts=rows, gtt_faults=faults)


def take(book: looking.Book, now: datetime) -> None:
    """Take what a list of triggers showed. One that could not be read is no information; where single rows could not,
    the others count, and what is missing may be in those."""
    if not book.has_gtts:
        return
    with transaction.atomic():
        BrokerDesk.objects.select_for_update().get(broker=Broker.ZERODHA)  # one after the other with who asks
        _search(book, now)
        if book.gtts is None:
            return
        _take_rows(book.gtts, book, now)
        _link(now)
        if book.whole_gtts is not None:
            BrokerDesk.objects.filter(broker=Broker.ZERODHA).update(gtts_read_at=now)


def watch(book: looking.Book, now: datetime) -> None:
    """Look at what triggers cover, once what is held has been compared."""
    if book.gtts is None:
        return
    with transaction.atomic():
        desk = BrokerDesk.objects.select_for_update().get(broker=Broker.ZERODHA)
        wholes = book.whole_gtts, book.whole_orders, book.positions
        _watch_excess(desk, now, is_whole=bool(desk.reconciled_at) and None not in wholes)


# ---- outcomes that are not known -----------------------------------------------------------------------------


def _search(book: looking.Book, now: datetime) -> None:
    calls = (
        GttCall.objects.select_for_update(of=("self",)).select_related("gtt").order_by("queued_at_ms", "id")
    )
    for call in calls.filter(state=CallState.UNKNOWN).exclude(id__in=resting("trigger", now)):
        savepoint("trigger", call.id, now, partial(_advance, call, book, now))


def _advance(call: GttCall, book: looking.Book, now: datetime) -> None:
    placed, finding = (
        (None, None) if book.gtts is None else _found(call, book.gtts, is_all=book.shows_all_gtts)
    )
    search, answer = lookup.advance(msgspec.convert(call.lookup, Lookup), lookup.Read(book.began_ms, finding))
    call.lookup = msgspec.to_builtins(search)
    if answer.wish is Wish.DONE:
        gtt_calls.done(call, now, trigger_id=placed)
    elif answer.wish is Wish.READ:
        call.save()
    else:
        call.state = CallState.REFUSED
        gtt_calls.nothing_came(call, _WORDS[answer.wish], now)


_WORDS = {
    Wish.TOO_LATE: "the trigger ended first",
    Wish.NOT_DONE: "looked for in the broker's list in vain",
}


def _found(call: GttCall, rows: Sequence[TriggerRow], *, is_all: bool) -> tuple[int | None, Finding | None]:
    """What a list says of a call, and the broker's id of what it placed; nothing where the broker may have it in no
    row."""
    if call.kind == Kind.PLACE:
        owned = set(Gtt.objects.exclude(trigger_id=None).values_list("trigger_id", flat=True))
        unowned = [row for row in rows if row.trigger_id not in owned]
        row = gtt.of_placing(wanted_of(call), call.sent_at_ms or 0, unowned)
        if row is not None:
            return row.trigger_id, Finding.DONE
        return None, Finding.ABSENT if is_all else None
    row = next((one for one in rows if one.trigger_id == call.gtt.trigger_id), None)
    if row is None and not is_all:
        return None, None
    if call.kind == Kind.MODIFY:
        return None, gtt.of_modifying(row, wanted_of(call))
    return None, gtt.of_deleting(row)


# ---- what is shown -------------------------------------------------------------------------------------------


def _take_rows(rows: Sequence[TriggerRow], book: looking.Book, now: datetime) -> None:
    known = {row.trigger_id: row for row in Gtt.objects.select_for_update().exclude(trigger_id=None)}
    flying = [
        wanted_of(call)
        for call in GttCall.objects.filter(kind=Kind.PLACE, state__in=(CallState.SENDING, CallState.UNKNOWN))
    ]
    for row in rows:
        if (ours := known.pop(row.trigger_id, None)) is not None:
            _merge(ours, row, book.began_ms, now)
        elif row.terms in flying:
            flying.remove(row.terms)  # it may be one of ours, whose answer is not here yet
        else:
            _keep_external(row, now)
    for missing in known.values() if book.shows_all_gtts else ():
        if missing.status == GttStatus.ACTIVE and missing.told_at_ms < book.began_ms:
            _end(missing, GttStatus.GONE, now)


def _merge(row: Gtt, shown: TriggerRow, began_ms: int, now: datetime) -> None:
    """Take over what is shown; a list that was asked for before our last word on the trigger is old."""
    if row.told_at_ms >= began_ms:
        return
    for name, value in columns(shown.terms).items():
        setattr(row, name, value)
    row.created_at_ms, row.expires_at_ms, row.seen_at = shown.created_ms, shown.expires_ms, now
    before, row.orders = row.orders, list(msgspec.to_builtins(shown.fired))
    if row.is_ours and (row.status != shown.status or row.orders != before):
        _end(row, shown.status, now)
    else:
        row.status = shown.status
        row.save()


def _keep_external(row: TriggerRow, now: datetime) -> None:
    Gtt.objects.create(
        id=ids.derived("gtt", Broker.ZERODHA, row.trigger_id),
        trigger_id=row.trigger_id,
        is_ours=False,
        status=row.status,
        orders=msgspec.to_builtins(row.fired),
        created_at_ms=row.created_ms,
        expires_at_ms=row.expires_ms,
        seen_at=now,
        **columns(row.terms),
    )


def _end(row: Gtt, status: GttStatus, now: datetime) -> None:
    """A trigger has another status than before, or has told by now what came of its order; people hear where its
    position has lost its protection."""
    row.status = status
    row.save()
    failed = [one["reason"] for one in row.orders if one.get("reason")]
    if not row.is_ours or status is GttStatus.ACTIVE:
        return
    if status is GttStatus.TRIGGERED and not failed:
        told = (
            "gtt_fired",
            f"fired: {', '.join(one['order_id'] for one in row.orders) or 'order not told yet'}",
        )
    elif status is GttStatus.TRIGGERED:
        told = "gtt_order_failed", f"fired, and its order was not taken: {'; '.join(failed)}"
    else:
        told = "gtt_ended", f"is {status.value} at the broker: it protects nothing any more"
    alert_raise(
        code=told[0],
        subject=f"{row.instrument} {row.trigger_id}",
        text=f"The GTT {row.trigger_id} to {row.side} {row.quantity} {row.instrument} {told[1]}",
        severity=Severity.CRITICAL if failed else Severity.WARNING,
        broker=Broker.ZERODHA,
        now=now,
    )


def _link(now: datetime) -> None:
    """The orders that triggers have made carry no tag of ours: they are orders of others, which triggers answer for.
    One that ends without having traded all protects nothing any more."""
    made = {
        one["order_id"]: row.pk
        for row in Gtt.objects.filter(status=GttStatus.TRIGGERED)
        for one in row.orders
        if one.get("order_id")
    }
    for order in ExternalOrder.objects.filter(broker_order_id__in=made, gtt=None):
        ExternalOrder.objects.filter(pk=order.pk).update(gtt=made[order.pk])
    ended = ExternalOrder.objects.filter(gtt__is_ours=True, is_open=False, seen_at__gte=now - UNFILLED_SINCE)
    for order in ended.select_related("gtt"):
        _tell_unfilled(order, now)


def _tell_unfilled(order: ExternalOrder, now: datetime) -> None:
    """One whose end nobody saw, as its day was over, may have traded after it was seen last."""
    told = order.snapshot
    quantity, filled = told.get("quantity", 0), told.get("filled", 0)
    if filled >= quantity:
        return
    code, ending = "gtt_order_failed", f"ended with {filled} of {quantity} units traded"
    why = told.get("reason") or told.get("status_text")
    if told.get("status") not in OVER:
        code, ending = "order_day_ended", f"had {filled} of {quantity} units traded when it was seen last"
        why = "compare with the broker's statement of the day"
    alert_raise(
        code=code,
        subject=f"{order.instrument} order {order.pk}",
        text=f"the order {order.pk} that a GTT has made {ending}: {why}",
        severity=Severity.CRITICAL,
        broker=Broker.ZERODHA,
        once=True,
        now=now,
    )


def _watch_excess(desk: BrokerDesk, now: datetime, *, is_whole: bool) -> None:
    """Say so where ours would sell more than is held: positions that were closed leave their triggers behind. At a
    `is_whole` look at the account what closes nothing at all is told at once."""
    held, at_work = holdings(desk), closing()
    standing = Gtt.objects.filter(status__in=gtt.STANDING).order_by("created_at_ms", "pk")
    taken: Counter[tuple[Where, str]] = Counter()
    for row in standing.prefetch_related("calls"):
        terms = terms_of(row)
        where = pooled(Where(terms.instrument, terms.product))
        problem = gtt.excess(terms, held[where], taken[where, row.side], at_work[where, row.side])
        taken[where, row.side] += units_at_most(row)
        if row.is_ours:
            is_entry = is_whole and terms.side.sign * held[where] >= 0
            _exceeds(row, problem, now, is_entry=is_entry)


def _exceeds(row: Gtt, problem: str, now: datetime, *, is_entry: bool) -> None:
    """What may close too much is told after a while, for positions and triggers are read one after the other; what is
    no exit any more at once, and anew each day that it stands."""
    since = (row.exceeds_since or now) if problem else None
    if since != row.exceeds_since:
        Gtt.objects.filter(pk=row.pk).update(exceeds_since=since)
    if since is None or not (is_entry or now - since >= EXCEEDS_AFTER):
        return
    ending = f", on {ist_date(to_ms(now))}" if is_entry else f", since {ist_date(to_ms(since))}"
    alert_raise(
        code="gtt_exceeds",
        subject=f"{row.instrument} {row.trigger_id}{ending}",
        text=f"{problem}: `manage.py gtt delete {row.pk}`, or it {'opens' if is_entry else 'may open'} a position",
        severity=Severity.CRITICAL if is_entry else Severity.WARNING,
        broker=Broker.ZERODHA,
        once=True,
        now=now,
    )


def tell_standing(now: datetime) -> None:
    """A halt that cancels leaves triggers where they are, for they are exits: people hear which, once for each step of
    each halt. Those that one leaves that flattens are none once it is done."""
    for halt in KillSwitch.objects.filter(released_at=None, step__in=(HaltStep.CANCEL, HaltStep.FLATTEN)):
        own = halt.deployment.broker if halt.deployment else halt.broker
        if own not in ("", Broker.ZERODHA):
            continue
        standing = list(Gtt.objects.filter(status=GttStatus.ACTIVE).order_by("instrument", "pk"))
        if not standing:
            continue
        is_flat = halt.step == HaltStep.FLATTEN
        named = [f"{row.side} {row.quantity} {row.instrument}" for row in standing[:SHOWN_MAX]]
        exceeds = "each opens a position once what it covers is closed: delete them; " if is_flat else ""
        alert_raise(
            code="gtts_stand",
            subject=f"halt {halt.pk} {halt.step}",
            text=f"{len(standing)} GTTs stand at the broker, and no halt deletes them: {', '.join(named)}; "
            f"{exceeds}`manage.py gtt` lists them",
            severity=Severity.CRITICAL if is_flat else Severity.WARNING,
            broker=Broker.ZERODHA,
            once=True,
            now=now,
        )
