"""The words that every part of the platform speaks. Stored and sent as their values."""

from __future__ import annotations

from enum import StrEnum


class Broker(StrEnum):
    PAPER = "paper"
    ZERODHA = "zerodha"
    SHARED = "shared"  # market data and operator actions only; never an order


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"


class Product(StrEnum):
    """Kite's products: delivery, intraday, and carried forward (derivatives only)."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"


class Validity(StrEnum):
    DAY = "DAY"
    IOC = "IOC"


class SignalOrigin(StrEnum):
    """Who wants it: the strategy, or the platform on its or the operator's behalf."""

    STRATEGY = "STRATEGY"
    BRACKET = "BRACKET"
    SQUARE_OFF = "SQUARE_OFF"
    LADDER = "LADDER"
    OPERATOR = "OPERATOR"


class CommandKind(StrEnum):
    """What an operator or the platform makes a deployment do at a step of its own."""

    FLATTEN = "FLATTEN"


class OrderStatus(StrEnum):
    OPEN = "OPEN"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self is not OrderStatus.OPEN


class Phase(StrEnum):
    """Session phases of a market. The closing auction of stocks with derivatives has four."""

    CLOSED = "CLOSED"
    PRE_OPEN = "PRE_OPEN"  # orders are taken for the opening price
    PRE_OPEN_MATCH = "PRE_OPEN_MATCH"  # they are matched; none is taken
    CONTINUOUS = "CONTINUOUS"
    AUCTION_REFERENCE = "AUCTION_REFERENCE"  # the reference price is worked out; no order is taken
    AUCTION_ENTRY = "AUCTION_ENTRY"  # limit and market orders are taken
    AUCTION_LIMIT = "AUCTION_LIMIT"  # limit orders alone are taken
    AUCTION_MATCH = "AUCTION_MATCH"  # they are matched; none is taken
    CLOSING = "CLOSING"  # the closing price is worked out
    POST_CLOSE = "POST_CLOSE"  # trades at the closing price


class HaltLevel(StrEnum):
    GLOBAL = "GLOBAL"
    BROKER = "BROKER"
    DEPLOYMENT = "DEPLOYMENT"


class DeploymentStatus(StrEnum):
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"  # evaluates, refuses entries, lets exits pass
    STOPPED = "STOPPED"  # reads nothing
    QUARANTINED = "QUARANTINED"  # its strategy raised; stands at its cursor


class Waiting(StrEnum):
    """What a deployment waits for before it reads its next item."""

    NOTHING = "NOTHING"
    SIGNALS = "SIGNALS"
    DUE = "DUE"


class TickFault(StrEnum):
    """Why a tick is kept out of decisions."""

    BAD_STAMP = "BAD_STAMP"  # before the year 2000 or after 2100
    NOT_A_TRADING_DAY = "NOT_A_TRADING_DAY"
    OUT_OF_SESSION = "OUT_OF_SESSION"
    BACKWARD_TIME = "BACKWARD_TIME"
    NON_FINITE_PRICE = "NON_FINITE_PRICE"
    NON_POSITIVE_PRICE = "NON_POSITIVE_PRICE"
    DUPLICATE = "DUPLICATE"
    FALLING_VOLUME = "FALLING_VOLUME"
