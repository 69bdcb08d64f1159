"""The chart of an instrument: bars as the tick stream built them, and what deployments made of them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from alphapanda.core.money import to_rupees
from alphapanda.dashboard import frame, screen, seen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.web.formats import price
from execution.models import Fill
from marketdata.domain.series import INTERVALS
from marketdata.models import Instrument
from strategies.models import Deployment, Signal

BARS = 20_000
MARKERS = 2_000
BAD_REQUEST = 400


class Asked(forms.Form):
    """Which bars, and since when."""

    minutes = forms.TypedChoiceField(
        choices=[(minutes, f"{minutes} min" if minutes < 1440 else "day") for minutes in INTERVALS],
        coerce=int,
        required=False,
        empty_value=1,
    )
    deployment = forms.ModelChoiceField(Deployment.objects.all(), required=False)
    since_ms = forms.IntegerField(required=False, min_value=0)


@page_view
def first(request: HttpRequest) -> HttpResponse:
    """The chart of an instrument that is in use, or where charts come from."""
    broker = broker_of(request.GET.get("broker", ""))
    used = Deployment.objects.filter(broker=broker).order_by("name").prefetch_related("instruments")
    named = [str(instrument) for deployment in used for instrument in deployment.instruments.all()]
    if not named:
        return frame.shown(request, "chart", "dashboard/no_chart.html", {}, live=frame.Reading(broker))
    return redirect(f"{reverse('chart', args=[named[0]])}?{request.GET.urlencode()}".rstrip("?"))


@page_view
def page(request: HttpRequest, name: str) -> HttpResponse:
    """The page without its bars, which the chart asks for by itself."""
    instrument, broker = _instrument(name), broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    token = str(instrument.instrument_token)
    html = screen.rendered({"marks": {i: row for i, row in live.rows.get("marks", {}).items() if i == token}})
    if frame.wants_json(request):
        return frame.snapshot(live, html)
    context = {
        "instrument": instrument,
        "mark": html["marks"].get(token, ""),
        "token": token,
        "intervals": Asked.base_fields["minutes"].choices,
        "others": _others(broker),
        "traders": Deployment.objects.filter(broker=broker, instruments=instrument).order_by("name"),
        "chosen": request.GET.get("deployment", ""),
        "minutes": request.GET.get("minutes", "1"),
    }
    return frame.shown(request, "chart", "dashboard/chart.html", context, live=live, kinds=["marks"])


@page_view
def data(request: HttpRequest, name: str) -> JsonResponse:
    """Bars that start at `since_ms` or later, 20,000 at most, as [start in s, open, high, low, close, volume]; and what
    deployments of this namespace did meanwhile."""
    instrument, form = _instrument(name), Asked(request.GET)
    if not form.is_valid():
        return JsonResponse({"error": form.errors.get_json_data()}, status=BAD_REQUEST)
    given = form.cleaned_data
    bars = _bars(instrument, given["minutes"], given["since_ms"] or 0)
    begins_ms = bars[0][0] * 1000 if bars else 0
    broker = broker_of(request.GET.get("broker", ""))
    markers = _markers(instrument, broker, given["deployment"], begins_ms) if bars else []
    places = instrument.tick_size.normalize().as_tuple().exponent
    told = {"bars": bars, "markers": markers, "places": max(2, -int(places)), "minutes": given["minutes"]}
    return JsonResponse(told)


def _instrument(name: str) -> Instrument:
    exchange, _, symbol = name.partition(":")
    found = Instrument.objects.filter(exchange=exchange, tradingsymbol=symbol).first()
    if found is None:
        raise Http404(f"No instrument is called {name}: names are EXCHANGE:TRADINGSYMBOL, as NSE:INFY.")
    return found


def _others(broker: str) -> list[str]:
    used = Deployment.objects.filter(broker=broker).prefetch_related("instruments")
    return sorted({str(instrument) for deployment in used for instrument in deployment.instruments.all()})


def _bars(instrument: Instrument, minutes: int, since_ms: int) -> list[list[Any]]:
    found = seen.bars().filter(instrument=instrument, minutes=minutes, starts_ms__gte=since_ms)
    columns = ("starts_ms", "open_e4", "high_e4", "low_e4", "close_e4", "volume")
    newest = found.order_by("-starts_ms").values_list(*columns)[:BARS]
    return [
        [start // 1000, *(float(to_rupees(price_e4)) for price_e4 in prices), volume]
        for start, *prices, volume in reversed(newest)
    ]


def _markers(
    instrument: Instrument, broker: str, deployment: Deployment | None, since_ms: int
) -> list[dict[str, Any]]:
    """Fills, and signals that risk denied: what was approved shows by its fill."""
    chosen: dict[str, Any] = {"instrument": instrument, "broker": broker, "at_ms__gte": since_ms}
    if deployment:
        chosen["deployment"] = deployment
    fills = seen.fills().filter(**chosen).select_related("deployment").order_by("-at_ms")[:MARKERS]
    refused = seen.signals().filter(**chosen, decision__is_approved=False, **seen.decided())
    denied = refused.select_related("decision", "deployment")
    found = [_filled(fill) for fill in fills]
    found += [_denied(signal) for signal in denied.order_by("-at_ms")[:MARKERS]]
    return sorted(found, key=lambda marker: marker["at_ms"])


def _filled(fill: Fill) -> dict[str, Any]:
    return {
        "at_ms": fill.at_ms,
        "side": fill.side,
        "kind": "fill",
        "words": f"{fill.side} {fill.quantity} at {price(fill.price_e4)}, {fill.deployment.name}",
        "address": reverse("order", args=[fill.order_id]),
    }


def _denied(signal: Signal) -> dict[str, Any]:
    return {
        "at_ms": signal.at_ms,
        "side": signal.side,
        "kind": "denied",
        "words": f"{signal.side} {signal.quantity} denied by {signal.decision.rule}, {signal.deployment.name}",
        "address": reverse("signal", args=[signal.id]),
    }
