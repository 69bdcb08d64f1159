"""A deployment at a broker outside, in memory: reports tell of its orders, each at a step of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import SignalKind
from alphapanda.engine.account import Account
from execution.domain import live
from execution.domain.live import Reported
from execution.domain.paper import Outcome, PaperSettings
from execution.domain.venue import History, Venue
from marketdata.domain.ticks import Clock, Tick
from strategies.domain.base import DeploymentSpec
from strategies.domain.signals import DueItem, ReportRow, SignalRow


class LiveReport(msgspec.Struct, frozen=True):
    """What a broker told of a deployment's orders, as it is stored."""

    id: UUID
    told: Reported


class LiveAccount(Account):
    """`reports` by the steps at which they were booked."""

    is_watched = False

    def __init__(
        self, spec: DeploymentSpec, *, reports: Mapping[int, LiveReport] | None = None, **more: Any
    ) -> None:
        super().__init__(spec, **more)
        self.reports = dict(reports or {})
        self._legs: dict[UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))

    @property
    def is_acted_on(self) -> bool:
        return bool(self.reports) or super().is_acted_on

    def obey(self) -> None:
        """Carry out the commands and hear of the reports whose steps have come."""
        super().obey()
        while self.machine.is_between and (found := self.reports.pop(self.machine.state.step + 1, None)):
            self._hear(found)
            super().obey()

    def _settings(self) -> PaperSettings:
        return PaperSettings(latency_ms=0)  # what is carried out, the broker says

    def _carried_out(self, approved: Sequence[SignalRow], venue: Venue) -> Outcome:
        outcome = Outcome(self.memory, history=History())
        for signal in approved:
            if signal.kind is SignalKind.ORDER and signal.origin in live.SETTLED:
                heard = live.settled(signal, venue)
                outcome.orders[heard.order.id] = heard.order
                outcome.history.extend(heard.rows)
                outcome.executions.extend(heard.executions)
                continue
            if signal.kind is SignalKind.ORDER:
                order, row = live.intended(signal, venue)
            else:
                assert signal.target is not None, "an act names its order"
                order, row = live.acted(
                    signal, outcome.orders.get(signal.target) or self.journal.orders[signal.target]
                )
            outcome.orders[order.id] = order
            outcome.history.append(row)
        return outcome

    def _matched(self, _item: Tick | Clock, _due: DueItem) -> Outcome:
        return Outcome(self.memory)

    def _hear(self, report: LiveReport) -> None:
        due, told = self.machine.due_report(), report.told
        legs = self._legs[told.order_id]
        heard = live.heard(self.journal.orders[told.order_id], told, legs)
        outcome = Outcome(
            self.memory, {heard.order.id: heard.order}, list(heard.executions), History(heard.rows)
        )
        fills = self._keep(outcome, step=due.step, names=[fill.id for fill in told.fills])
        for fill in told.fills:
            legs[fill.broker_order_id] += value(fill.price_e4, fill.quantity)
        self._settle(matched_step=due.step, at_ms=self.machine.state.at_ms, fills=fills)
        raised = self.machine.take_report(ReportRow(report.id, due.step))
        if raised is not None:
            self._carry_out(raised.signals)
