"""What risk knows when it judges: the deployment's book, those it shares sums with, the market, the guards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import DeploymentStatus, OrderStatus, Phase, Product, Side, SignalKind
from marketdata.domain.calendar import Calendar
from marketdata.domain.instruments import InstrumentSpec
from portfolio.domain.books import Holding
from risk.domain.limits import Level, Limits, Place, Scope, limits_by_token, own_limits, scopes_of
from risk.domain.margins import Margins
from risk.domain.memory import DayState
from risk.domain.wording import written
from strategies.domain.consequences import Working, WorkingOrder
from strategies.domain.signals import SignalRow


class Resting(msgspec.Struct, frozen=True):
    """One of our own orders that works, or would: what may meet another. No limit: it takes any price."""

    id: UUID
    token: int
    side: Side
    limit_price_e4: int | None


def resting(orders: Iterable[WorkingOrder]) -> tuple[Resting, ...]:
    """Working orders as far as they may meet another."""
    return tuple(Resting(order.id, order.token, order.side, order.limit_price_e4) for order in orders)


class Leaving(msgspec.Struct, frozen=True):
    """One of our own orders that is being cancelled: units that may still trade until it is gone."""

    token: int
    side: Side
    units: int


def leaving(orders: Iterable[WorkingOrder]) -> dict[UUID, Leaving]:
    """Working orders whose cancellation is on its way."""
    return {
        order.id: Leaving(order.token, order.side, order.unfilled)
        for order in orders
        if order.status is OrderStatus.CANCEL_PENDING
    }


class Member(msgspec.Struct, frozen=True):
    """The book of another deployment of the group, as it stands at this place of the log."""

    holdings: Mapping[int, Holding]
    working: Mapping[int, Working]
    orders: tuple[Resting, ...] = ()
    day: DayState = DayState()
    product: Product = Product.MIS


class Outside(msgspec.Struct, frozen=True):
    """What an account holds and has at work as one product of an instrument that no deployment here has asked for, as
    it was seen last. `price_e4` (0: unknown) counts where the instrument has no mark, `margin` is what it blocks at
    the worst, None where that is unknown. `token` is 0 where no list has the instrument."""

    instrument: str
    product: str
    units: int
    buy: int = 0
    sell: int = 0
    price_e4: int = 0
    token: int = 0
    underlying: str = ""
    margin: Decimal | None = None


class Terms(msgspec.Struct, frozen=True):
    """The limits that bound one deployment: its own, those of single instruments, the sums it shares; and the
    version of all these."""

    limits: Limits = Limits()
    by_token: Mapping[int, Limits] = {}
    scopes: tuple[Scope, ...] = ()
    version: str = ""


def terms_of(levels: tuple[Level, ...], place: Place, places: tuple[Place, ...]) -> Terms:
    """What bounds a deployment at a place among all deployments."""
    own = own_limits(levels, place)
    terms = Terms(
        limits=own,
        by_token=limits_by_token(levels, place, own),
        scopes=scopes_of(levels, place, places),
    )
    return msgspec.structs.replace(terms, version=version_of(terms))


def version_of(terms: Terms) -> str:
    """A short name that follows from the limits in force: the same limits have the same version."""
    scopes = [
        [scope.level, scope.name, scope.token, written(scope.limits), sorted(map(str, scope.members))]
        for scope in terms.scopes
    ]
    by_token = [[token, written(limits)] for token, limits in sorted(terms.by_token.items())]
    return sha256(msgspec.json.encode([written(terms.limits), by_token, scopes])).hexdigest()[:12]


class Context(msgspec.Struct, frozen=True):
    """What risk knows besides the signal. Maps are by instrument token.

    `phases` are those of the markets of what is asked for, `ended` those contracts of it that trade no more.
    `halts` are the active kill switches, `guards` other reasons not to enter, each as (rule, why). `others` are the
    books of those with whom the deployment shares sums. `outside` is what else the account holds, counted in sums of
    the account. `product` is the deployment's; where `margins` has no rate for what is held or asked for, the margin
    is unknown.
    `version` and `config` name the limits and the parameters in force."""

    limits: Limits
    day: DayState
    holdings: Mapping[int, Holding]
    working: Mapping[int, Working]
    instruments: Mapping[int, InstrumentSpec]
    phases: Mapping[int, Phase]
    ended: frozenset[int] = frozenset()
    halts: tuple[str, ...] = ()
    status: DeploymentStatus = DeploymentStatus.RUNNING
    may_queue: bool = False  # an order after hours waits for the next session
    approval_s: int = 0  # entries wait so long for a person; 0: they do not wait
    guards: tuple[tuple[str, str], ...] = ()
    orders: tuple[Resting, ...] = ()
    leaving: Mapping[UUID, Leaving] = {}  # by order
    by_token: Mapping[int, Limits] = {}
    scopes: tuple[Scope, ...] = ()
    others: Mapping[UUID, Member] = {}
    outside: tuple[Outside, ...] = ()
    product: Product = Product.MIS
    margins: Margins = Margins(())
    version: str = ""
    config: str = ""

    def limits_for(self, token: int) -> Limits:
        """What bounds an order in an instrument."""
        return self.by_token.get(token, self.limits) if self.by_token else self.limits


def phases_of(signals: Iterable[SignalRow], hours: Mapping[int, Calendar]) -> dict[int, Phase]:
    """In which phase the market of each instrument is when its signal is raised."""
    return {signal.token: hours[signal.token].phase_at(signal.at_ms) for signal in signals}


def ended_of(
    signals: Iterable[SignalRow], instruments: Mapping[int, InstrumentSpec], hours: Mapping[int, Calendar]
) -> frozenset[int]:
    """Tokens of contracts in which trading has ended for good when a signal in them is raised."""
    return frozenset(
        signal.token
        for signal in signals
        if (expiry := instruments[signal.token].expiry) is not None
        and signal.at_ms >= hours[signal.token].contract_ends_ms(expiry)
    )


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """A decision: the rule that decided, why in words, and the numbers that it saw. `guards`: by rule, figures that
    explain a guard; no row of a run holds them, so that a run of before they were kept is still told the same."""

    id: UUID
    signal_id: UUID
    is_approved: bool
    rule: str
    reason: str
    numbers: dict[str, Any]
    at_ms: int
    guards: dict[str, dict[str, Any]] = {}


class Sum(msgspec.Struct, frozen=True):
    """The figures of one scope; None where one cannot be had, or where no limit asks for it.

    Exposures and margin are rupees at the worst, with the order that is judged; `profit` is the session's,
    `decline` the distance from the highest equity seen."""

    key: str
    name: str
    limits: Limits
    orders_second: int = 0
    orders_minute: int = 0
    orders_day: int = 0
    profit: Decimal | None = None
    decline: Decimal | None = None
    gross: Decimal | None = None
    net: Decimal | None = None
    underlying: Decimal | None = None
    margin: Decimal | None = None
    is_tripped: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether it adds up over more than the deployment by itself."""
        return self.key != "DEPLOYMENT"


class Case(msgspec.Struct, frozen=True):
    """One signal before its judges, with the figures that rules need worked out once."""

    signal: SignalRow
    context: Context
    limits: Limits
    position: int
    worst_position: int
    order_value: Decimal | None
    price_e4: int
    price_age_ms: int | None
    day_pnl: Decimal | None
    sums: tuple[Sum, ...] = ()

    @property
    def is_buy(self) -> bool:
        return self.signal.side is Side.BUY

    @property
    def phase(self) -> Phase:
        return self.context.phases[self.signal.token]

    @property
    def instrument(self) -> InstrumentSpec:
        return self.context.instruments[self.signal.token]

    @property
    def is_way_out(self) -> bool:
        """Whether the order can only bring the position nearer to zero once all that is being cancelled is gone."""
        signal, gone = self.signal, self.context.leaving.values()
        units = sum(one.units for one in gone if (one.token, one.side) == (signal.token, signal.side))
        left = self.worst_position - signal.side.sign * units
        return (
            signal.kind is SignalKind.ORDER and self.position * left >= 0 and abs(left) < abs(self.position)
        )
