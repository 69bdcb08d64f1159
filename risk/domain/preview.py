"""What other limits would have done to the orders of past sessions: stored decisions judged again on the figures that
they carry.

It knows what each decision saw. It does not know what would have come after a refusal: the position, the orders and
the prices that follow are those that were. Figures that were not worked out then are said to be unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import repeat
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.clock import ist_day
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import DeploymentStatus, Phase
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import BookedFill
from risk.domain.context import Case, Context, Sum, Terms
from risk.domain.figures import OWN, key_of
from risk.domain.limits import Limits, Scope
from risk.domain.memory import MINUTE_MS, SECOND_MS, DayState, at_time, counted, orders_since
from risk.domain.review import (
    EXIT,
    WITHIN,
    held_by,
    judge,
    let_go,
    longest_look_back_ms,
    look_back_ms,
    tripped_by,
)
from strategies.domain.signals import SignalRow

# Where a sum's figure stands in the numbers of a decision, by the limit that looks at it.
FIGURES = {
    "daily_loss": ("profit", "day_pnl"),
    "drawdown": ("decline", "drawdown"),
    "gross_exposure": ("gross", "gross_exposure"),
    "net_exposure": ("net", "net_exposure"),
    "underlying_exposure": ("underlying", "underlying_exposure"),
    "margin": ("margin", "margin"),
}


class Past(msgspec.Struct, frozen=True):
    """A decision as it was stored, with the trades of its order; `last_e4` is the last price on record of the
    instrument in that session, 0 where there is none."""

    signal: SignalRow
    deployment: str
    rule: str
    is_approved: bool
    numbers: Mapping[str, Any]
    fills: tuple[BookedFill, ...] = ()
    last_e4: int = 0


class Change(msgspec.Struct, frozen=True):
    """An order that would have gone the other way. `value` is rupees of the order; `effect` what the session's profit
    would have gained or lost, if all else had stayed as it was and the order been held to the session's last price."""

    signal_id: UUID
    deployment: str
    instrument: str
    side: str
    quantity: int
    at_ms: int
    was: str
    now: str
    value: Decimal | None
    effect: Decimal | None


class Preview(msgspec.Struct, frozen=True):
    """What a change of limits would have done. `unknown`: how many decisions lack the figure of a limit, by limit."""

    decisions: int
    sessions: int
    refused: list[Change]
    let_through: list[Change]
    unknown: dict[str, int]

    @property
    def effect(self) -> Decimal:
        """Rupees, over all changes whose effect can be told."""
        return sum((change.effect or ZERO for change in (*self.refused, *self.let_through)), ZERO)

    @property
    def untold(self) -> int:
        """Changes whose effect cannot be told: no price is on record."""
        return sum(change.effect is None for change in (*self.refused, *self.let_through))


def preview(
    past: Sequence[Past],
    *,
    before: Mapping[UUID, Terms],
    after: Mapping[UUID, Terms],
    instruments: Mapping[int, InstrumentSpec],
) -> Preview:
    """Judge past decisions, in their order, under the limits of now and under others, each by deployment."""
    one, other = _Fold(before, instruments), _Fold(after, instruments)
    refused, let_through = [], []
    for decision in past:
        was, now = one.judge(decision), other.judge(decision)
        if _passes(was) and not _passes(now):
            refused.append(_change(decision, was, now))
        elif _passes(now) and not _passes(was):
            let_through.append(_change(decision, was, now))
    return Preview(
        decisions=len(past),
        sessions=len({ist_day(decision.signal.at_ms) for decision in past}),
        refused=refused,
        let_through=let_through,
        unknown=other.unknown,
    )


def _passes(rule: str) -> bool:
    return rule in (EXIT, WITHIN)


def _change(past: Past, was: str, now: str) -> Change:
    signal, amount, gain = past.signal, past.numbers.get("order_value"), _gain(past)
    if gain is not None and not _passes(now):
        gain = -gain
    return Change(
        signal_id=signal.id,
        deployment=past.deployment,
        instrument=signal.instrument,
        side=signal.side.value,
        quantity=signal.quantity,
        at_ms=signal.at_ms,
        was=was,
        now=now,
        value=None if amount is None else Decimal(amount),
        effect=gain,
    )


def _gain(past: Past) -> Decimal | None:
    """What an order came to at the session's last price: its trades, charges taken off; of one that was refused,
    if it had traded at once at the last price. None where no price is on record."""
    if past.is_approved and not past.fills:
        return ZERO
    signal, mark = past.signal, past.signal.marks.get(past.signal.token)
    if not past.last_e4 or (mark is None and not past.is_approved):
        return None
    if mark is not None and not past.is_approved:
        return value(past.last_e4 - mark.price_e4, signal.side.sign * signal.quantity)
    return sum(map(_earned, past.fills, repeat(past.last_e4)), ZERO)


def _earned(fill: BookedFill, last_e4: int) -> Decimal:
    charges = sum(map(Decimal, fill.charges.values()), ZERO)
    return value(last_e4 - fill.price_e4, fill.side.sign * fill.quantity) - charges


class _Fold:
    """Decisions judged one after the other; orders that pass are counted, those that do not are not."""

    def __init__(self, terms: Mapping[UUID, Terms], instruments: Mapping[int, InstrumentSpec]) -> None:
        self.terms = terms
        self.instruments = instruments
        self._of_day: tuple[int, Mapping[int, InstrumentSpec]] = (0, instruments)
        self.days: dict[UUID, DayState] = {}
        self.steps: dict[UUID, int] = {}  # of the last decision
        self.unknown: dict[str, int] = {}

    def judge(self, past: Past) -> str:
        """The rule that decides. What guards, switches and phases said then, they say again."""
        signal = past.signal
        terms = self.terms.get(signal.deployment_id, Terms())
        limits = terms.by_token.get(signal.token, terms.limits)
        day = at_time(self._day_before(past), signal.at_ms, look_back_ms=longest_look_back_ms(terms))
        if past.rule in STANDING:
            rule = past.rule
        else:
            case = self._case(past, terms, limits, day)
            rule, reason = judge(case)
            day = tripped_by(day, case.sums)
            if rule == past.rule:  # who is held by other limits alone is started again by nobody
                day = held_by(day, rule, reason)
        if _passes(rule):
            day = counted(day, signal, is_kept=rule == WITHIN and look_back_ms(limits) > 0)
        self.days[signal.deployment_id] = day
        return rule

    def _day_before(self, past: Past) -> DayState:
        """The memory of a deployment; what held it then lasts until a step at which it ran."""
        signal, status = past.signal, past.numbers.get("status", DeploymentStatus.RUNNING)
        day = self.days.get(signal.deployment_id, DayState())
        if self.steps.get(signal.deployment_id) == signal.step:
            return day
        self.steps[signal.deployment_id] = signal.step
        return let_go(day, DeploymentStatus(status))

    def _case(self, past: Past, terms: Terms, limits: Limits, day: DayState) -> Case:
        signal, numbers = past.signal, past.numbers
        mark = signal.marks.get(signal.token)
        amount = numbers.get("order_value")
        own = self._sum(OWN, "", terms.limits, numbers, [day], signal)
        shared = numbers.get("sums", {})
        scopes = [scope for scope in terms.scopes if scope.token in (None, signal.token)]
        return Case(
            signal=signal,
            context=self._context(signal, day, tuple(scopes)),
            limits=self._known(limits, "order_value", amount),
            position=numbers.get("position", 0),
            worst_position=numbers.get("worst_position", signal.side.sign * signal.quantity),
            order_value=None if amount is None else Decimal(amount),
            price_e4=mark.price_e4 if mark else 0,
            price_age_ms=numbers.get("price_age_ms"),
            day_pnl=None,
            sums=(
                own,
                *(
                    self._sum(
                        key_of(scope),
                        scope.name,
                        scope.limits,
                        shared.get(key_of(scope), {}),
                        [self.days.get(one, DayState()) for one in scope.members - {signal.deployment_id}]
                        + [day],
                        signal,
                    )
                    for scope in scopes
                ),
            ),
        )

    def _context(self, signal: SignalRow, day: DayState, scopes: tuple[Scope, ...]) -> Context:
        known = self._known_on(ist_day(signal.at_ms))
        return Context(
            limits=Limits(),
            day=day,
            holdings={},
            working={},
            instruments=known,
            phases=dict.fromkeys(known, Phase.CONTINUOUS),
            status=DeploymentStatus.RUNNING,
            scopes=scopes,
        )

    def _known_on(self, day: int) -> Mapping[int, InstrumentSpec]:
        """The instruments as the rules of a day say."""
        if self._of_day[0] != day:
            on = date.fromordinal(day)
            self._of_day = (day, {token: one.on(on) for token, one in self.instruments.items()})
        return self._of_day[1]

    def _sum(
        self,
        key: str,
        name: str,
        limits: Limits,
        numbers: Mapping[str, Any],
        days: Iterable[DayState],
        signal: SignalRow,
    ) -> Sum:
        """The figures of one scope: orders as counted here, all else as the decision saw it."""
        figures: dict[str, Any] = {}
        for limit, (figure, stored) in FIGURES.items():
            amount = numbers.get(stored)
            figures[figure] = None if amount is None else Decimal(amount)
            limits = self._known(limits, limit, amount)
        today, memories = ist_day(signal.at_ms), list(days)
        return Sum(
            key=key,
            name=name,
            limits=limits,
            orders_second=sum(orders_since(day, signal.at_ms - SECOND_MS) for day in memories),
            orders_minute=sum(orders_since(day, signal.at_ms - MINUTE_MS) for day in memories),
            orders_day=sum(day.orders for day in memories if day.day == today),
            is_tripped=any(key in day.tripped for day in memories if day.day == today),
            **figures,
        )

    def _known(self, limits: Limits, name: str, figure: object) -> Limits:
        """The limits without one whose figure was not worked out then."""
        if figure is not None or getattr(limits, name) is None:
            return limits
        self.unknown[name] = self.unknown.get(name, 0) + 1
        return msgspec.structs.replace(limits, **{name: None})


# Rules that do not look at limits: what they said then stands.
STANDING = frozenset(
    {
        "kill_switch",
        "start_of_day",
        "unacknowledged_alert",
        "deployment_status",
        "approval",
        "session_phase",
        "tradable",
        "self_trade",
        EXIT,
        "cancel",
    }
)
