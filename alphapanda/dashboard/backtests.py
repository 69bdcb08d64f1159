"""Backtests: what was asked for and how far it is, findings first; and up to four beside each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from alphapanda.core.clock import to_ms
from alphapanda.core.refusals import Refusal
from alphapanda.dashboard import frame, heat, run_figures, screen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.research import selectors
from alphapanda.web.formats import UNKNOWN, number
from marketdata.domain.series import LONGER
from marketdata.models import Instrument
from strategies.models import BacktestRun, Deployment

SHOWN = 200
TRADES = 500
BAD_REQUEST = 400
ACTIVE = (BacktestRun.State.QUEUED, BacktestRun.State.RUNNING)


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """All runs, the newest first, with progress."""
    live, now = frame.Reading(broker_of(request.GET.get("broker", ""))), timezone.now()
    runs = selectors.backtests()[:SHOWN]
    html = screen.rendered({"runs": {str(run.pk): _row(run, now) for run in runs}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {"rows": list(html["runs"].values())}
    return frame.shown(
        request, "backtests", "dashboard/backtests.html", context, live=live, hints=["runs", "news"]
    )


def _row(run: BacktestRun, now: datetime) -> screen.Row:
    return selectors.as_row(run, now) | {
        "id": str(run.pk),
        "order": to_ms(run.created_at) * 1000 + run.created_at.microsecond % 1000,
        "at_ms": to_ms(run.created_at),
        "return": run.summary.get("total_return"),
        "percent": 100 * run.done // run.total if run.total else 0,
        "is_active": run.state in ACTIVE,
        "error": run.error.strip().rpartition("\n")[2],
    }


@page_view
def detail(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run: reasons to doubt it, figures, how it was asked for, its trades."""
    run = get_object_or_404(BacktestRun.objects.all(), pk=run_id)
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    html = screen.rendered({"runs": {str(run.pk): _row(run, timezone.now())}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True, is_over=run.state not in ACTIVE)
    is_done = run.state == BacktestRun.State.DONE
    result = selectors.result_of(run) if is_done else {}
    context = {
        "run": run,
        "is_active": run.state in ACTIVE,
        "row": next(iter(html["runs"].values())),
        "result": result,
        "trades": [run_figures.trade(one) for one in result.get("trades", [])[-TRADES:][::-1]],
        "figures": run_figures.figures(result.get("statistics", {})),
        "costs": run_figures.costs(result.get("costs", {})),
        "plan": run_figures.without_folders(run.plan | ({"search": run.search} if run.search else {})),
        "search": heat.search(result) if result and run.kind == BacktestRun.Kind.SEARCH else None,
        "sheet": reverse("backtest-sheet", args=[run.pk]) if is_done else "",
        "left": len(result.get("trades", [])) - TRADES,
        "charts": _charts(run, result),
    }
    return frame.shown(
        request, "backtests", "dashboard/backtest.html", context, live=live, hints=["runs", "news"]
    )


@csp_update({"style-src": [UNSAFE_INLINE], "img-src": ["data:"]})
@page_view
def sheet(_request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Its tear sheet, or the page of a search: one file that needs nothing else, to keep or to send. It has styles of
    its own, and no script."""
    from alphapanda.research.sheets import sheet_of

    run = get_object_or_404(BacktestRun.objects.filter(state=BacktestRun.State.DONE), pk=run_id)
    return HttpResponse(sheet_of(run))


def _charts(run: BacktestRun, result: dict[str, Any]) -> list[tuple[str, str]]:
    """What it traded that is in the lists, each with the address of its fills on bars as long as those of its file."""
    length = {one.get("instrument"): one.get("minutes") for one in result.get("meta", {}).get("files", [])}
    traded = {fill["instrument"] for fill in result.get("fills", [])}
    symbols = {name.partition(":")[2] for name in traded}
    known = set(map(str, Instrument.objects.filter(tradingsymbol__in=symbols)))
    return [(name, _chart(run, name, length.get(name))) for name in sorted(traded & known)]


def _chart(run: BacktestRun, name: str, minutes: int | None) -> str:
    asked = {"backtest": run.pk} | ({"minutes": minutes} if minutes in LONGER else {})
    return f"{reverse('chart', args=[name])}?{urlencode(asked)}"


class Chosen(forms.Form):
    """Runs to set beside each other, and the deployment whose parameters are tried."""

    run = forms.ModelMultipleChoiceField(BacktestRun.objects.defer("result"))
    deployment = forms.ModelChoiceField(Deployment.objects.all(), required=False)


@page_view
def compare(request: HttpRequest) -> HttpResponse:
    """Two to four runs: what was the same, what differed, every figure beside each other, as soon as all are done."""
    live, form = frame.Reading(broker_of(request.GET.get("broker", ""))), Chosen(request.GET)
    runs = list(form.cleaned_data["run"].order_by("created_at")) if form.is_valid() else []
    can_be = selectors.COMPARED_MIN <= len(runs) <= selectors.COMPARED_MAX
    is_waiting = can_be and any(run.state in ACTIVE for run in runs)
    now = timezone.now()
    html = screen.rendered({"runs": {str(run.pk): _row(run, now) for run in runs if is_waiting}})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True, is_over=not is_waiting)
    context: dict[str, Any] = {"waiting": list(html["runs"].values()), "error": ""}
    if not form.is_valid():
        context["error"] = "Choose two to four backtests in the list."
    elif not is_waiting:
        context |= _beside(runs)
    if form.is_valid() and (deployment := form.cleaned_data["deployment"]):
        context |= {"tuned": deployment, "tried": runs[-1]}
    status = BAD_REQUEST if context["error"] else 200
    return frame.shown(
        request,
        "backtests",
        "dashboard/compare.html",
        context,
        live=live,
        hints=["runs", "news"],
        status=status,
    )


def _beside(runs: list[BacktestRun]) -> dict[str, Any]:
    """What the page of a comparison shows, or why there is none."""
    try:
        found = selectors.compared(runs)
    except Refusal as refusal:
        return {"error": str(refusal)}
    figures = {
        run_figures.words_of(name): [run_figures.figure(name, value) for value in found["statistics"][name]]
        for name in run_figures.in_order(found["statistics"])
    }
    chosen = {name: list(map(_said, values)) for name, values in found["differences"].items()}
    return {"found": found, "figures": figures, "chosen": chosen}


def _said(value: Any) -> str:
    """What was chosen, in words; a dash where it was not."""
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return UNKNOWN if value is None else number(value) if isinstance(value, int) else str(value)
