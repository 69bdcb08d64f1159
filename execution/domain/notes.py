"""The contract note of a client and a day, as a broker writes it: trades netted, lines rounded.

One note an exchange of Kite's (NSE, NFO, MCX, ... are exchange and segment in one). In equity what was bought
and sold of a scrip on one day is intraday, and the rest is delivery, whatever product the orders named: the
exchanges compute STT so (NSE circular CMTR/5588). The intraday part of each order is its turnover times the
netted share of its side, so that STT falls on the average price of the side. Scrips are netted on each
exchange by itself.

STT is rounded to the rupee, half up; every other line, CTT too, to paise, half up, and only once, on the sum of
the day: legs that were rounded before do not add up (69.69 for 69.70). GST is computed on unrounded lines and,
unlike in Kite's API, on the investor protection fund too: a real note of June 2024 has 6.32 rupees so, where
the API's base gives 6.19. The fund is part of the exchange line. The stamp duty of a note is disputed
(one broker states whole rupees, samples state paise: 0.2247 as 0.22); here it is paise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import msgspec

from alphapanda.core.money import ZERO, quantized
from alphapanda.core.vocabulary import Side
from execution.domain.charges import ChargeCard, ChargeClass, brokerage_of
from marketdata.domain.instruments import Segment

PAISA = Decimal("0.01")
RUPEE = Decimal(1)


class NoteTrade(msgspec.Struct, frozen=True):
    """A fill as a note takes it. `scrip` is the ISIN where it is known, else the tradingsymbol; `turnover`
    rupees; `group` as in the rate cards."""

    order_id: UUID
    exchange: str
    segment: Segment
    scrip: str
    side: Side
    quantity: int
    turnover: Decimal
    group: str = ""
    is_square_off: bool = False


class ContractNote(msgspec.Struct, frozen=True):
    """What an exchange's note of the day says, in rupees; `lines` are rounded as a note rounds them."""

    exchange: str
    bought: Decimal
    sold: Decimal
    lines: dict[str, Decimal]

    @property
    def charged(self) -> Decimal:
        return sum(self.lines.values(), ZERO)


class _Part(msgspec.Struct, frozen=True):
    """So much turnover of an order that is charged as one kind of trade."""

    order_id: UUID
    kind: ChargeClass
    group: str
    side: Side
    turnover: Decimal
    is_square_off: bool


def contract_notes(card: ChargeCard, trades: Iterable[NoteTrade]) -> list[ContractNote]:
    """The notes of all trades of one client on one day, by exchange. Raises NoChargeCard."""
    by_exchange: dict[str, list[NoteTrade]] = defaultdict(list)
    for trade in trades:
        by_exchange[trade.exchange].append(trade)
    return [_note(card, exchange, by_exchange[exchange]) for exchange in sorted(by_exchange)]


def depository_charges(
    card: ChargeCard, trades: Iterable[NoteTrade], *, is_woman: bool = False
) -> dict[str, Decimal]:
    """Rupees by line, to paise, for shares that leave the depository: once for each scrip of which a day sold
    more than it bought. It is on the client's ledger, not on the note. Empty where nothing left."""
    left: set[str] = set()
    for (_, scrip), own in _by_scrip(trades).items():
        if _quantity(own, Side.SELL) > _quantity(own, Side.BUY):
            left.add(scrip)
    if not left:
        return {}
    fee = (card.fees.depository_woman if is_woman else card.fees.depository) * len(left)
    return {"depository": _to(PAISA, fee), "gst": _to(PAISA, fee * card.fees.gst)}


def _note(card: ChargeCard, exchange: str, trades: Sequence[NoteTrade]) -> ContractNote:
    parts = [part for own in _by_scrip(trades).values() for part in _parts(own)]
    parts += [_whole(trade) for trade in trades if trade.segment is not Segment.EQUITY]
    exact = _exact_lines(card, exchange, parts)
    lines = {line: _to(RUPEE if line == "stt" else PAISA, amount) for line, amount in exact.items() if amount}
    return ContractNote(
        exchange=exchange,
        bought=sum((trade.turnover for trade in trades if trade.side is Side.BUY), ZERO),
        sold=sum((trade.turnover for trade in trades if trade.side is Side.SELL), ZERO),
        lines=lines,
    )


def _by_scrip(trades: Iterable[NoteTrade]) -> dict[tuple[str, str], list[NoteTrade]]:
    found: dict[tuple[str, str], list[NoteTrade]] = defaultdict(list)
    for trade in trades:
        if trade.segment is Segment.EQUITY:
            found[trade.exchange, trade.scrip].append(trade)
    return found


def _quantity(trades: Iterable[NoteTrade], side: Side) -> int:
    return sum(trade.quantity for trade in trades if trade.side is side)


def _parts(trades: Sequence[NoteTrade]) -> Iterator[_Part]:
    """The trades of a scrip as intraday and delivery parts of their orders."""
    matched = min(_quantity(trades, Side.BUY), _quantity(trades, Side.SELL))
    for trade in trades:
        of_side = _quantity(trades, trade.side)
        intraday = trade.turnover * matched / of_side
        shares = (
            (ChargeClass.EQUITY_INTRADAY, intraday),
            (ChargeClass.EQUITY_DELIVERY, trade.turnover - intraday),
        )
        for kind, turnover in shares:
            if turnover:
                yield _Part(trade.order_id, kind, trade.group, trade.side, turnover, trade.is_square_off)


def _whole(trade: NoteTrade) -> _Part:
    return _Part(
        trade.order_id,
        ChargeClass(trade.segment.value),
        trade.group,
        trade.side,
        trade.turnover,
        trade.is_square_off,
    )


def _exact_lines(card: ChargeCard, exchange: str, parts: Sequence[_Part]) -> dict[str, Decimal]:
    """Unrounded sums of a note; brokerage is per order and kind of trade."""
    lines: dict[str, Decimal] = defaultdict(lambda: ZERO)
    orders: dict[tuple[UUID, ChargeClass, str], Decimal] = defaultdict(lambda: ZERO)
    for part in parts:
        rates = card.rates_of(part.kind, exchange, part.group)
        is_buy = part.side is Side.BUY
        tax = "ctt" if exchange == "MCX" else "stt"
        lines[tax] += part.turnover * (rates.stt_buy if is_buy else rates.stt_sell)
        lines["exchange"] += part.turnover * (rates.exchange_fee + rates.ipft)
        lines["sebi"] += part.turnover * rates.sebi
        lines["stamp"] += part.turnover * rates.stamp_buy if is_buy else ZERO
        orders[part.order_id, part.kind, part.group] += part.turnover
    for (_, kind, group), turnover in orders.items():
        lines["brokerage"] += brokerage_of(card.rates_of(kind, exchange, group), turnover)
    squared_off = {part.order_id for part in parts if part.is_square_off}
    lines["square_off"] = card.fees.square_off * len(squared_off)
    taxed = ("brokerage", "exchange", "sebi", "square_off")
    lines["gst"] = sum((lines[line] for line in taxed), ZERO) * card.fees.gst
    return dict(lines)


def _to(unit: Decimal, amount: Decimal) -> Decimal:
    """Half up, of what is left when the noise of divisions is gone: a half stays a half."""
    return quantized(amount).quantize(unit, rounding=ROUND_HALF_UP)
