"""The chart of an instrument: bars as the tick stream built them, and what deployments made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from django import forms
from django.db.models import Exists, Min, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from alphapanda.core.money import to_rupees
from alphapanda.dashboard import chart_indicators, chart_marks, frame, moment, no_bars, screen, seen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.chart_marks import traders
from alphapanda.research.candles import bars_fetched
from alphapanda.research.played import bars_played
from marketdata.domain.bars import DAY_MINUTES, Bar
from marketdata.domain.markets import anchor_minutes
from marketdata.domain.series import INTERVALS
from marketdata.models import Bar as StoredBar
from marketdata.models import Instrument
from strategies.models import BacktestRun, Deployment

BARS = 20_000
BEYOND = 200  # bars shown behind the last fill of a backtest
BAD_REQUEST = 400
MINUTE_MS = 60_000
starts_of = attrgetter("starts_ms")
KEPT = f"{', '.join(map(str, INTERVALS[:-1]))} minutes, or {INTERVALS[-1]} for the day"


Window = tuple[int, int | None, int]  # from when on, up to when (both in ms), how many
Told = tuple[list[list[Any]], str]  # bars, and in which way they are not those that one takes them for
DONE = BacktestRun.objects.filter(state=BacktestRun.State.DONE, kind=BacktestRun.Kind.BACKTEST)
NOT_PLAYED = (
    "The files that the backtest was played on are not at hand as they were: these are the bars of the tick stream, "
    "which may be others than it saw."
)


FETCHED = "Bars before the first that the tick stream has stored are candles of the broker that were fetched."


class Asked(forms.Form):
    """Which bars, from when on and up to when, and whose doings on them."""

    minutes = forms.TypedChoiceField(
        choices=[(minutes, f"{minutes} min" if minutes < DAY_MINUTES else "day") for minutes in INTERVALS],
        coerce=int,
        required=False,
        empty_value=1,
        error_messages={"invalid_choice": f"%(value)s is no length of bars that is kept: {KEPT}."},
    )
    deployment = forms.ModelChoiceField(Deployment.objects.all(), required=False)
    against = forms.ModelChoiceField(Deployment.objects.all(), required=False)
    backtest = forms.ModelChoiceField(
        DONE,
        required=False,
        error_messages={"invalid_choice": "There is no such backtest with a result."},
    )
    since_ms = forms.IntegerField(required=False, min_value=0)
    until_ms = forms.IntegerField(required=False, min_value=0)
    count = forms.IntegerField(required=False, min_value=1, max_value=BARS)

    def __init__(self, given: Any, *, broker: str) -> None:
        """Deployments of one broker namespace only: what is on paper and what is real never mix."""
        super().__init__(given)
        self.broker = broker
        self.fields["backtest"].queryset = moment.known(DONE, "finished_at")  # type: ignore[attr-defined]
        for name in ("deployment", "against"):
            self.fields[name].queryset = Deployment.objects.filter(broker=broker)  # type: ignore[attr-defined]

    def clean_against(self) -> Deployment | None:
        """The other of two that are compared."""
        other, one = self.cleaned_data["against"], self.cleaned_data.get("deployment")
        if other is not None and one is None:
            raise forms.ValidationError("Choose a deployment first: another is compared with it.")
        if other is not None and other == one:
            raise forms.ValidationError("Choose two deployments: this is the same one twice.")
        return other

    def chosen(self, instrument: Instrument) -> list[Deployment]:
        """The one or two that were asked for, else all that trade the instrument."""
        named = [self.cleaned_data[name] for name in ("deployment", "against")]
        return [one for one in named if one is not None] or list(traders(self.broker, instrument))


@page_view
def first(request: HttpRequest) -> HttpResponse:
    """The chart of an instrument that is in use, rather of one that has bars, or where charts come from."""
    broker = broker_of(request.GET.get("broker", ""))
    used = _others(broker)
    if not used:
        live = frame.Reading(broker)
        if frame.wants_json(request):
            return frame.snapshot(live, {}, is_stored=True)
        return frame.shown(request, "chart", "dashboard/no_chart.html", {}, live=live)
    has_bars = Exists(seen.bars().filter(instrument=OuterRef("pk")))
    fed = sorted(map(str, _used(broker).filter(has_bars)))
    return redirect(f"{reverse('chart', args=[(fed or used)[0]])}?{request.GET.urlencode()}".rstrip("?"))


@page_view
def page(request: HttpRequest, name: str) -> HttpResponse:
    """The page without its bars, which the chart asks for by itself."""
    instrument, broker = _instrument(name), broker_of(request.GET.get("broker", ""))
    form = Asked(request.GET, broker=broker)
    live = frame.Reading(broker)
    token = str(instrument.instrument_token)
    fetches = no_bars.fetched(instrument)
    marks = {i: row for i, row in live.rows.get("marks", {}).items() if i == token}
    html = screen.rendered({"marks": marks, "fetches": fetches})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_over=no_bars.is_over(fetches))
    is_good, own = form.is_valid(), list(traders(broker, instrument))
    given = form.cleaned_data
    minutes, run = given.get("minutes") or 1, given.get("backtest")
    alone = own[0] if len(own) == 1 and not run and "deployment" not in request.GET else None
    context = {
        "instrument": instrument,
        "mark": html["marks"].get(token, ""),
        "token": token,
        "intervals": Asked.base_fields["minutes"].choices,
        "others": _others(broker),
        "traders": own,
        "chosen": given.get("deployment") or alone,
        "other": given.get("against"),
        "run": run,
        "minutes": minutes,
        "wrong": [f"{field}: {words}" for field, found in form.errors.items() for words in found],
        "has_bars": bool(run) or _has_bars(instrument, minutes) or no_bars.has_candles(instrument),
        "no_bars": no_bars.told(instrument, live, broker),
        "fetches": list(html["fetches"].values()),
    }
    status = 200 if is_good else BAD_REQUEST
    return frame.shown(
        request, "chart", "dashboard/chart.html", context,
        live=live, kinds=["marks"], hints=["fetches", "news"], status=status,
    )  # fmt: skip


@page_view
def data(request: HttpRequest, name: str) -> JsonResponse:
    """The newest bars that start from `since_ms` on and before `until_ms`, `count` (20,000) at most, as [start in s,
    open, high, low, close, volume]; what deployments did meanwhile, and where their orders wait now."""
    instrument, form = _instrument(name), _asked(request)
    if not form.is_valid():
        return JsonResponse({"error": form.errors.get_json_data()}, status=BAD_REQUEST)
    given, run = form.cleaned_data, form.cleaned_data["backtest"]
    ran = chart_marks.of_backtest(run, instrument) if run else []
    until_ms = given["until_ms"] or (_behind(ran[-1]["at_ms"], given["minutes"]) if ran else None)
    window = given["since_ms"] or 0, until_ms, given["count"] or BARS
    minutes = given["minutes"]
    bars, doubt = _played(run, instrument, minutes, window) if run else _known(instrument, minutes, window)
    chosen = form.chosen(instrument)
    markers = [] if run or not bars else _markers(instrument, chosen, bars, until_ms)
    places = instrument.tick_size.normalize().as_tuple().exponent
    told = {
        "bars": bars,
        "markers": markers + ([] if given["since_ms"] else ran),
        "doubt": doubt,
        "lines": [] if run else chart_marks.lines(instrument, chosen),
        "places": max(2, -int(places)),
        "minutes": minutes,
        "anchor_minutes": anchor_minutes(instrument.exchange),
    }
    return JsonResponse(told)


def _played(run: BacktestRun, instrument: Instrument, minutes: int, window: Window) -> Told:
    """The bars that a backtest was played on, else those of the tick stream."""
    if played := bars_played(run, str(instrument), minutes):
        return _within(played, *window), ""
    bars = _bars(instrument, minutes, *window)
    return bars, NOT_PLAYED if bars else ""


def _known(instrument: Instrument, minutes: int, window: Window) -> Told:
    """The bars of the tick stream, before the first of them candles of the broker; none of these at a past moment."""
    bars, (since_ms, until_ms, count) = _bars(instrument, minutes, *window), window
    first_ms = _stored(instrument, minutes).aggregate(Min("starts_ms"))["starts_ms__min"]
    ends_ms = min((ms for ms in (until_ms, first_ms) if ms is not None), default=None)
    if moment.current() is not None or len(bars) == count or (ends_ms is not None and ends_ms <= since_ms):
        return bars, ""
    candles = _within(bars_fetched(instrument, minutes), since_ms, ends_ms, count - len(bars))
    return candles + bars, FETCHED if candles else ""


def _has_bars(instrument: Instrument, minutes: int) -> bool:
    return _stored(instrument, minutes).exists()


def _stored(instrument: Instrument, minutes: int) -> QuerySet[StoredBar]:
    return seen.bars().filter(instrument=instrument, minutes=minutes)


@page_view
def indicators(request: HttpRequest, name: str) -> JsonResponse:
    """What the strategies of the one or two deployments that are followed say of themselves, from `since_ms` on."""
    instrument, form = _instrument(name), _asked(request)
    if not form.is_valid():
        return JsonResponse({"error": form.errors.get_json_data()}, status=BAD_REQUEST)
    since_ms = form.cleaned_data["since_ms"] or 0
    followed = [form.cleaned_data[which] for which in ("deployment", "against")]
    found = []
    for one in filter(None, map(_as_it_stood, followed)):
        if one.instruments.contains(instrument):
            told = chart_indicators.indicators_of(one, instrument)
            lines = [asdict(line) for line in told["lines"]]
            for line in lines:
                line["points"] = [point for point in line["points"] if point[0] >= since_ms]
            found.append(told | {"lines": lines, "deployment": str(one.pk)})
    return JsonResponse({"deployments": found})


def _as_it_stood(one: Deployment | None) -> Deployment | None:
    """A deployment at the moment that is looked at; None: there was none."""
    return None if one is None else seen.deployment(one)


def _asked(request: HttpRequest) -> Asked:
    return Asked(request.GET, broker=broker_of(request.GET.get("broker", "")))


def _instrument(name: str) -> Instrument:
    exchange, _, symbol = name.partition(":")
    found = Instrument.objects.filter(exchange=exchange, tradingsymbol=symbol).first()
    if found is None:
        raise Http404(f"No instrument is called {name}: names are EXCHANGE:TRADINGSYMBOL, as NSE:INFY.")
    return found


def _others(broker: str) -> list[str]:
    return sorted(map(str, _used(broker)))


def _used(broker: str) -> QuerySet[Instrument]:
    return Instrument.objects.filter(deployment__broker=broker).distinct()


def _behind(at_ms: int, minutes: int) -> int:
    return at_ms + BEYOND * minutes * MINUTE_MS


def _bars(
    instrument: Instrument, minutes: int, since_ms: int, until_ms: int | None, count: int
) -> list[list[Any]]:
    found = _stored(instrument, minutes).filter(starts_ms__gte=since_ms)
    if until_ms is not None:
        found = found.filter(starts_ms__lt=until_ms)
    columns = ("starts_ms", "open_e4", "high_e4", "low_e4", "close_e4", "volume")
    newest = found.order_by("-starts_ms").values_list(*columns)[:count]
    return [_row(start, prices, volume) for start, *prices, volume in reversed(newest)]


def _within(played: list[Bar], since_ms: int, until_ms: int | None, count: int) -> list[list[Any]]:
    """As `_bars`, of bars that are at hand."""
    first = bisect_left(played, since_ms, key=starts_of)
    last = len(played) if until_ms is None else bisect_left(played, until_ms, key=starts_of)
    return [
        _row(one.starts_ms, (one.open_e4, one.high_e4, one.low_e4, one.close_e4), one.volume)
        for one in played[max(first, last - count) : last]
    ]


def _row(starts_ms: int, prices: Iterable[int], volume: int) -> list[Any]:
    return [starts_ms // 1000, *(float(to_rupees(price_e4)) for price_e4 in prices), volume]


def _markers(
    instrument: Instrument, chosen: list[Deployment], bars: list[list[Any]], until_ms: int | None
) -> list[chart_marks.Marker]:
    """What was done from the first bar on, and before the bars that are shown already."""
    found = chart_marks.markers(instrument, chosen, bars[0][0] * 1000)
    return [one for one in found if until_ms is None or one["at_ms"] < until_ms]
