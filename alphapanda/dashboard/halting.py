"""What a halt would touch before it is thrown, and how far one that was thrown has come to flat."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from alphapanda.core.vocabulary import FINAL_STATUSES, Broker, DeploymentStatus, HaltLevel, HaltStep
from alphapanda.dashboard import screen
from alphapanda.dashboard.access import page_view
from alphapanda.web.formats import counted
from execution.models import Order
from portfolio.models import Position
from risk.models import KillSwitch
from strategies.models import Approval, Command, Deployment

NAMED = 12  # things that a sentence lists
ACTIVE = (DeploymentStatus.RUNNING.value, DeploymentStatus.PAUSED.value)
STEPS = (
    (
        HaltStep.PAUSE,
        "Halt entries",
        "New risk is refused from the next tick on; nothing that works is touched.",
    ),
    (HaltStep.CANCEL, "And cancel", "Also every working order is cancelled."),
    (
        HaltStep.FLATTEN,
        "And close",
        "Also every working order is cancelled and what is held is closed at the market.",
    ),
)


class Touched(NamedTuple):
    """What deployments have at stake now, in words, each with whose it is."""

    working: list[str]
    held: list[str]
    waiting: int
    unreached: list[str]  # hold something or have orders at work, and read nothing

    @property
    def words(self) -> str:
        return "; ".join(
            [
                f"{counted(len(self.working), 'working order')}{_list(self.working)}",
                f"{counted(len(self.held), 'open position')}{_list(self.held)}",
                f"{counted(self.waiting, 'waiting approval')} dropped"
                if self.waiting
                else "no approval waits",
                *(
                    [f"out of reach, for they read nothing: {', '.join(self.unreached)}"]
                    if self.unreached
                    else []
                ),
            ]
        )


def _list(found: list[str]) -> str:
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f" ({', '.join(found[:NAMED])}{more})" if found else ""


def touched(deployments: Iterable[Deployment]) -> Touched:
    """What stands to be cancelled, closed and dropped of these deployments."""
    every = {one.pk: one for one in deployments}
    orders = Order.objects.filter(deployment__in=every).exclude(
        status__in=[one.value for one in FINAL_STATUSES]
    )
    positions = Position.objects.filter(book__in=every).exclude(quantity=0)
    related = list(positions.select_related("instrument", "book").order_by("book__name", "instrument_id"))
    at_work = list(orders.select_related("instrument").order_by("placed_at_ms", "id"))
    exposed = {one.book_id for one in related} | {one.deployment_id for one in at_work}
    unreached = [every[name].name for name in exposed if every[name].status not in ACTIVE]
    return Touched(
        working=[f"{one.side} {one.quantity - one.filled_quantity} {one.instrument}" for one in at_work],
        held=[f"{one.quantity:+} {one.instrument} of {one.book.name}" for one in related],
        waiting=Approval.objects.filter(deployment__in=every, state=Approval.State.WAITING).count(),
        unreached=sorted(unreached),
    )


@page_view
def preview(request: HttpRequest) -> HttpResponse:
    """What a halt of the target that is asked for would cancel and close now, in words, as JSON: for its dialog."""
    form = TargetForm(request.GET)
    if not form.is_valid():
        return JsonResponse({"problem": form.errors.get_json_data()}, status=400)
    found = touched(form.deployments())
    return JsonResponse(
        {"words": found.words, "at_stake": bool(found.working or found.held or found.waiting)}
    )


class TargetForm(forms.Form):
    """What a halt names."""

    level = forms.ChoiceField(choices=[(one.value, one.value) for one in HaltLevel])
    broker = forms.ChoiceField(required=False, choices=[(one, one) for one in (Broker.PAPER, Broker.ZERODHA)])
    deployment = forms.ModelChoiceField(
        Deployment.objects.only("id", "name", "broker", "status"), required=False
    )

    def deployments(self) -> list[Deployment]:
        """All that it covers."""
        found = Deployment.objects.only("id", "name", "broker", "status")
        match self.cleaned_data["level"]:
            case HaltLevel.DEPLOYMENT:
                one = self.cleaned_data["deployment"]
                return [one] if one else []
            case HaltLevel.BROKER:
                found = found.filter(broker=self.cleaned_data["broker"])
        return list(found)


def scopes(broker: str) -> dict[str, screen.Row]:
    """Everything, the namespace, and each of its deployments that has something at stake, each with its three acts."""
    every = list(Deployment.objects.order_by("name").only("id", "name", "broker", "status"))
    own = [one for one in every if one.broker == broker]
    rows = [
        _scope("00-all", "Everything, paper and live", every, {"level": HaltLevel.GLOBAL.value}, broker),
        _scope(
            "01-own", f"All of {broker}", own, {"level": HaltLevel.BROKER.value, "broker": broker}, broker
        ),
    ]
    single = [
        _scope(f"1-{one.pk}", one.name, [one], {"level": "DEPLOYMENT", "deployment": str(one.pk)}, broker)
        for one in own
    ]
    rows += [row for row in single if row["at_stake"]]
    return {row["id"]: row for row in rows}


def _scope(
    name: str, title: str, deployments: list[Deployment], target: dict[str, Any], broker: str
) -> screen.Row:
    found = touched(deployments)
    return {
        "id": name,
        "order": name if name < "1" else f"1-{title}",
        "title": title,
        "broker": broker,
        "working": len(found.working),
        "held": len(found.held),
        "waiting": found.waiting,
        "unreached": ", ".join(found.unreached),
        "at_stake": bool(found.working or found.held or found.waiting),
        "words": found.words,
        "acts": [
            {
                "title": words,
                "what": f"{title}: {effect} Now: {found.words}.",
                "facts": json.dumps(target | {"step": step.value}),
                "type": _typed(target, broker, step),
            }
            for step, words, effect in STEPS
        ],
    }


def _typed(target: dict[str, Any], broker: str, step: HaltStep) -> str:
    """What must be typed before real money is cancelled or closed; the dialog of the header asks for the same."""
    is_live = broker == Broker.ZERODHA or (
        target["level"] == HaltLevel.GLOBAL and Broker.ZERODHA in settings.BROKERS
    )
    return Broker.ZERODHA.value if is_live and step is not HaltStep.PAUSE else ""


def progress(halt: KillSwitch) -> str:
    """How far a halt in force has come: what still works and is held, or that it is done."""
    if halt.step == HaltStep.PAUSE:
        return "entries are refused"
    ids = _covered(halt)
    found = touched(Deployment.objects.filter(id__in=ids).only("id", "name", "broker", "status"))
    told = Command.objects.filter(deployment__in=ids, step=None).count()
    left = [counted(len(found.working), "order") + " at work"] if found.working else []
    if halt.step == HaltStep.FLATTEN and found.held:
        left.append(counted(len(found.held), "position") + " open")
    if told and left:
        left.append(f"{counted(told, 'command')} not taken up yet")
    if found.unreached and left:
        left.append(f"out of reach: {', '.join(found.unreached)}")
    done = "flat" if halt.step == HaltStep.FLATTEN else "nothing works any more"
    return ", ".join(left) or done


def _covered(halt: KillSwitch) -> list[UUID]:
    found = Deployment.objects.all()
    if halt.level == HaltLevel.BROKER:
        found = found.filter(broker=halt.broker)
    elif halt.level == HaltLevel.DEPLOYMENT:
        found = found.filter(id=halt.deployment_id)
    return list(found.values_list("id", flat=True))
