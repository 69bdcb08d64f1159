"""Corporate actions: what a split, a bonus or a dividend does to holdings, lots and the ledger. Pure.

An action takes effect at the start of its ex-date, for what was held then. A split changes how many shares the
cost stands for; bonus shares cost nothing and are held from the ex-date (as Kite's console shows them); a
dividend is cash and profit, gross of the tax that a company withholds. A short position owes what a long one
receives. Derivatives are not adjusted here: an exchange changes their strikes and lots.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from alphapanda.core import ids
from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.money import ZERO, quantized
from portfolio.domain.books import CASH, DIVIDEND, Entry, Holding, entries_of
from portfolio.domain.lots import Lot, Lots

AMOUNT_BELOW, AMOUNT_PLACES = 10**8, 4  # rupees a share
SHARES_MAX = 1_000_000  # on either side of a ratio


class ActionKind(StrEnum):
    SPLIT = "SPLIT"
    BONUS = "BONUS"
    DIVIDEND = "DIVIDEND"


class BadAction(ValueError):
    """A corporate action whose figures make no sense; the text says which and what is accepted."""


class FractionLeft(ValueError):
    """A split that would leave part of a share: what a company pays for it must be known first."""


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dated corporate action. SPLIT: `old` shares become `new`. BONUS: `new` shares are given for `old` held.
    DIVIDEND: `amount` rupees a share. Raises BadAction where the figures do not fit the kind."""

    action_id: UUID
    kind: ActionKind
    instrument: str  # EXCHANGE:TRADINGSYMBOL
    ex_date: date
    new: int = 0
    old: int = 0
    amount: Decimal = ZERO

    def __post_init__(self) -> None:
        is_dividend = self.kind is ActionKind.DIVIDEND
        if is_dividend and (self.new or self.old):
            raise BadAction("a DIVIDEND has no ratio: leave `new` and `old` at 0")
        if is_dividend and not (self.amount.is_finite() and 0 < self.amount < AMOUNT_BELOW):
            raise BadAction(f"a DIVIDEND needs `amount`, rupees a share above 0 and below {AMOUNT_BELOW}")
        if self.amount != round(self.amount, AMOUNT_PLACES):
            raise BadAction(f"`amount` has {AMOUNT_PLACES} places at most")
        if not is_dividend and self.amount:
            raise BadAction(f"a {self.kind} has no `amount`: leave it at 0")
        if not is_dividend and not (1 <= self.new <= SHARES_MAX and 1 <= self.old <= SHARES_MAX):
            raise BadAction(
                f"a {self.kind} needs `new` and `old`, whole numbers of shares from 1 to {SHARES_MAX}"
            )
        if self.kind is ActionKind.SPLIT and self.new == self.old:
            raise BadAction("a SPLIT of as many new shares as old ones changes nothing")

    @property
    def at_ms(self) -> int:
        """When it takes effect: the start of the ex-date."""
        return ist_midnight_ms(self.ex_date)


class BookedAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action as it was applied to one book: `entitled` units (signed) were held before the ex-date."""

    posting_id: UUID
    deployment_id: UUID
    action: Action
    entitled: int

    @property
    def instrument(self) -> str:
        return self.action.instrument

    @property
    def at_ms(self) -> int:
        return self.action.at_ms


def booked_action(action: Action, *, deployment_id: UUID, entitled: int) -> BookedAction:
    """The one application of an action to a book."""
    posting_id = ids.derived("corporate action", action.action_id, deployment_id)
    return BookedAction(posting_id, deployment_id, action, entitled)


def units_after(action: Action, units: int) -> tuple[int, int]:
    """Whole units that so many become, and by how many parts of `old` of a unit they would be more."""
    ratio = action.new if action.kind is ActionKind.SPLIT else action.old + action.new
    whole, parts = divmod(abs(units) * ratio, action.old)
    return (whole if units > 0 else -whole), parts


def act(holding: Holding, booked: BookedAction) -> tuple[Holding, list[Entry]]:
    """The holding after an action, and its ledger entries, which add up to exactly zero.

    A part of a bonus share is given up: companies pay for it later, by an amount that nobody knows here.
    Raises FractionLeft for a split that would leave one, for its cost would be lost with it.
    """
    action = booked.action
    if action.kind is ActionKind.DIVIDEND:
        received = quantized(action.amount * booked.entitled)
        entries = entries_of(booked.posting_id, {CASH: received, DIVIDEND: -received})
        return msgspec.structs.replace(holding, realised=holding.realised + received), entries
    after, parts = units_after(action, holding.quantity)
    if parts and action.kind is ActionKind.SPLIT:
        raise FractionLeft(
            f"{holding.quantity} of {action.instrument} do not divide: {action.old} become {action.new}"
        )
    return msgspec.structs.replace(holding, quantity=after), []


def act_on_lots(lots: Lots, booked: BookedAction) -> Lots:
    """The lots after an action; together they hold what the books hold.

    A lot that a split does not divide is rounded down and the next one has the rest, so that only the total
    decides; what a lot cost and its age stay. Bonus shares are a new lot.
    """
    action = booked.action
    total = sum(lot.quantity for lot in lots)
    if action.kind is ActionKind.DIVIDEND or not total:
        return lots
    after, _ = units_after(action, total)
    if action.kind is ActionKind.BONUS:
        given = after - total
        return (*lots, Lot(booked.posting_id, given, ZERO, ZERO, action.at_ms)) if given else lots
    return _split(lots, action)


def _split(lots: Lots, action: Action) -> Lots:
    """Lots that a consolidation leaves without a unit hand what they cost to the next one."""
    found: list[Lot] = []
    before = after = 0
    cost = charges = worst = best = ZERO
    for lot in lots:
        before += lot.quantity
        whole, _ = units_after(action, before)
        cost, charges = cost + lot.cost, charges + lot.charges
        worst, best = worst + lot.worst, best + lot.best
        if whole != after:
            found.append(Lot(lot.opened_by, whole - after, cost, charges, lot.opened_at_ms, worst, best))
            cost = charges = worst = best = ZERO
        after = whole
    return tuple(found)
