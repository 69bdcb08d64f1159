"""Whether anything may enter at all: switches, gates, and the state of the deployment."""

from __future__ import annotations

from alphapanda.core.clock import ist_text
from alphapanda.core.vocabulary import DeploymentStatus, SignalKind, SignalOrigin
from risk.domain.context import Case


def kill_switch(case: Case) -> str | None:
    """No entry while a kill switch covers the deployment."""
    return f"halted: {'; '.join(case.context.halts)}" if case.context.halts else None


def start_of_day(case: Case) -> str | None:
    """No entry before the checks of the day have passed, where the setting asks for them."""
    return _guard(case, "start_of_day")


def unacknowledged_alert(case: Case) -> str | None:
    """No entry while a critical alert has waited for a person too long."""
    return _guard(case, "unacknowledged_alert")


def _guard(case: Case, rule: str) -> str | None:
    for name, why in case.context.guards:
        if name == rule:
            return why
    return None


def repeated_entries(case: Case) -> str | None:
    """A deployment that enters too often in too short a time is paused until a person starts it again."""
    day, limits = case.context.day, case.limits
    if day.held:
        return day.held
    if limits.repeated_entries is None or limits.repeated_ms is None:
        return None
    if case.signal.kind is not SignalKind.ORDER:  # a change of one that was counted
        return None
    count = entries_counted(case)
    if count < limits.repeated_entries:
        return None
    return (
        f"{count} entries within {limits.repeated_ms} ms, at most {limits.repeated_entries}:"
        " paused until a person starts it again"
    )


def entries_counted(case: Case) -> int:
    """Entries of the window that ends now, this one not counted."""
    after_ms = case.signal.at_ms - (case.limits.repeated_ms or 0)
    return sum(sent.at_ms > after_ms for sent in case.context.day.sent)


def deployment_status(case: Case) -> str | None:
    """Only a running deployment may enter."""
    status = case.context.status
    return None if status is DeploymentStatus.RUNNING else f"the deployment is {status.value.lower()}"


def approval(case: Case) -> str | None:
    """Where a person lets entries pass, each that no rule objects to waits for that; it comes again as another signal,
    and what has been said meanwhile counts. Nobody is asked for what the platform wants, which is always to be out."""
    signal, wait_s = case.signal, case.context.approval_s
    if signal.approves is not None:
        return _guard(case, "approval")
    if not wait_s or signal.origin is not SignalOrigin.STRATEGY:
        return None
    if signal.kind is SignalKind.MODIFY:
        return "a change that may enter cannot wait for a person: cancel the order, and enter anew"
    return f"waits for a person until {ist_text(signal.at_ms + wait_s * 1_000)}"
