"""Strategies: the deployments that run, what each did last, and why not; and one by itself with its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from alphapanda import log_files
from alphapanda.core.vocabulary import Broker, DeploymentStatus, OrderStatus
from alphapanda.dashboard import at_work, frame, moment, screen, seen
from alphapanda.dashboard.access import broker_of, page_view
from alphapanda.dashboard.biography import LIVED, lived, quarantines
from alphapanda.dashboard.earned import earned
from alphapanda.dashboard.gallery import gallery, parameters_of
from alphapanda.dashboard.logs import line_row
from alphapanda.dashboard.standing import standings
from alphapanda.log_files import Line
from alphapanda.projection_rows import is_asked
from execution.models import Order
from risk.models import Decision
from strategies.models import Deployment, Signal

SHOWN = 30
# What a person may do to a deployment in a state: name of the act, its title, what it does, and what is said then.
START = ("start", "Start", "It reads ticks and enters again.", "Started.")
PAUSE = ("pause", "Pause", "It enters nothing more. Its exits pass.", "Paused.")
FLATTEN = (
    "flatten",
    "Flatten",
    "It is paused, and what it holds is closed at the market.",
    "Paused, and told to close what it holds.",
)
STOP = ("stop", "Stop", "It reads nothing more, and keeps what it holds.", "Stopped.")
RELEASE = (
    "release",
    "Release",
    "It reads the tick again on which it raised. With the same code and parameters it is soon back in quarantine.",
    "Released: it reads that tick again. Where it raises once more, it is back in quarantine within seconds.",
)
ACTS = {
    DeploymentStatus.RUNNING: (PAUSE, FLATTEN, STOP),
    DeploymentStatus.PAUSED: (START, FLATTEN, STOP),
    DeploymentStatus.STOPPED: (START,),
    DeploymentStatus.QUARANTINED: (RELEASE,),
}
KEYS = {"pause": "p", "start": "r", "release": "r"}  # of the row at hand; each asks before it acts


@page_view
def page(request: HttpRequest) -> HttpResponse:
    """Every deployment with its last decision and, where that was a refusal, the rule."""
    broker = broker_of(request.GET.get("broker", ""))
    live = frame.Reading(broker)
    html = screen.rendered({"traders": _traders(broker, live)})
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context = {
        "rows": list(html["traders"].values()),
        "gallery": gallery() if moment.current() is None else [],
    }
    return frame.shown(
        request,
        "strategies",
        "dashboard/strategies.html",
        context,
        live=live,
        hints=["traders", "news", "signals", "orders"],
    )


def _traders(broker: str, live: frame.Reading) -> dict[str, screen.Row]:
    rows = seen.deployment_rows(Deployment.objects.filter(broker=broker).order_by("name"))
    ids = [UUID(row["id"]) for row in rows]
    last = _last_decisions(ids)
    rejected = _rejected(last.values())
    known = live.rows.get("deployments", {})
    strip = live.rows.get("strip", {}).get(broker, {})
    is_now = moment.current() is None
    why = standings(rows, strip, {str(name) for name in last}) if is_now else {}
    traded, last_seen = at_work.traded(ids, live.day), at_work.last_seen(ids)
    return {
        row["id"]: _trader(row, last.get(UUID(row["id"])), rejected, known.get(row["id"], {}))
        | {"standing": why.get(row["id"], "")}
        | traded.get(row["id"], {})
        | last_seen.get(row["id"], {})
        for row in rows
    }


def _last_decisions(deployments: list[UUID]) -> dict[UUID, Decision]:
    known = moment.known(Decision.objects.filter(deployment__in=deployments))
    newest = known.order_by("deployment_id", "-created_at", "-id")
    return {one.deployment_id: one for one in newest.distinct("deployment_id").select_related("signal")}


def _rejected(decisions: Iterable[Decision]) -> dict[UUID, Order]:
    """Orders on these decisions that the broker or the exchange refused, by decision."""
    refused = {seen.order_status(): OrderStatus.REJECTED}
    return {one.decision_id: one for one in seen.orders().filter(decision__in=decisions, **refused)}


def _trader(
    row: screen.Row, decision: Decision | None, rejected: dict[UUID, Order], known: screen.Row
) -> screen.Row:
    return row | {
        "acts": acts_of(row["id"], row["name"], row["broker"], DeploymentStatus(row["status"])),
        "pnl": known.get("pnl"),
        "held": known.get("held", []),
        "last": _last(decision, rejected.get(decision.pk)) if decision else None,
    }


def _last(decision: Decision, rejected: Order | None) -> screen.Row:
    return {
        "signal_id": str(decision.signal_id),
        "at_ms": decision.at_ms,
        "approved": decision.is_approved,
        "asked": is_asked(decision.signal, decision),
        "rule": decision.rule,
        "reason": decision.reason if not decision.is_approved else decision.signal.reason,
        "rejected": None if rejected is None else rejected.reason or "no reason was given",
    }


def acts_of(deployment_id: str, name: str, broker: str, status: DeploymentStatus) -> list[dict[str, str]]:
    """The buttons of a deployment; where money is real, its name must be typed."""
    return [
        {
            "address": f"/api/v1/deployments/{deployment_id}/{act}/",
            "title": title,
            "key": KEYS.get(act, ""),
            "what": f"{name}: {what}",
            "done": done,
            "type": name if broker == Broker.ZERODHA else "",
        }
        for act, title, what, done in ACTS[status]
    ]


@page_view
def detail(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """One deployment: what it is, what it was told, what it did, and who changed it."""
    related = Deployment.objects.select_related("strategy_version__strategy", "shadow_of")
    found = seen.deployment(get_object_or_404(related, id=deployment_id))
    if found is None:
        raise Http404("It had not been made at that moment.")
    live = frame.Reading(found.broker)
    rows = {
        "traders": {i: row for i, row in _traders(found.broker, live).items() if i == str(deployment_id)},
        "signals": _by_id(seen.signal_rows(_newest(seen.signals(), found)), live),
        "quarantines": quarantines(found),
        **lived(found),
        **earned(found),
    }
    if moment.current() is None:  # the files of the log are no facts of a moment
        rows["loglines"] = {row["id"]: row for row in map(line_row, _lines(found))}
    html = screen.rendered(rows)
    if frame.wants_json(request):
        return frame.snapshot(live, html, is_stored=True)
    context: dict[str, Any] = {
        "deployment": found,
        "reads_recording": settings.FEED == "recorded",
        "loglines": list(html["loglines"].values()) if "loglines" in html else None,
        "params": _params(found),
        "trader": next(iter(html["traders"].values()), ""),
        "rows": list(html["signals"].values()),
        "earned": html["earned"][str(found.pk)],
        **{kind: list(html[kind].values()) for kind in ("quarantines", "trips", *LIVED)},
        "shadows": moment.known(found.shadows.order_by("name")),
    }
    return frame.shown(
        request,
        "strategies",
        "dashboard/strategy.html",
        context,
        live=live,
        hints=[*rows, "news", "orders", "fills"],
        broker=found.broker,
    )


def _lines(deployment: Deployment) -> list[Line]:
    """The newest lines of the log that name it."""
    others = Deployment.objects.exclude(pk=deployment.pk).values_list("name", flat=True)
    is_meant = log_files.naming(deployment.name, others, str(deployment.pk))
    return log_files.tail(count=SHOWN, is_meant=is_meant)


def _newest(known: QuerySet[Signal], deployment: Deployment) -> QuerySet[Signal]:
    newest = known.filter(deployment=deployment).order_by("-created_at", "-id")
    return known.filter(id__in=list(newest.values_list("id", flat=True)[:SHOWN]))


def _by_id(found: list[screen.Row], live: frame.Reading) -> dict[str, screen.Row]:
    newest = sorted(found, key=lambda row: row["order"], reverse=True)
    return {row["id"]: screen.dated(row, live.day) for row in newest}


def _params(found: Deployment) -> list[dict[str, Any]]:
    """Each parameter with its meaning, default and value."""
    known = {one["name"]: one for one in parameters_of(found.strategy_version.schema)}
    names = dict.fromkeys([*known, *found.params])
    return [
        {
            "name": name,
            "value": found.params.get(name, known.get(name, {}).get("default")),
            "default": known.get(name, {}).get("default"),
            "meaning": known.get(name, {}).get("meaning", ""),
            "is_changed": name in found.params and found.params[name] != known.get(name, {}).get("default"),
        }
        for name in names
    ]
