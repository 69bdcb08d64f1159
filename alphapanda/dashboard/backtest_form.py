"""The form of a new backtest or search in the cockpit: of a strategy, with an input for each of its parameters."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from alphapanda.core.refusals import Refusal
from alphapanda.dashboard import frame, gallery
from alphapanda.dashboard.access import broker_of, may_act, viewer_required
from alphapanda.dashboard.deploy_form import PLAIN
from alphapanda.dashboard.like import Like
from alphapanda.dashboard.search_fields import DEFAULTS, search_asked, search_fields
from alphapanda.research import stored
from alphapanda.research.asking import AskForm
from alphapanda.research.places import recorded_names
from alphapanda.research.stored import BacktestExists, backtest_create, plan_of
from marketdata.reference import YESBANK_FILES
from strategies.domain.parameters import described
from strategies.models import BacktestRun
from strategies.registry import find, names

BAD_REQUEST = 400
FILES_SHOWN = 8
MORE = ("execution", "limits", "instruments", "rules", "warm_up", "search")


class BacktestForm(AskForm):
    """With a recorded session, a name and rules of costs given, so that it can be sent as it is."""

    look = PLAIN

    def __init__(self, *args: Any, now: datetime, **more: Any) -> None:
        super().__init__(*args, **more)
        strategy = self.data.get("strategy") or self.initial.get("strategy", "")
        stamp = f"{timezone.localtime(now):%Y-%m-%d %H:%M:%S}"
        tuned = search_fields(described(find(strategy).Params)) if strategy in names() else {}
        self.fields |= tuned
        self.tuned = tuple(tuned)
        self.initial |= DEFAULTS | {
            "name": f"{strategy}, {stamp}",
            "files": self.initial.get("files") or _to_trade(),
        }
        for name in ("files", "warm_up", "instruments", "rules"):
            self.fields[name].widget.attrs["size"] = min(FILES_SHOWN, len(self.fields[name].choices) or 1)
        for name in ("first_day", "last_day"):
            self.fields[name].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def clean(self) -> dict[str, Any]:
        written, asked = self.cleaned_data.get("search"), search_asked(self.cleaned_data)
        if written and asked:
            self.add_error("search", "Values to try stand above as well: give one of the two.")
        self.cleaned_data["search"] = written or asked
        return super().clean()

    def wrong(self) -> list[tuple[forms.BoundField, str]]:
        """The inputs that have to be looked at again, each with why."""
        return [
            (self[name], words)
            for name, found in self.errors.items()
            if name in self.fields
            for words in found
        ]

    def searched(self) -> list[forms.BoundField]:
        """What makes a search of it."""
        return [self[name] for name in self.tuned]

    def is_search(self) -> bool:
        return any(one.errors or (one.name.startswith("try__") and one.data) for one in self.searched())

    def more(self) -> list[forms.BoundField]:
        """What few people change."""
        return [self[name] for name in MORE]


def _to_trade() -> list[str]:
    """A recording that ships of something that can be traded, as it is named here."""
    shipped = {path.name for path in YESBANK_FILES}
    return [name for name in recorded_names() if PurePath(name).name in shipped][:1]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def new(request: HttpRequest) -> HttpResponse:
    """First the strategy, then what it is to be tried on."""
    if not may_act(request.user):
        raise PermissionDenied("Only an operator may start a backtest.")
    live = frame.Reading(broker_of(request.GET.get("broker", "")))
    if request.method != "POST" and frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    strategy = request.POST.get("strategy") or request.GET.get("strategy", "")
    if strategy not in names():
        return _choosing(request, live, strategy)
    form = BacktestForm(request.POST or None, initial=_begun(request, strategy), now=timezone.now())
    if request.method == "POST" and form.is_valid():
        try:
            return _asked(request, form)
        except Refusal as refusal:
            form.add_error(None, str(refusal))
    status, context = BAD_REQUEST if form.errors else 200, {"form": form, "strategy": strategy}
    return frame.shown(request, "backtests", "dashboard/backtest_new.html", context, live=live, status=status)


def _begun(request: HttpRequest, strategy: str) -> dict[str, Any]:
    like = Like(request.GET)
    given = {"params": like.params(strategy), "files": like.recorded()}
    return {"strategy": strategy} | {name: value for name, value in given.items() if value}


def _choosing(request: HttpRequest, live: frame.Reading, strategy: str) -> HttpResponse:
    wrong = f"There is no strategy {strategy[:60]!r}: choose one of these." if strategy else ""
    context = {"strategies": gallery.gallery(), "wrong": wrong}
    status = BAD_REQUEST if wrong else 200
    return frame.shown(request, "backtests", "dashboard/backtest_new.html", context, live=live, status=status)


def _asked(request: HttpRequest, form: BacktestForm) -> HttpResponse:
    """The page of the run. Sent twice it is the same run. Raises Refusal."""
    name = form.cleaned_data["name"]
    try:
        with transaction.atomic():
            run = backtest_create(
                form.asked,
                search=form.search,
                name=name,
                actor=request.user.get_username(),
                ip=request.META.get("REMOTE_ADDR"),
                now=timezone.now(),
            )
    except BacktestExists:
        run = BacktestRun.objects.defer("result").get(name=name.strip())
        if (plan_of(run), stored.search_asked(run)) != (form.asked, form.search):
            raise
    else:
        messages.success(request, f"{run.name} is asked for.")
    return redirect("backtest", run_id=run.pk)
