"""Reads of decisions and kill switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Q

from alphapanda.core.clock import ist_text, to_ms
from alphapanda.core.refusals import BadRequest
from alphapanda.core.vocabulary import HaltLevel, LimitLevel
from marketdata.models import Instrument
from portfolio.models import Portfolio
from risk.channel_models import AlertChannel, AlertDelivery, AlertSilence
from risk.domain.silences import silence_of
from risk.models import Alert, Decision, KillSwitch, LimitSet
from strategies.models import Approval, Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

HEAVY = ("deployment__checkpoint", "deployment__consequences")


def decisions_recorded() -> QuerySet[Decision]:
    return Decision.objects.select_related("deployment", "signal__instrument").defer(*HEAVY, "signal__marks")


def approvals_asked() -> QuerySet[Approval]:
    """Entries that waited or wait for a person, newest first."""
    related = ("deployment", "signal__instrument", "signal__approved_as__decision")
    return Approval.objects.select_related(*related).defer(*HEAVY).order_by("-asked_at", "-pk")


def approval_verdict(approval: Approval) -> dict[str, Any] | None:
    """What risk said when an entry was let pass and judged anew; None: it has not been."""
    again = getattr(approval.signal, "approved_as", None)
    decision: Decision | None = getattr(again, "decision", None)
    if decision is None:
        return None
    return {
        "signal": str(decision.signal_id),
        "is_approved": decision.is_approved,
        "rule": decision.rule,
        "reason": decision.reason,
        "numbers": decision.numbers,
    }


def approval_row(approval: Approval) -> dict[str, Any]:
    """One for a table or for JSON."""
    verdict = approval_verdict(approval)
    return {
        "signal": str(approval.pk),
        "deployment": approval.deployment.name,
        "broker": approval.deployment.broker,
        "what": str(approval.signal),
        "because": approval.signal.reason,
        "state": approval.state,
        "expires": ist_text(approval.expires_at_ms),
        "answered_by": approval.answered_by,
        "reason": approval.reason,
        "verdict": f"{verdict['rule']}: {verdict['reason']}" if verdict else "",
    }


def halts_thrown() -> QuerySet[KillSwitch]:
    return KillSwitch.objects.select_related("deployment").defer(*HEAVY)


def halts_active() -> QuerySet[KillSwitch]:
    return halts_thrown().filter(released_at__isnull=True).order_by("-thrown_at")


def halts_beside(halt: KillSwitch) -> list[str]:
    """What else is in force where a halt holds or held: the targets of the other halts that cover it or part of it."""
    own = (
        None
        if halt.level == HaltLevel.GLOBAL
        else halt.broker or (halt.deployment and halt.deployment.broker)
    )
    found = [one for one in halts_active().exclude(pk=halt.pk) if _reaches(one, halt, own)]
    return [one.broker or (one.deployment.name if one.deployment else "everything") for one in found]


def _reaches(one: KillSwitch, halt: KillSwitch, broker: str | None) -> bool:
    if broker is None or one.level == HaltLevel.GLOBAL:
        return True
    if one.deployment is None:
        return one.broker == broker
    return one.deployment_id == halt.deployment_id if halt.deployment else one.deployment.broker == broker


class HaltTargetUnknown(BadRequest):
    """No deployment has the name."""


def halt_target(*, level: str, name: str) -> dict[str, Any]:
    """What a halt names, from words of the command line. Raises HaltTargetUnknown."""
    target: dict[str, Any] = {"level": HaltLevel(level.upper()), "broker": "", "deployment_id": None}
    if target["level"] == HaltLevel.DEPLOYMENT:
        target["deployment_id"] = deployment_named(name=name)
    else:
        target["broker"] = name
    return target


class LimitTargetUnknown(BadRequest):
    """Nothing of that level has the name."""


def deployment_named(*, name: str) -> UUID:
    """The id of a deployment. Raises HaltTargetUnknown."""
    found = Deployment.objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        raise HaltTargetUnknown(f"There is no deployment named {name!r}.")
    return found


def limits_target(*, level: str, name: str) -> dict[str, Any]:
    """What a level of limits names, from words of the command line. Raises LimitTargetUnknown."""
    wanted = LimitLevel(level.upper())
    exchange, _, symbol = name.partition(":")
    found: dict[LimitLevel, tuple[str, Any]] = {
        LimitLevel.PORTFOLIO: ("portfolio_id", Portfolio.objects.filter(name=name)),
        LimitLevel.DEPLOYMENT: ("deployment_id", Deployment.objects.filter(name=name)),
        LimitLevel.INSTRUMENT: (
            "instrument_id",
            Instrument.objects.filter(exchange=exchange, tradingsymbol=symbol),
        ),
    }
    target: dict[str, Any] = {"level": wanted.value}
    if wanted not in found:
        return target | {"broker": name}
    field, rows = found[wanted]
    target[field] = rows.values_list("pk", flat=True).first()
    if target[field] is None:
        raise LimitTargetUnknown(f"There is no {level.lower()} named {name!r}.")
    return target


def limits_at(**target: Any) -> LimitSet | None:
    """The limits that stand at a level now."""
    nothing = {"broker": "", "portfolio_id": None, "deployment_id": None, "instrument_id": None}
    return LimitSet.objects.filter(**(nothing | target)).first()


def alerts_raised() -> QuerySet[Alert]:
    return Alert.objects.order_by("-raised_at", "-pk")


def alerts_open() -> QuerySet[Alert]:
    return alerts_raised().filter(acknowledged_at=None)


def silences_in_force(moment: datetime) -> QuerySet[AlertSilence]:
    """What keeps messages back at a moment, as far as it was known then."""
    unended = Q(ended_at=None) | Q(ended_at__gt=moment)
    return AlertSilence.objects.filter(unended, at__lte=moment, until__gt=moment).order_by("until", "pk")


def channels_there() -> QuerySet[AlertChannel]:
    """The channels of alerts, without their addresses."""
    return AlertChannel.objects.filter(removed_at=None).defer("address").order_by("name")


def deliveries_overdue(before: datetime) -> list[AlertDelivery]:
    """What should have left by a moment, and is kept back neither by a silence nor by a channel that fails; the oldest
    first."""
    found = AlertDelivery.objects.filter(
        state__in=("WAITING", "SENDING"), due_at__lt=before, channel__failing_since=None
    )
    silences = list(silences_in_force(before))
    return [
        one
        for one in found.select_related("alert").order_by("due_at")
        if one.alert is None or not silence_of(one.alert.code, one.alert.subject, silences)
    ]


def alerts_as_rows(alerts: Iterable[Alert], silences: Sequence[AlertSilence] = ()) -> list[dict[str, Any]]:
    """Alerts for a table or for JSON."""

    def silent_until(alert: Alert) -> str:
        silence = silence_of(alert.code, alert.subject, silences)
        return ist_text(to_ms(silence.until)) if silence else ""

    return [
        {
            "id": alert.pk,
            "severity": alert.severity,
            "code": alert.code,
            "subject": alert.subject,
            "text": alert.text,
            "deployment": str(alert.deployment_id or ""),
            "broker": alert.broker,
            "times": alert.times,
            "raised_at": ist_text(to_ms(alert.raised_at)),
            "silent_until": silent_until(alert),
            "acknowledged_by": alert.acknowledged_by,
            "note": alert.note,
        }
        for alert in alerts
    ]


def channels_as_rows(channels: Iterable[AlertChannel]) -> list[dict[str, Any]]:
    """Channels for a table or for JSON, without their addresses."""
    return [
        {
            "name": one.name,
            "service": one.service,
            "least": one.least,
            "is_enabled": one.is_enabled,
            "sent_at": ist_text(to_ms(one.sent_at)) if one.sent_at else "",
            "failing_since": ist_text(to_ms(one.failing_since)) if one.failing_since else "",
            "failure": one.failure,
        }
        for one in channels
    ]


def silences_as_rows(silences: Iterable[AlertSilence]) -> list[dict[str, Any]]:
    """Silences for a table or for JSON."""
    return [
        {
            "id": one.pk,
            "code": one.code,
            "subject": one.subject,
            "until": ist_text(to_ms(one.until)),
            "by": one.by,
            "reason": one.reason,
            "ended_by": one.ended_by,
        }
        for one in silences
    ]


def halts_as_rows(halts: Iterable[KillSwitch]) -> list[dict[str, Any]]:
    """Halts for a table or for JSON."""
    return [
        {
            "id": halt.pk,
            "level": halt.level,
            "target": halt.broker or (halt.deployment.name if halt.deployment else ""),
            "step": halt.step,
            "reason": halt.reason,
            "thrown_by": halt.thrown_by,
            "thrown_at": ist_text(to_ms(halt.thrown_at)),
        }
        for halt in halts
    ]
