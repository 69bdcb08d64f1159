"""Rows that the tests of the books start from."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from alphapanda.core import ids
from alphapanda.core.envelope import EventType
from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Broker, Side
from marketdata.models import Instrument
from portfolio.domain.books import BookedFill
from portfolio.services import PostingRequest, book_open, portfolio_create

TOKENS = {"NSE:INFY": 408065, "NSE:SBIN": 779521}


def instruments_make() -> None:
    for name, token in TOKENS.items():
        exchange, symbol = name.split(":")
        Instrument.objects.get_or_create(
            exchange=exchange,
            tradingsymbol=symbol,
            defaults={
                "instrument_token": token,
                "exchange_token": token // 256,
                "tick_size": Decimal("0.05"),
                "lot_size": 1,
                "instrument_type": "EQ",
                "segment": "NSE",
            },
        )


def book_make(name: str = "ema", broker: Broker = Broker.PAPER) -> UUID:
    """An open book with cash of 1,000,000 rupees in the portfolio of its broker; its deployment id."""
    instruments_make()
    portfolio = portfolio_create(name=f"{broker} desk", broker=broker, starting_cash=Decimal(1_000_000))
    deployment = ids.deployment_id(name)
    book_open(deployment_id=deployment, portfolio_id=portfolio.pk, broker=broker, name=name)
    return deployment


def request(
    deployment: UUID, number: int, side: Side, quantity: int, price: object, instrument: str = "NSE:INFY"
) -> PostingRequest:
    order = ids.derived("order", deployment, number)
    fill = BookedFill(
        fill_id=ids.fill_id(order, 1),
        order_id=order,
        deployment_id=deployment,
        instrument=instrument,
        token=TOKENS[instrument],
        side=side,
        quantity=quantity,
        price_e4=to_e4(str(price)),
        charges={"stt": Decimal("1.25"), "gst": Decimal("0.18000001"), "stamp": Decimal(0)},
        at_ms=1_562_643_900_000 + number,
    )
    event_id = ids.event_id(EventType.ORDER_FILLED, fill.fill_id)
    return PostingRequest(fill=fill, event_id=event_id, correlation_id=ids.derived("tick", number))


def round_trip(deployment: UUID) -> list[PostingRequest]:
    """Long 100, half of it sold, then through zero to short 50, and another instrument bought."""
    return [
        request(deployment, 1, Side.BUY, 100, 700),
        request(deployment, 2, Side.SELL, 50, 710),
        request(deployment, 3, Side.BUY, 10, "300.05", "NSE:SBIN"),
        request(deployment, 4, Side.SELL, 100, 705),
    ]
