"""Other parameters for a deployment: by the form of its strategy, with the difference to what runs, tried on recorded
sessions before anything is changed; and how a shadow has decided beside its original."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from alphapanda.core.refusals import BadRequest, Refusal
from alphapanda.core.vocabulary import Broker, Product
from alphapanda.dashboard import frame
from alphapanda.dashboard.access import may_act, page_view, viewer_required
from alphapanda.dashboard.deploy_form import PLAIN
from alphapanda.dashboard.like import Like
from alphapanda.deploying import Definition
from alphapanda.research.plan import Plan
from alphapanda.research.stored import backtest_create
from alphapanda.shadows import SAME, shadow_compare
from execution.domain.settings import as_paper
from marketdata.feeds.files import recorded_file
from marketdata.reference import YESBANK_FILES
from risk.loading import level_of
from risk.models import LimitSet
from strategies.domain.base import BadParameters, UnknownStrategy, build
from strategies.domain.parameters import described
from strategies.forms import ParametersField
from strategies.loading import strategy_class_of
from strategies.models import Deployment
from strategies.services.upgrades import deployment_upgrade

BAD_REQUEST = 400
DIFFERENCES = 200
NAME = 60  # of a deployment in the name of a backtest


class NoRecording(BadRequest):
    """Nothing is recorded of what a deployment trades."""


class TuneForm(forms.Form):
    """Parameters of a deployment; `was` are those that the person has seen, `typed` its name where money is real."""

    params = forms.Field()
    was = forms.JSONField(widget=forms.HiddenInput, required=False)
    reason = forms.CharField(max_length=300, help_text="for the audit trail")
    typed = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, deployment: Deployment, **more: Any) -> None:
        super().__init__(*args, **more)
        self.deployment = deployment
        self.kind = strategy_class_of(deployment.strategy_version)
        self.known = {one.name: one for one in described(self.kind.Params)}
        self.fields["params"] = ParametersField(tuple(self.known.values()), PLAIN)
        # what was tried is all of it: what it does not name had its default there, whatever runs now
        self.initial = {"params": self.initial or deployment.params, "was": deployment.params}

    def clean_params(self) -> dict[str, Any]:
        """As they are stored: what has its default, and was not named before, stays unnamed."""
        before, given = self.deployment.params, self.cleaned_data["params"]
        return {
            name: value
            for name, value in given.items()
            if name in before or value != self.known[name].default
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("was", self.deployment.params) != self.deployment.params:
            raise forms.ValidationError("Somebody has changed the parameters meanwhile: look at them anew.")
        if "params" in cleaned:
            self._check(cleaned["params"])
        return cleaned

    def _check(self, params: dict[str, Any]) -> None:
        try:
            build(self.kind, params, instruments=[str(one) for one in self.deployment.instruments.all()])
        except BadParameters as error:
            self.add_error("params", str(error))
        if not self.errors and not self.difference(params):
            self.add_error("params", "Nothing differs from what runs.")

    def difference(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        """What changes: name, value now and afterwards."""
        defaults = {name: one.default for name, one in self.known.items()}
        now, then = defaults | self.deployment.params, defaults | params
        return [
            {"name": name, "now": now.get(name), "then": then.get(name)}
            for name in then
            if now.get(name) != then.get(name)
        ]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def tune(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """The form; its difference to what runs; then the change, or a trial of both on recorded sessions."""
    if not may_act(request.user):
        raise PermissionDenied("Only an operator may change parameters.")
    related = Deployment.objects.select_related("strategy_version__strategy").prefetch_related("instruments")
    found = get_object_or_404(related, id=deployment_id)
    live = frame.Reading(found.broker)
    if request.method != "POST" and frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    try:
        tried = Like(request.GET).params(found.strategy_version.strategy.name)
        form = TuneForm(request.POST or None, deployment=found, initial=tried)
    except UnknownStrategy as error:
        messages.error(request, f"Its code does not load: {error}")
        return redirect("strategy", deployment_id=found.pk)
    return _answered(request, form, live)


def _answered(request: HttpRequest, form: TuneForm, live: frame.Reading) -> HttpResponse:
    found, changes = form.deployment, []
    if request.method == "POST" and form.is_valid():
        changes = form.difference(form.cleaned_data["params"])
        act: Callable[..., HttpResponse] | None = ACTS.get(request.POST.get("step", ""))
        try:
            if act is not None:
                return act(request, form)
        except Refusal as refusal:
            form.add_error(None, str(refusal))
    context = {
        "deployment": found,
        "form": form,
        "changes": changes,
        "posted": _posted(request) if changes else [],
        "warm_up": build(form.kind, form.cleaned_data["params"]).warm_up() if changes else 0,
    }
    status = BAD_REQUEST if form.errors else 200
    return frame.shown(
        request, "strategies", "dashboard/tune.html", context, live=live, broker=found.broker, status=status
    )


def _posted(request: HttpRequest) -> list[tuple[str, str]]:
    """What was sent, to be sent again."""
    left_out = ("csrfmiddlewaretoken", "step", "typed")
    return [(name, value) for name, value in request.POST.items() if name not in left_out]


def _who(request: HttpRequest) -> dict[str, Any]:
    return {
        "actor": request.user.get_username(),
        "ip": request.META.get("REMOTE_ADDR"),
        "now": timezone.now(),
    }


def _save(request: HttpRequest, form: TuneForm) -> HttpResponse:
    """The same code goes on with the other parameters. Raises Refusal."""
    found = form.deployment
    if found.broker == Broker.ZERODHA and form.cleaned_data["typed"] != found.name:
        raise BadRequest(f"This is real money: type {found.name} to confirm.")
    row = deployment_upgrade(
        deployment_id=found.pk,
        version=found.strategy_version.source_hash,
        params=form.cleaned_data["params"],
        reason=form.cleaned_data["reason"],
        **_who(request),
    )
    messages.success(request, f"{row.name} goes on with the new parameters after step {row.step}.")
    return redirect("strategy", deployment_id=row.pk)


@transaction.atomic
def _try(request: HttpRequest, form: TuneForm) -> HttpResponse:
    """Two stored backtests, of what runs and of what is wished for, beside each other. Raises Refusal."""
    found, given = form.deployment, form.cleaned_data
    stamp = f"{timezone.localtime():%Y-%m-%d %H:%M:%S}"
    wanted = {"as it runs": found.params, "with other parameters": given["params"]}
    runs = [
        backtest_create(
            Plan(files=recorded_of(found), definitions=(_as_tried(found, params),)),
            name=f"{found.name[:NAME]} {words}, {stamp}",
            reason=given["reason"],
            **_who(request),
        )
        for words, params in wanted.items()
    ]
    chosen = [("run", run.pk) for run in runs] + [("deployment", found.pk)]
    return redirect(f"{reverse('backtests-compare')}?{urlencode(chosen)}")


ACTS = {"save": _save, "try": _try}


def recorded_of(deployment: Deployment) -> tuple[str, ...]:
    """The recorded files of what a deployment trades. Raises NoRecording."""
    names = {str(one) for one in deployment.instruments.all()}
    files = [str(one) for one in settings.FEED_FILES or YESBANK_FILES]
    found = tuple(one for one in files if recorded_file(one).key in names)
    if {recorded_file(one).key for one in found} != names:
        raise NoRecording(f"It cannot be tried: no session of {', '.join(sorted(names))} is recorded here.")
    return found


def _as_tried(found: Deployment, params: dict[str, Any]) -> Definition:
    """The deployment on paper with other parameters, under its own limits."""
    execution = as_paper(found.execution)
    limits = LimitSet.objects.filter(deployment=found).first()
    return Definition(
        name=found.name,
        strategy=found.strategy_version.strategy.name,
        instruments=tuple(sorted(str(one) for one in found.instruments.all())),
        params=params,
        product=Product(execution.pop("product", Product.MIS)),
        execution=execution,
        limits=json.loads(msgspec.json.encode(level_of(limits).limits)) if limits else {},
    )


@page_view
def shadow(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """What a shadow wanted otherwise than its original, the newest first, and what each has made since."""
    found = get_object_or_404(Deployment.objects.exclude(shadow_of=None), id=deployment_id)
    live = frame.Reading(found.broker)
    if frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    told = shadow_compare(found.name)
    rows = [one for one in reversed(told.differences) if one.verdict != SAME]
    context = {
        "found": told,
        "deployment": found,
        "rows": rows[:DIFFERENCES],
        "left": len(rows) - DIFFERENCES,
    }
    return frame.shown(
        request, "strategies", "dashboard/shadow.html", context, live=live, broker=found.broker
    )
