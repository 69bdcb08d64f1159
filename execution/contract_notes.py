"""The contract notes that a broker would write for the fills of a day, beside the charges that were booked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from alphapanda.core.clock import ist_midnight_ms
from alphapanda.core.money import ZERO, value
from alphapanda.core.vocabulary import Side
from execution.domain.charges import rate_group
from execution.domain.notes import ContractNote, NoteTrade, contract_notes, depository_charges
from execution.models import Fill
from execution.reference import charge_cards
from marketdata.domain.instruments import segment_of
from portfolio.models import Book, Portfolio


class DayNote(msgspec.Struct, frozen=True):
    """Notes of a day by exchange, what the depository takes besides, and the charges that the books hold.

    The books charge each order by its product as Kite's API does; a note nets scrips and rounds. `difference`
    is what the note and the depository take beyond what is booked, in rupees.
    """

    day: date
    is_assumed: bool  # the card stands in for rates that nobody wrote down
    notes: list[ContractNote]
    depository: dict[str, Decimal]
    booked: dict[str, Decimal]

    @property
    def charged(self) -> Decimal:
        return sum((note.charged for note in self.notes), ZERO) + sum(self.depository.values(), ZERO)

    @property
    def difference(self) -> Decimal:
        return self.charged - sum(self.booked.values(), ZERO)


def day_note(portfolios: Sequence[Portfolio], day: date) -> DayNote:
    """The notes of portfolios as if they were one client, on an IST date. Raises NoChargeCard, NoSegment."""
    fills = _fills(portfolios, day)
    card = charge_cards().on(day)
    trades = [_trade(fill) for fill in fills]
    booked: dict[str, Decimal] = {}
    for fill in fills:
        for line, amount in fill.charges.items():
            booked[line] = booked.get(line, ZERO) + Decimal(amount)
    return DayNote(
        day=day,
        is_assumed=card.is_assumed_on(day),
        notes=contract_notes(card, trades),
        depository=depository_charges(card, trades),
        booked={line: booked[line] for line in sorted(booked) if booked[line]},
    )


def _fills(portfolios: Sequence[Portfolio], day: date) -> list[Fill]:
    starts_ms, ends_ms = ist_midnight_ms(day), ist_midnight_ms(day + timedelta(days=1))
    books = Book.objects.filter(portfolio__in=portfolios).values("deployment_id")
    found = Fill.objects.filter(deployment_id__in=books, at_ms__gte=starts_ms, at_ms__lt=ends_ms)
    return list(found.select_related("instrument").order_by("at_ms", "id"))


def _trade(fill: Fill) -> NoteTrade:
    instrument = fill.instrument
    segment = segment_of(instrument.exchange, instrument.instrument_type)
    return NoteTrade(
        order_id=fill.order_id,
        exchange=instrument.exchange,
        segment=segment,
        scrip=instrument.tradingsymbol,  # Kite's list has no ISIN; on both exchanges the symbol is the same
        side=Side(fill.side),
        quantity=fill.quantity,
        turnover=value(fill.price_e4, fill.quantity),
        group=rate_group(instrument.exchange, segment, instrument.tradingsymbol),
    )
