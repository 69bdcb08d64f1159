"""Corporate actions: what a split, a bonus or a dividend does to holdings, lots and the ledger. Pure.

An action takes effect at the start of its ex-date, for what was held then. A split changes how many shares the
cost stands for; bonus shares cost nothing and are held from the ex-date (as Kite's console shows them), as many
as the account gets for all that its books hold; a dividend is cash and profit, gross of the tax that a company
withholds. A short position owes what a long one receives. Derivatives are not adjusted here: an exchange changes
their strikes and lots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """An action as it was applied to one book: `entitled` units (signed) were held before the ex-date, `given` is
    the book's part (signed) of the bonus shares of its account; None of one that was booked before accounts shared
    them, when each book had the whole ones of its own."""

    posting_id: UUID
    deployment_id: UUID
    action: Action
    entitled: int
    given: int | None = None

    @property
    def bonus(self) -> int:
        """The bonus shares (signed) that the book got."""
        if self.given is not None or self.action.kind is not ActionKind.BONUS:
            return self.given or 0
        return units_after(self.action, self.entitled)[0]

    @property
    def instrument(self) -> str:
        return self.action.instrument

    @property
    def at_ms(self) -> int:
        return self.action.at_ms


def booked_actions(action: Action, entitled: Mapping[UUID, int]) -> list[BookedAction]:
    """The one application of an action to the books of one account, by the units of each."""
    given = shared(action, entitled) if action.kind is ActionKind.BONUS else {}
    return [
        BookedAction(
            ids.derived("corporate action", action.action_id, book), book, action, units, given.get(book, 0)
        )
        for book, units in entitled.items()
    ]


def shared(action: Action, entitled: Mapping[UUID, int]) -> dict[UUID, int]:
    """The bonus shares of an account by book. A depository credits the whole shares of all that an account holds, so
    that parts of several books make whole ones: these go one by one to the largest parts, of equal ones by id."""
    found = {book: units_after(action, units)[0] for book, units in entitled.items()}
    left = units_after(action, sum(entitled.values()))[0] - sum(found.values())
    step = 1 if left > 0 else -1
    parts = {book: units * action.new - found[book] * action.old for book, units in entitled.items()}
    for book in sorted(parts, key=lambda book: (-step * parts[book], book))[: abs(left)]:
        found[book] += step
    return found


def units_after(action: Action, units: int) -> tuple[int, int]:
    """Whole units that so many become by a split or bring by a bonus, and how many parts of `old` of one are left."""
    whole, parts = divmod(abs(units) * action.new, action.old)
    return (whole if units > 0 else -whole), parts


def act(holding: Holding, booked: BookedAction) -> tuple[Holding, list[Entry]]:
    """The holding after an action, and its ledger entries, which add up to exactly zero.

    The part of a bonus share that is left of all that an account holds is given up: companies pay for it later, by an
    amount that nobody knows here.
    Raises FractionLeft for a split that would leave one, for its cost would be lost with it.
    """
    action = booked.action
    if action.kind is ActionKind.DIVIDEND:
        received = quantized(action.amount * booked.entitled)
        entries = entries_of(booked.posting_id, {CASH: received, DIVIDEND: -received})
        return msgspec.structs.replace(holding, realised=holding.realised + received), entries
    if action.kind is ActionKind.BONUS:
        return msgspec.structs.replace(holding, quantity=holding.quantity + booked.bonus), []
    after, parts = units_after(action, holding.quantity)
    if parts:
        raise FractionLeft(
            f"{holding.quantity} of {action.instrument} do not divide: {action.old} become {action.new}"
        )
    return msgspec.structs.replace(holding, quantity=after), []


def act_on_lots(lots: Lots, booked: BookedAction) -> Lots:
    """The lots of several books after an action; `booked` is that of all of them `together`, and so are the units.

    A lot that a split does not divide is rounded down and the next one has the rest, so that only the total
    decides; what a lot cost and its age stay. Bonus shares are a new lot.
    """
    action, given = booked.action, booked.bonus
    if action.kind is ActionKind.SPLIT:
        return _split(lots, action)
    return (*lots, Lot(booked.posting_id, given, ZERO, ZERO, action.at_ms)) if given else lots


def together(booked: Sequence[BookedAction]) -> BookedAction:
    """One action, as several books booked it, as if they were one."""
    entitled, given = sum(one.entitled for one in booked), sum(one.bonus for one in booked)
    return msgspec.structs.replace(booked[0], entitled=entitled, given=given)


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
