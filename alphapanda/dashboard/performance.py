"""Performance: what was earned and what it cost, by day, month, deployment and instrument, out of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from django.db.models import F, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import mark_safe

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS, ist_midnight_ms
from alphapanda.core.money import ZERO
from alphapanda.dashboard import frame, moment
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.days import Day
from alphapanda.research import charts
from alphapanda.research.tear_sheet import RUPEES
from alphapanda.web.formats import rupees_signed
from portfolio.models import Book, LedgerEntry, Portfolio

BAD_REQUEST = 400
EPOCH = date(1970, 1, 1)
CHARGES, REALISED = "CHARGES:", "REALISED"
LABELS_MAX = 6
DAYS_MIN = 2  # of which a curve or a ratio can be made


class Period(forms.Form):
    """Which days, both included, and of which portfolio or deployment."""

    first = Day(label="From")
    last = Day(label="To")
    portfolio = forms.ModelChoiceField(Portfolio.objects.order_by("name"), required=False, empty_label="all")
    deployment = forms.ModelChoiceField(Book.objects.order_by("name"), required=False, empty_label="all")


class Sums:
    """Rupees earned before charges, and charges, of whatever they are summed up by."""

    def __init__(self) -> None:
        self.gross, self.charges = ZERO, ZERO

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges

    def add(self, account: str, amount: Decimal) -> None:
        """An account of the ledger gains what a book earns with the other sign."""
        if account.startswith(CHARGES):
            self.charges += amount
        else:
            self.gross -= amount


class Fall(NamedTuple):
    """How far profit, added up by days, was below the most it had been: the deepest, between two days, and now."""

    deepest: Decimal
    peak: date | None
    trough: date | None
    now: Decimal


def fall_of(days: dict[date, Decimal]) -> Fall:
    """Of the net profit of each day. It begins at nought, on no day."""
    total = most = deepest = ZERO
    peak: date | None = None
    span: tuple[date | None, date | None] = (None, None)
    for day, net in sorted(days.items()):
        total += net
        if total > most:
            most, peak = total, day
        if most - total > deepest:
            deepest, span = most - total, (peak, day)
    return Fall(deepest, *span, most - total)


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Realised profit after charges; what is still held is on the page of positions."""
    broker = broker_of(request.GET.get("broker", ""))
    live, form = frame.Reading(broker), Period(request.GET)
    is_good = form.is_valid()
    entries = entries_of(broker, form.cleaned_data) if is_good else []
    total = sums_by(entries, None).get("", Sums())
    stands = f"{len(entries)}-{total.net}-{total.charges}"  # each fill pays something
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True, stands=stands)
    days = sums_by(entries, "day")
    names = {entry["book"]: entry["book__name"] for entry in entries}
    dated = {EPOCH + timedelta(days=day): sums for day, sums in days.items()}
    context = {
        "form": form,
        "total": total,
        "stands": stands,
        "fall": fall_of({day: sums.net for day, sums in dated.items()}),
        "won": sum(sums.net > 0 for sums in dated.values()),
        "days": sorted(dated.items(), reverse=True),
        "months": _months(entries),
        "by_deployment": [(names[book], book, sums) for book, sums in _ranked(sums_by(entries, "book"))],
        "by_instrument": _ranked(sums_by(entries, "instrument__tradingsymbol")),
        "lines": charges_by_line(entries),
        "sheet": f"{reverse('performance-sheet')}?{request.GET.urlencode()}" if len(days) >= DAYS_MIN else "",
        "days_min": DAYS_MIN,
        "equity": _equity(days),
        "bars": _bars(days),
    }
    status = 200 if is_good else BAD_REQUEST
    hints = ["fills", "news"]
    return frame.shown(
        request, "performance", "dashboard/performance.html", context, live=live, hints=hints, status=status
    )


def entries_of(broker: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Sums of the accounts that profit is made of, by IST day, book and instrument."""
    found = LedgerEntry.objects.filter(book__broker=broker, account__regex=f"^({REALISED}|{CHARGES})")
    found = moment.known(found)
    if given["first"]:
        found = found.filter(at_ms__gte=ist_midnight_ms(given["first"]))
    if given["last"]:
        found = found.filter(at_ms__lt=ist_midnight_ms(given["last"]) + DAY_MS)
    for name, column in (("portfolio", "portfolio"), ("deployment", "book")):
        if given[name]:
            found = found.filter(**{column: given[name]})
    names = ("day", "account", "book", "book__name", "instrument__tradingsymbol")
    dated = found.annotate(day=(F("at_ms") + IST_OFFSET_MS) / DAY_MS)
    return list(dated.values(*names).annotate(amount=Sum("amount")).order_by(*names))


def sums_by(entries: Iterable[dict[str, Any]], name: str | None) -> dict[Any, Sums]:
    """By what each entry says under a name; by nothing, all together."""
    sums: dict[Any, Sums] = defaultdict(Sums)
    for entry in entries:
        sums[entry[name] if name else ""].add(entry["account"], entry["amount"])
    return sums


def _months(entries: Iterable[dict[str, Any]]) -> list[tuple[date, Sums]]:
    """By the first day of each, the newest first."""
    sums: dict[date, Sums] = defaultdict(Sums)
    for entry in entries:
        day = EPOCH + timedelta(days=entry["day"])
        sums[day.replace(day=1)].add(entry["account"], entry["amount"])
    return sorted(sums.items(), reverse=True)


def _ranked(found: dict[Any, Sums]) -> list[tuple[Any, Sums]]:
    return sorted(found.items(), key=lambda pair: (-pair[1].net, pair[0]))


def charges_by_line(entries: Iterable[dict[str, Any]]) -> list[tuple[str, Decimal]]:
    """The dearest first."""
    lines: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for entry in entries:
        if entry["account"].startswith(CHARGES):
            lines[entry["account"].removeprefix(CHARGES)] += entry["amount"]
    return sorted(lines.items(), key=lambda pair: -pair[1])


# ---- pictures: floats, for they are no money -----------------------------------------------------------------


def _equity(days: dict[int, Sums]) -> str:
    """Net profit added up day by day; nothing before there are two."""
    if len(days) < DAYS_MIN:
        return ""
    total, points = ZERO, [(0.0, 0.0)]
    for place, day in enumerate(sorted(days), start=1):
        total += days[day].net
        points.append((place / len(days), float(total)))
    return mark_safe(charts.line(points, _labels(sorted(days)), RUPEES, kind="equity"))


def _bars(days: dict[int, Sums]) -> str:
    values = [(_name(day), float(days[day].net)) for day in sorted(days)]
    return mark_safe(charts.bars(values, lambda value: rupees_signed(round(value)).removesuffix(".00")))


def _labels(days: list[int]) -> list[tuple[float, str]]:
    every = max(1, -(-len(days) // LABELS_MAX))
    return [(place / len(days), _name(day)) for place, day in enumerate(days) if place % every == 0]


def _name(day: int) -> str:
    moment = EPOCH + timedelta(days=day)
    return f"{moment.day} {moment:%b %Y}"
