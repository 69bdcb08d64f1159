"""What a strategy is: typed parameters, a state that can be stored, and two pure callbacks that yield intents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import Broker, Phase, Product, Side
from marketdata.domain.bars import Bar
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Tick
from strategies.domain.basis import Indicator, apart
from strategies.domain.consequences import SettledFill, WorkingOrder
from strategies.domain.intents import Bracket, Cancel, Intent, Modify, Wish
from strategies.domain.signals import Mark

__all__ = [
    "BadParameters",
    "Bracket",
    "Cancel",
    "DeploymentSpec",
    "Indicator",
    "Intent",
    "Modify",
    "Strategy",
    "UnknownStrategy",
    "View",
    "Wish",
    "WorkingOrder",
    "apart",
    "build",
]


LIVE_LEAD_MS = 5 * 60_000  # room for a minute's orders, a second attempt and a search for what is not known
# When a market order has anywhere to go: on paper no call auction is modelled, an order of the pre-open waits.
TAKEN_ON_PAPER = frozenset({Phase.PRE_OPEN, Phase.CONTINUOUS})
TAKEN_OUTSIDE = TAKEN_ON_PAPER | {Phase.AUCTION_ENTRY, Phase.POST_CLOSE}
ALWAYS = frozenset(Phase)


class DeploymentSpec(msgspec.Struct, frozen=True):
    """A deployment as data: all that decides what it does, but for the log. `watched` are instruments of others
    with whom it shares limits: their prices are marked for risk, and it does not trade them."""

    id: UUID
    name: str
    strategy: str
    params: dict[str, Any]
    instruments: tuple[InstrumentSpec, ...]
    broker: Broker = Broker.PAPER
    product: Product = Product.MIS
    execution: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    history: tuple[Bar, ...] = ()  # past bars that its strategy has seen before the first item
    marks: dict[int, Mark] = {}  # last prices before the first item, by token
    portfolio: str = ""
    watched: tuple[InstrumentSpec, ...] = ()

    @property
    def square_off_lead_ms(self) -> int | None:
        """How long before the broker's own cutoff intraday positions are closed; None where they are not (another
        product, or `"square_off": false` in the rule of execution). The paper exchange waits for us; a broker outside
        closes by itself then, takes a fee, and its order is none of ours."""
        if self.product is not Product.MIS or not self.execution.get("square_off", True):
            return None
        return LIVE_LEAD_MS if self.broker is Broker.ZERODHA else 0

    @property
    def is_square_off_owed(self) -> bool:
        """Whether intraday positions that outlive their day are closed at the next chance: a broker outside has closed
        them, or made another product of them."""
        return self.broker is Broker.PAPER

    @property
    def is_banded(self) -> bool:
        """Whether the paper exchange works out circuit limits from the last close."""
        return self.execution.get("circuit_percent") is not None

    @property
    def taking(self) -> frozenset[Phase]:
        """The phases in which the platform asks for its exits: in others they would be refused, time after time. With
        `may_queue` the paper exchange keeps them for the next session."""
        if self.broker is Broker.ZERODHA:
            return TAKEN_OUTSIDE
        return ALWAYS if self.execution.get("may_queue") else TAKEN_ON_PAPER


class View(msgspec.Struct):
    """What a strategy may see besides the tick or bar: the time, its own position, and ways to ask for orders.

    `at_ms` is event time. Without an instrument, methods speak of the one of the current tick or bar.
    `holdings` are behind `position` and `working`: units of both, signed, by instrument; `working_orders` are behind
    `orders`."""

    at_ms: int
    instrument: str
    holdings: Mapping[str, tuple[int, int]]
    working_orders: tuple[WorkingOrder, ...] = ()

    def position(self, instrument: str = "") -> int:
        """Units held, negative when short."""
        return self.holdings.get(instrument or self.instrument, (0, 0))[0]

    def working(self, instrument: str = "") -> int:
        """Units of working orders, signed by their side."""
        return self.holdings.get(instrument or self.instrument, (0, 0))[1]

    def orders(self, instrument: str = "") -> tuple[WorkingOrder, ...]:
        """Working orders, oldest first, as they were when the step began."""
        name = instrument or self.instrument
        return tuple(order for order in self.working_orders if order.instrument == name)

    def cancel(self, order: WorkingOrder, *, reason: str = "") -> Cancel:
        """Ask for the end of an order of `orders`. It may trade until that arrives, and counts as working so long."""
        return Cancel(order, reason)

    def modify(self, order: WorkingOrder, **changes: Any) -> Modify:
        """Ask for a change of an order of `orders`: quantity (the new total), limit_price, trigger_price, order_type,
        validity, validity_minutes, disclosed_quantity, reason."""
        return Modify(order, **changes)

    def buy(self, quantity: int, **options: Any) -> Intent:
        """Options: reason, limit_price and trigger_price (Decimal rupees; with neither a market order), validity,
        validity_minutes, variety, disclosed_quantity, iceberg_legs, tag, bracket, instrument."""
        return self._intent(Side.BUY, quantity, options)

    def sell(self, quantity: int, **options: Any) -> Intent:
        """As `buy`."""
        return self._intent(Side.SELL, quantity, options)

    def target(self, quantity: int, *, reason: str = "", instrument: str = "") -> Iterator[Intent]:
        """Market orders that bring position and working orders to a signed quantity; a flip closes first."""
        name = instrument or self.instrument
        now = self.position(name) + self.working(name)
        if now * quantity < 0:
            yield self._towards(-now, reason, name)
            now = 0
        if quantity != now:
            yield self._towards(quantity - now, reason, name)

    def _towards(self, change: int, reason: str, instrument: str) -> Intent:
        side = Side.BUY if change > 0 else Side.SELL
        return Intent(instrument=instrument, side=side, quantity=abs(change), reason=reason)

    def _intent(self, side: Side, quantity: int, options: dict[str, Any]) -> Intent:
        instrument = options.pop("instrument", "") or self.instrument
        return Intent(instrument=instrument, side=side, quantity=quantity, **options)


class Strategy:
    """Base of all strategies. Pure: what it yields follows from its parameters, its state and the arguments.

    Subclasses set `name`, `version`, `title`, their own `Params` and `State` (msgspec structs; the state must
    survive being stored, so it holds numbers, texts, lists and dicts) and the callbacks they need.

    In one step of the log they are called in this order: on_start, on_fill, the platform's exits (brackets,
    square-off), on_timer, on_bar, on_tick; each sees what those before it wished for as working orders."""

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    title: ClassVar[str] = ""

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Typed parameters; raise ValueError in `__post_init__` where they do not fit together."""

    class State(msgspec.Struct):
        """What the strategy remembers."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def check(self, instruments: Sequence[str]) -> None:
        """Refuse instruments (EXCHANGE:SYMBOL) that the parameters do not fit. Raises ValueError."""

    def bar_minutes(self) -> tuple[int, ...]:
        """The bar lengths that `on_bar` wants; by default the parameter `bar_minutes`, where there is one."""
        minutes = getattr(self.params, "bar_minutes", 0)
        return (minutes,) if minutes else ()

    def timers(self) -> tuple[time, ...]:
        """Times of day (IST) at which `on_timer` is called on trading days, in event time. A time that passes
        without an item of the log within five minutes is left out."""
        return ()

    def warm_up(self) -> int:
        """Bars of each instrument and length that must have been seen before wishes for it count."""
        return 0

    def wants_ticks(self) -> bool:
        """Whether `on_tick` is to be called at all; by default where a strategy has its own."""
        return type(self).on_tick is not Strategy.on_tick

    def on_start(self, state: Any, view: View) -> Iterable[Wish]:
        """Once, at the first item of the log that the deployment takes in."""
        return ()

    def on_fill(self, state: Any, fill: SettledFill, view: View) -> Iterable[Wish]:
        """At every trade of one of its orders, in the step of the item that filled it."""
        return ()

    def on_timer(self, state: Any, at: time, view: View) -> Iterable[Wish]:
        """At each of `timers()`, at the first item of the log from then on."""
        return ()

    def on_tick(self, state: Any, tick: Tick, view: View) -> Iterable[Wish]:
        return ()

    def on_bar(self, state: Any, bar: Bar, view: View) -> Iterable[Wish]:
        return ()

    def indicators(self, state: Any, instrument: str) -> Mapping[str, Indicator | float | None]:
        """What it reckons with for an instrument, by name, for people: rupees, or `apart(number)` for what is no price;
        None: not known yet. It is asked for at signals and for charts, never to decide, and changes nothing."""
        return {}


class UnknownStrategy(LookupError):
    """No strategy is registered under the name."""


class BadParameters(ValueError):
    """Parameters do not fit the strategy; the text says which and why."""


def build(
    strategy_class: type[Strategy], params: dict[str, Any], *, instruments: Sequence[str] = ()
) -> Strategy:
    """A strategy with parameters that are checked, also against the instruments where they are given.
    Raises BadParameters."""
    try:
        strategy = strategy_class(msgspec.convert(params, strategy_class.Params, strict=True))
        _check_finite(strategy.params)
        _check_bars(strategy)
        if instruments:
            strategy.check(instruments)
        return strategy
    except (msgspec.ValidationError, ValueError) as error:
        raise BadParameters(f"{strategy_class.name}: {error}") from error


def _check_finite(params: Any) -> None:
    """JSON has no number that is none, but a text may be a Decimal that is. Raises ValueError."""
    for name in params.__struct_fields__:
        given = getattr(params, name)
        if isinstance(given, Decimal) and not given.is_finite():
            raise ValueError(f"Expected a finite number, got {given} - at `$.{name}`")


def _check_bars(strategy: Strategy) -> None:
    """An `on_bar` that nobody would ever call trades nothing, and says nothing. One that acts on ticks by a parameter
    may do without. Raises ValueError."""
    if type(strategy).on_bar is Strategy.on_bar or strategy.bar_minutes() or strategy.wants_ticks():
        return
    raise ValueError(
        "has on_bar and names no length of bars: return some from bar_minutes(), or give Params a bar_minutes above 0"
    )
