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
    """Kite's order types. SL waits for its trigger and goes on as LIMIT, SL-M as MARKET."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"


class Product(StrEnum):
    """Kite's products: delivery, intraday, and carried forward (derivatives only)."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"


class Validity(StrEnum):
    """Until the session's end, at once or not at all, or for some minutes (time to live)."""

    DAY = "DAY"
    IOC = "IOC"
    TTL = "TTL"


class Variety(StrEnum):
    """Kite's varieties: in the session, after hours for the next one, in legs one after the other."""

    REGULAR = "regular"
    AMO = "amo"
    ICEBERG = "iceberg"


class SignalOrigin(StrEnum):
    """Who wants it: the strategy, or the platform on its or the operator's behalf."""

    STRATEGY = "STRATEGY"
    BRACKET = "BRACKET"
    SQUARE_OFF = "SQUARE_OFF"
    EXPIRY = "EXPIRY"  # the exchange's settlement of a contract
    LADDER = "LADDER"
    TAKEN = "TAKEN"  # others have closed it at the broker
    OPERATOR = "OPERATOR"


class CommandKind(StrEnum):
    """What an operator or the platform makes a deployment do at a step of its own."""

    CANCEL = "CANCEL"  # one order, or all that work
    FLATTEN = "FLATTEN"
    EXIT = "EXIT"  # one instrument is to be flat
    APPROVE = "APPROVE"  # an entry that waited for a person
    TAKEN = "TAKEN"  # what others have closed at the broker leaves the books


class OrderStatus(StrEnum):
    """Kite's statuses. EXPIRED is ours for what Kite shows as CANCELLED where its validity has ended."""

    PUT_RECEIVED = "PUT ORDER REQ RECEIVED"
    AMO_RECEIVED = "AMO REQ RECEIVED"
    VALIDATION_PENDING = "VALIDATION PENDING"
    OPEN_PENDING = "OPEN PENDING"
    TRIGGER_PENDING = "TRIGGER PENDING"
    OPEN = "OPEN"
    MODIFY_VALIDATION_PENDING = "MODIFY VALIDATION PENDING"
    MODIFY_PENDING = "MODIFY PENDING"
    MODIFIED = "MODIFIED"
    CANCEL_PENDING = "CANCEL PENDING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {OrderStatus.COMPLETE, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
)


class SignalKind(StrEnum):
    """What a signal asks for: a new order, or the end or a change of one that works."""

    ORDER = "ORDER"
    CANCEL = "CANCEL"
    MODIFY = "MODIFY"


class FillSource(StrEnum):
    """On what a trade stands."""

    DEPTH = "DEPTH"  # sizes on record, at their prices
    QUEUE = "QUEUE"  # trades on record at the price of a resting order, after those ahead of it
    LAST_PRICE = "LAST_PRICE"  # assumed: the last price and slippage, no depth was on record
    UNLIMITED = "UNLIMITED"  # assumed: more than the size on record
    SETTLEMENT = "SETTLEMENT"  # the exchange's settlement at expiry
    BROKER = "BROKER"  # no simulation: the broker's own record of a trade
    ELSEWHERE = "ELSEWHERE"  # the same, of an order that others made: it closed what a book holds

    @property
    def is_assumed(self) -> bool:
        return self in (FillSource.LAST_PRICE, FillSource.UNLIMITED)


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


class HaltStep(StrEnum):
    """How far a kill switch goes; each step does what those before it do."""

    PAUSE = "PAUSE"  # no entries
    CANCEL = "CANCEL"  # working orders are cancelled
    FLATTEN = "FLATTEN"  # positions are closed

    @property
    def rank(self) -> int:
        return list(HaltStep).index(self)


class Severity(StrEnum):
    """How much an alert matters. A critical one must be acknowledged, or entries stop."""

    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class LimitLevel(StrEnum):
    """Where a limit stands, from the widest."""

    GLOBAL = "GLOBAL"
    BROKER = "BROKER"
    PORTFOLIO = "PORTFOLIO"
    DEPLOYMENT = "DEPLOYMENT"
    INSTRUMENT = "INSTRUMENT"


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
