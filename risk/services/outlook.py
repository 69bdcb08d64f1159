"""What entries that wait for a person would do to exposure and limits, were they let pass now. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_date
from marketdata import selectors
from marketdata.domain.calendar import UnknownMarket
from risk import loading
from risk.domain.context import Verdict, ended_of, phases_of
from risk.domain.figures import Exposure, own_book
from risk.domain.memory import DayState
from risk.domain.review import review
from risk.domain.wording import text
from risk.services.contexts import checkpointed, context_of, surroundings_of
from risk.services.gates import gates_by_deployment
from strategies import loading as deployments
from strategies.models import Approval, Deployment

if TYPE_CHECKING:
    from datetime import datetime

    from marketdata.domain.calendar import MarketHours
    from risk.domain.context import Context
    from strategies.domain.signals import SignalRow

Outlook = dict[str, Any]
NOTHING_KNOWN: Outlook = {
    "would_pass": False,
    "rule": "",
    "gross_exposure_before": None,
    "net_exposure_before": None,
    "numbers": {},
}


def approval_outlook(approval: Approval, *, calendar: MarketHours, now: datetime) -> Outlook:
    """What risk would say if the entry were let pass now, with the figures that it would see: exposures before and
    after, the rest as in a decision. Prices are those of the last checkpoint. Where no hours of its market are stored
    nothing is known, and an entry would not pass."""
    return approval_outlooks([approval], calendar=calendar, now=now)[approval.pk]


def approval_outlooks(
    approvals: Collection[Approval], *, calendar: MarketHours, now: datetime
) -> dict[UUID, Outlook]:
    """The same of several entries, by their signals: each as if the others were not let pass. As many queries as for
    one."""
    rows = Deployment.objects.in_bulk({one.deployment_id for one in approvals})
    around = _Around(rows.values(), calendar, now)
    return {one.pk: around.outlook(rows[one.deployment_id], one) for one in approvals}


class _Around:
    """What stands around deployments, read at once."""

    def __init__(self, rows: Collection[Deployment], calendar: MarketHours, now: datetime) -> None:
        ids = [row.id for row in rows]
        self._calendar = calendar
        self._surroundings = surroundings_of(rows)
        self._days = loading.memories_of(ids)
        self._halts = loading.halts_by_deployment(rows)
        self._gates = gates_by_deployment(now, ids)

    def outlook(self, deployment: Deployment, approval: Approval) -> Outlook:
        stored = checkpointed(deployment)
        entry = deployments.signal_row(approval.signal)
        signal = msgspec.structs.replace(
            entry,
            approves=entry.id,
            at_ms=max(stored.at_ms, deployment.at_ms, entry.at_ms),
            marks=stored.marks or entry.marks,
        )
        try:
            context = self._context(deployment, approval, signal)
        except UnknownMarket as unknown:
            return NOTHING_KNOWN | {"reason": f"cannot be worked out: {unknown}"}
        (verdict,), _ = review([signal], context)
        return _told(verdict, context, signal)

    def _context(self, deployment: Deployment, approval: Approval, signal: SignalRow) -> Context:
        today = ist_date(signal.at_ms)
        one = selectors.spec(approval.signal.instrument).on(today)
        hours = self._calendar.of(one)
        instruments = {one.token: hours.ruled(one, today)}
        return context_of(
            deployment,
            day=self._days.get(deployment.id, DayState()),
            instruments=instruments,
            halts=tuple(f"{halt}: {halt.reason}" for halt in self._halts[deployment.id]),
            phases=phases_of([signal], {one.token: hours}),
            ended=ended_of([signal], instruments, {one.token: hours}),
            on=today,
            gates=self._gates[deployment.id],
            surroundings=self._surroundings[deployment.id],
        )


def _told(verdict: Verdict, context: Context, signal: SignalRow) -> Outlook:
    before = Exposure([own_book(context)], signal.marks)
    gross, net = before.gross(), before.net(signal.side)
    return {
        "would_pass": verdict.is_approved,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "gross_exposure_before": None if gross is None else text(gross),
        "net_exposure_before": None if net is None else text(net),
        "numbers": verdict.numbers,
    }
