"""What befell one deployment: why it is in quarantine, who changed it, what it was told, what it raised."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db.models import QuerySet

from accounts.models import AuditEntry
from alphapanda.core.clock import to_ms
from alphapanda.core.vocabulary import DeploymentStatus
from alphapanda.dashboard import moment, screen
from alphapanda.web.formats import pretty
from risk.models import Alert
from strategies.domain.errors import in_short
from strategies.models import Command, Deployment

SHOWN = 30
LIVED = ("changes", "commands", "raised")
QUARANTINE, RELEASE = "deployment.quarantine", "deployment.release_quarantine"
# A line of a strategy's own text in a traceback: its file with the hash that stands for the text.
OWN_LINE = re.compile(r'File "(?P<file>[^"@/]+)@[0-9a-f]+", line (?P<line>\d+), in (?P<call>.+)')


def quarantines(found: Deployment) -> dict[str, screen.Row]:
    """Why a deployment is in quarantine, where, since when, and whether somebody has let it out of the same before;
    nothing where it is in none."""
    if found.status != DeploymentStatus.QUARANTINED:
        return {}
    entries = list(_entries(found).filter(action__in=(QUARANTINE, RELEASE))[:3])
    falls = [one for one in entries if one.action == QUARANTINE]
    entered = falls[0] if falls else None
    released = next((one for one in entries if one.action == RELEASE), None)
    at_same = len(falls) == 2 and _raised_step(falls[0]) == _raised_step(falls[1])
    row = {
        "id": str(found.pk),
        "name": found.name,
        "error": found.error,
        "last": in_short(found.error),
        "where": _where(found.error),
        "step": found.step,
        "raised_step": _raised_step(entered) if entered else None,
        "at_ms": found.at_ms,
        "since_ms": to_ms(entered.at) if entered else None,
        "released": {"by": released.actor, "why": released.reason, "at_ms": to_ms(released.at)}
        if released and at_same
        else None,
    }
    return {row["id"]: row}


def _raised_step(fall: AuditEntry) -> int | None:
    """The step at which it raised: its checkpoint may stand before that, and another time elsewhere."""
    told = fall.details
    step: int | None = told.get("raised_step", told.get("step"))
    return step


def _where(error: str) -> str:
    """The last line of the strategy's own text that a traceback names; nothing where it names none."""
    found = list(OWN_LINE.finditer(error))
    return "{file}, line {line}, in {call}".format(**found[-1].groupdict()) if found else ""


def _entries(found: Deployment) -> QuerySet[AuditEntry]:
    known = moment.known(AuditEntry.objects.filter(target=f"deployment:{found.name}"), "at")
    return known.order_by("-at", "-id")


def lived(found: Deployment) -> dict[str, dict[str, screen.Row]]:
    """The newest of what was done to it, what it was told and what it raised."""
    commands = moment.known(found.commands.order_by("-created_at", "-id"))
    raised = Alert.objects.filter(deployment=found).order_by("-raised_at", "-id")
    return {
        "changes": _by_id(_change(one) for one in _entries(found)[:SHOWN]),
        "commands": _by_id(_command(one) for one in commands[:SHOWN]),
        "raised": _by_id(_alert(one) for one in moment.known(raised, "raised_at")[:SHOWN]),
    }


def _change(one: AuditEntry) -> screen.Row:
    to = one.details.get("to")
    return {
        "id": str(one.pk),
        "order": to_ms(one.at),
        "by": one.actor,
        "action": one.action,
        "reason": one.reason,
        "step": one.details.get("step"),
        "details": pretty(one.details) if isinstance(to, dict) and to.get("params") else "",
    }


def _command(one: Command) -> screen.Row:
    return {
        "id": str(one.pk),
        "order": to_ms(one.created_at),
        "by": one.actor,
        "kind": one.kind,
        "reason": one.reason,
        "step": None if moment.ended_at(one.taken_at) is None else one.step,
    }


def _alert(one: Alert) -> screen.Row:
    return {"id": str(one.pk), "order": to_ms(one.raised_at), "code": one.code, "text": one.text}


def _by_id(rows: Iterable[screen.Row]) -> dict[str, screen.Row]:
    return {row["id"]: row for row in rows}
