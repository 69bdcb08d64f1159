"""The strategies that are installed, and the way from one to a deployment of one's own on paper."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from alphapanda import deploying
from alphapanda.core import ids
from alphapanda.core.refusals import Refusal
from alphapanda.core.vocabulary import Broker
from alphapanda.dashboard import frame
from alphapanda.dashboard.access import may_act, viewer_required
from alphapanda.dashboard.deploy_form import DeployForm
from marketdata.domain.markets import INDICES
from marketdata.feeds.files import recorded_file
from marketdata.models import Instrument
from marketdata.reference import YESBANK_FILES
from portfolio.models import Portfolio
from strategies.domain.base import Strategy, UnknownStrategy
from strategies.loading import strategy_class_of
from strategies.models import Deployment, StrategyVersion
from strategies.services.catalogue import catalogue_refresh, version_installed
from strategies.services.lifecycle import deployment_start

BAD_REQUEST = 400


def gallery() -> list[dict[str, Any]]:
    """Every strategy that can be deployed: title, what it does, its parameters, how many deployments run its code."""
    catalogue_refresh()
    found = StrategyVersion.objects.filter(is_installed=True, strategy__is_enabled=True)
    rows = found.select_related("strategy").prefetch_related("deployment_set").order_by("strategy__title")
    return [
        {
            "name": row.strategy.name,
            "title": row.strategy.title,
            "version": row.version,
            "origin": row.origin,
            "what": row.strategy.description.partition("\n\n")[0],
            "params": parameters_of(row.schema),
            "used": len(row.deployment_set.all()),
        }
        for row in rows
    ]


def parameters_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, meaning, default and bounds of each parameter, out of the schema that is stored with a version."""
    named = schema.get("$ref", "").rpartition("/")[2]
    known = schema.get("$defs", {}).get(named, schema).get("properties", {})
    return [
        {
            "name": name,
            "meaning": one.get("description", ""),
            "default": one.get("default"),
            "low": one.get("minimum", one.get("exclusiveMinimum")),
            "high": one.get("maximum"),
        }
        for name, one in known.items()
    ]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@viewer_required
def deploy(request: HttpRequest, name: str) -> HttpResponse:
    """A paper deployment of a strategy, with one's own parameters, by one form whose every field has a default."""
    if not may_act(request.user):
        raise PermissionDenied("Only an operator may deploy a strategy.")
    live = frame.Reading(Broker.PAPER)
    if request.method != "POST" and frame.wants_json(request):
        return frame.snapshot(live, {}, is_stored=True)
    version, strategy = _installed(name)
    known = _known()
    form = DeployForm(request.POST or None, strategy=strategy, title=version.strategy.title, known=known)
    if request.method == "POST" and form.is_valid():
        try:
            return _made(request, form)
        except Refusal as refusal:
            form.add_error(None, str(refusal))
    context = {
        "form": form,
        "version": version,
        "known": known,
        "reads_recording": settings.FEED == "recorded",
    }
    status = BAD_REQUEST if form.errors else 200
    return frame.shown(request, "strategies", "dashboard/deploy.html", context, live=live, status=status)


def _installed(name: str) -> tuple[StrategyVersion, type[Strategy]]:
    try:
        version = version_installed(name)
        return version, strategy_class_of(version)
    except UnknownStrategy as error:
        raise Http404(f"No strategy named {name!r} can be deployed: {error}") from error


def _known() -> list[str]:
    """Instruments that others trade on paper, the commonest first, then what the feed brings: to be had at once."""
    traded = Instrument.objects.filter(deployment__broker=Broker.PAPER).exclude(segment=INDICES)
    common = traded.annotate(times=Count("deployment")).order_by("-times", "exchange", "tradingsymbol")
    return list(dict.fromkeys([*map(str, common), *_fed()]))


def _fed() -> list[str]:
    """What the feed brings, where nothing has come yet."""
    if settings.FEED != "recorded":
        return list(settings.FEED_INSTRUMENTS)
    files = [recorded_file(str(one)) for one in settings.FEED_FILES or YESBANK_FILES]
    return [one.key for one in files]


@transaction.atomic
def _made(request: HttpRequest, form: DeployForm) -> HttpResponse:
    """The deployment's page. Sent twice it is the same deployment. Raises Refusal."""
    definition = form.definition()
    place = redirect("strategy", deployment_id=ids.deployment_id(definition.name))
    if Deployment.objects.filter(name=definition.name).exists() and not deploying.differing([definition]):
        return place
    who = {"actor": request.user.get_username(), "ip": request.META.get("REMOTE_ADDR")}
    facts = who | {"reason": form.cleaned_data["reason"], "now": timezone.now()}
    made = deploying.create_by(definition, portfolio=_portfolio(form), **facts)
    if form.cleaned_data["starts"]:
        deployment_start(deployment_id=made.pk, **facts)
    words = "It runs on paper." if form.cleaned_data["starts"] else "It is stopped: press Start."
    messages.success(request, f"{made.name} is made. {words}")
    return place


def _portfolio(form: DeployForm) -> str:
    """The name of the one that was chosen; without any, the paper portfolio is made."""
    if chosen := form.cleaned_data["portfolio"]:
        return chosen.name
    made = deploying.portfolio_of(Broker.PAPER, starting_cash=form.CASH)
    return Portfolio.objects.get(pk=made).name
