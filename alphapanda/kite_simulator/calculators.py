"""What imaginary orders would block and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO, to_rupees
from alphapanda.core.vocabulary import Product, Side
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.errors import bad_input
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.wire import number
from execution.domain.charges import Cards, NoChargeCard, as_kite_states, order_charges, rate_group
from marketdata.domain.instruments import OPTION_TYPES, InstrumentSpec, NoSegment, segment_of
from risk.domain.margins import Margins, NoMarginRate, Opening, blocked

SUMS = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var", "total")
Lookup = Callable[[int], int]  # the last price of a token, 0 where none is known


class Calculator:
    """Margins and charges of a day, by the tables of this house."""

    def __init__(
        self, instruments: Mapping[str, InstrumentSpec], cards: Cards, margins: Margins, last_e4: Lookup
    ) -> None:
        self._instruments = instruments
        self._cards = cards
        self._margins = margins
        self._last_e4 = last_e4

    def margins(self, body: Any, at_ms: int) -> list[Row]:
        """What each order would block. Raises KiteError."""
        return [self._margin(order, at_ms) for order in _orders(body)]

    def basket(self, body: Any, at_ms: int, *, is_compact: bool) -> Row:
        """What orders together would block: here no more and no less than each alone."""
        rows = self.margins(body, at_ms)
        total = _summed(rows)
        return {
            "initial": total,
            "final": total,
            "orders": [] if is_compact else rows,
            "charges": total["charges"],
        }

    def charges(self, body: Any, at_ms: int) -> list[Row]:
        """What each order would cost. Raises KiteError."""
        return [self._noted(order, at_ms) for order in _orders(body)]

    def _margin(self, order: Row, at_ms: int) -> Row:
        spec, side, product = self._named(order)
        quantity = _quantity(order)
        price_e4 = parsing.price_e4("price", order) or self._last_e4(spec.token)
        opening = Opening(spec.token, side, quantity, price_e4)
        try:
            total = blocked(
                opening, instrument=spec, product=product, margins=self._margins, day=ist_date(at_ms)
            )
        except NoMarginRate as error:
            raise bad_input(str(error)) from None
        worth = to_rupees(price_e4) * quantity
        is_bought_option = spec.instrument_type in OPTION_TYPES and side is Side.BUY
        is_equity = spec.instrument_type == "EQ"
        return {
            "type": "commodity" if spec.exchange == "MCX" else "equity",
            "tradingsymbol": spec.tradingsymbol,
            "exchange": spec.exchange,
            "span": 0 if is_equity or is_bought_option else number(total),
            "exposure": 0,
            "option_premium": number(total) if is_bought_option else 0,
            "additional": 0,
            "bo": 0,
            "cash": 0,
            "var": number(total) if is_equity else 0,
            "pnl": {"realised": 0, "unrealised": 0},
            "leverage": number(round(worth / total, 2)) if total else 1,
            "charges": self._lines(spec, side, product, worth, at_ms),
            "total": number(total),
        }

    def _noted(self, order: Row, at_ms: int) -> Row:
        spec, side, product = self._named(order)
        price_e4 = parsing.price_e4("average_price", order)
        if not price_e4:
            raise bad_input("Invalid `average_price`: it must not be 0.")
        quantity = _quantity(order)
        return {
            "transaction_type": side.value,
            "tradingsymbol": spec.tradingsymbol,
            "exchange": spec.exchange,
            "variety": order.get("variety", "regular"),
            "product": product.value,
            "order_type": order.get("order_type", "MARKET"),
            "quantity": quantity,
            "price": number(to_rupees(price_e4)),
            "charges": self._lines(spec, side, product, to_rupees(price_e4) * quantity, at_ms),
        }

    def _lines(self, spec: InstrumentSpec, side: Side, product: Product, worth: Decimal, at_ms: int) -> Row:
        try:
            segment = segment_of(spec.exchange, spec.instrument_type)
            lines = order_charges(
                self._cards.on(ist_date(at_ms)),
                side=side,
                turnover=worth,
                product=product,
                exchange=spec.exchange,
                segment=segment,
                group=rate_group(spec.exchange, segment, spec.tradingsymbol),
            )
        except (NoChargeCard, NoSegment) as error:
            raise bad_input(str(error)) from None
        return _numbers(as_kite_states(lines))

    def _named(self, order: Row) -> tuple[InstrumentSpec, Side, Product]:
        spec = parsing.instrument(order, self._instruments)
        return spec, parsing.word("transaction_type", Side, order), parsing.word("product", Product, order)


def _orders(body: Any) -> list[dict[str, str]]:
    if not isinstance(body, list) or not all(isinstance(order, dict) for order in body):
        raise bad_input("Invalid request body: a list of orders is expected.")
    return [{name: str(value) for name, value in order.items() if value is not None} for order in body]


def _quantity(order: dict[str, str]) -> int:
    return parsing.whole("quantity", order.get("quantity", ""), least=1)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(one) for name, one in value.items()}
    return number(value) if isinstance(value, Decimal) else value


def _summed(rows: list[Row]) -> Row:
    sums = {name: number(sum((Decimal(row[name]) for row in rows), ZERO)) for name in SUMS}
    charges = [row["charges"] for row in rows]
    lines = [name for name in (charges[0] if charges else {}) if name not in ("gst", "transaction_tax_type")]
    summed: Row = {name: number(sum((Decimal(one[name]) for one in charges), ZERO)) for name in lines}
    gst = [one["gst"] for one in charges]
    summed["transaction_tax_type"] = charges[0]["transaction_tax_type"] if charges else "stt"
    summed["gst"] = {
        name: number(sum((Decimal(one[name]) for one in gst), ZERO))
        for name in ("igst", "cgst", "sgst", "total")
    }
    named = {"type": rows[0]["type"] if rows else "equity", "tradingsymbol": "", "exchange": ""}
    pnl = {"pnl": {"realised": 0, "unrealised": 0}, "leverage": 0}
    return {**named, **sums, **pnl, "charges": summed}
