"""An order of ours at Kite: what we sent and all that is known of it, merged so that the order of news does not matter.

Of each of the broker's orders that stand for it (one; more of an iceberg, or where something is wrong) the best
snapshots are kept, and every trade by its key. What the order is follows from these alone: each news only adds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from uuid import UUID

import msgspec

from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity, Variety
from execution.domain.kite.rows import TradeRow
from execution.domain.orders import AT_MARKET, Terms

SECONDS_MS = 2_000  # Kite's times are whole seconds, of its own clock


class Sending(StrEnum):
    """How far the placing of an order is, from what says least to what says most."""

    READY = "READY"  # decided; nothing was sent
    SUBMITTING = "SUBMITTING"  # its tag is committed, the request is on its way
    UNKNOWN = "UNKNOWN"  # what came of the request is not known: it is looked up by tag
    REFUSED = "REFUSED"
    NOT_PLACED = "NOT_PLACED"  # looked for in vain with the stated patience
    ACKED = "ACKED"

    @property
    def rank(self) -> int:
        return list(Sending).index(self)

    @property
    def is_in_vain(self) -> bool:
        return self in (Sending.REFUSED, Sending.NOT_PLACED)


class Alarm(StrEnum):
    """What a person must know of an order; each is raised once an order."""

    DOUBLED = "DOUBLED"  # one intent, more than one order at the broker
    REVIVED = "REVIVED"  # it was given up and is at the broker
    TRADED_AFTER_END = "TRADED_AFTER_END"  # more trades than its end told
    TOLD_TWO_ENDS = "TOLD_TWO_ENDS"  # its end was told with different quantities
    OVERFILLED = "OVERFILLED"  # trades beyond any quantity that it had
    CONTRADICTED = "CONTRADICTED"  # its id, or that of a trade, came with another instrument, side or trade


class Want(StrEnum):
    """What the order needs next from the broker."""

    FETCH_TRADES = "FETCH_TRADES"  # a snapshot tells more units than trades do, which are booked alone
    CANCEL = "CANCEL"  # it was given up and lives: its strategy does not count on it any more


class Told(msgspec.Struct, frozen=True, order=True):
    """A snapshot with what decides between two: units filled, time, whether the exchange has it, when we heard of it,
    the step of the ladder; the rest only makes the choice the same for everybody."""

    filled: int
    at_ms: int
    is_at_exchange: bool
    received_ms: int
    step: int
    status_text: str
    quantity: int
    limit_price_e4: int
    trigger_price_e4: int
    disclosed_quantity: int
    order_type: str
    validity: str
    reason: str

    @property
    def status(self) -> OrderStatus | None:
        return _BY_TEXT.get(self.status_text)


class Part(msgspec.Struct, frozen=True):
    """One of the broker's orders that stand for ours. `latest` is the last snapshot of it at work, `named` the last one
    whose status is known; `end` is the end that was told with most units, `first_end` that with fewest. `most` is the
    largest quantity that was ever told. Without any of these only its id is known."""

    latest: Told | None = None
    named: Told | None = None
    end: Told | None = None
    first_end: Told | None = None
    most: int = 0
    trades: dict[str, TradeRow] = {}

    @property
    def traded(self) -> int:
        return sum(trade.quantity for trade in self.trades.values())

    @property
    def told(self) -> Told | None:
        """What it is now, but for its trades."""
        return self.end or self.latest

    @property
    def told_filled(self) -> int:
        return max((one.filled for one in (self.latest, self.end) if one), default=0)

    @property
    def ended(self) -> OrderStatus | None:
        """How it ended, once the trades that its end tells of are here; None while it works, or waits for them. What
        has ended stays so: the smallest end only falls, and trades only grow."""
        for end in (self.end, self.first_end):
            if end is not None and self.traded >= end.filled:
                return end.status
        return None

    @property
    def is_known(self) -> bool:
        return bool(self.told or self.trades)


class Local(msgspec.Struct, frozen=True, order=True):
    """How far an attempt to place an order is; of two, the one that says more of the later attempt counts."""

    attempt: int = 0
    rank: int = 0
    at_ms: int = 0
    reason: str = ""

    @property
    def sending(self) -> Sending:
        return list(Sending)[self.rank]


class ActStage(StrEnum):
    """How far a cancellation or modification is; what is not known of it stays SENT until it is looked up."""

    SENT = "SENT"
    REFUSED = "REFUSED"
    DONE = "DONE"

    @property
    def rank(self) -> int:
        return list(ActStage).index(self)


class LiveAct(msgspec.Struct, frozen=True):
    """A cancellation (without terms) or modification of an order."""

    stage: ActStage
    at_ms: int
    terms: Terms | None = None
    reason: str = ""

    @property
    def is_cancel(self) -> bool:
        return self.terms is None

    @property
    def key(self) -> tuple[int, int, str]:
        return self.stage.rank, self.at_ms, self.reason


class LiveOrder(msgspec.Struct, frozen=True):
    """An order of ours at Kite. `terms` are those that it was placed with; `expires_at_ms` is when the session or its
    minutes end; `gone_ms` when it was found that its day's book is gone, in which it was last at work."""

    id: UUID
    instrument: str
    side: Side
    product: Product
    variety: Variety
    terms: Terms
    expires_at_ms: int
    iceberg_legs: int = 0  # each is an order to the broker, which sends the next when one has traded
    last_leg: int = 0  # after so many none came in the stated patience
    tags: frozenset[str] = frozenset()  # of all attempts
    local: Local = Local()
    parts: dict[str, Part] = {}  # by the broker's order id
    acts: dict[UUID, LiveAct] = {}  # by decision
    contradicted: frozenset[str] = frozenset()  # ids of orders and trades that are not counted
    gone_ms: int = 0

    @property
    def is_iceberg(self) -> bool:
        return self.variety is Variety.ICEBERG

    @property
    def _has_legs_to_come(self) -> bool:
        return self.is_iceberg and len(self.parts) < (self.last_leg or self.iceberg_legs)

    @property
    def trades(self) -> Iterator[TradeRow]:
        for part in self.parts.values():
            yield from part.trades.values()

    @property
    def filled_quantity(self) -> int:
        return sum(part.traded for part in self.parts.values())

    @property
    def quantity(self) -> int:
        """The total as it is at the broker; traded units at least."""
        told = [part.told for part in self.parts.values()]
        if self._has_legs_to_come or None in told or not told or self._is_change_unseen:
            return max(self.wanted.quantity, self.filled_quantity)
        return max(sum(one.quantity for one in told if one), self.filled_quantity)

    @property
    def most(self) -> int:
        """The largest total that it can have: what has traded in full beyond doubt."""
        asked = [
            act.terms.quantity
            for act in self.acts.values()
            if act.terms and act.stage is not ActStage.REFUSED
        ]
        return max([self.terms.quantity, sum(part.most for part in self.parts.values()), *asked])

    @property
    def unfilled(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def worst_filled(self) -> int:
        """Units that may be held because of it."""
        if self.is_unresolved:
            return self.most
        return sum(max(part.told_filled, part.traded) for part in self.parts.values())

    @property
    def worst_open(self) -> int:
        """Units that may still trade."""
        if self.is_unresolved:
            return self.most
        return 0 if self.status.is_final else max(self.most - self.filled_quantity, 0)

    @property
    def is_unresolved(self) -> bool:
        """Whether it may be at the broker, or not."""
        return not self.parts and self.local.sending in (Sending.SUBMITTING, Sending.UNKNOWN)

    @property
    def is_revived(self) -> bool:
        return (self.local.sending.is_in_vain and bool(self.parts)) or 0 < self.last_leg < len(self.parts)

    @property
    def modifications(self) -> int:
        """Changes that Kite may have counted: all that it has not refused."""
        return sum(act.terms is not None and act.stage is not ActStage.REFUSED for act in self.acts.values())

    @property
    def reason(self) -> str:
        """Why it ended, as the broker says or as we do."""
        if not self.parts:
            return self.local.reason if self.local.sending.is_in_vain else ""
        if self.gone_ms:
            return "its day ended while nobody looked"
        return min((part.end.reason for part in self.parts.values() if part.end), default="")

    @property
    def wanted(self) -> Terms:
        """Its terms as we last changed them."""
        return self._changed[1]

    @property
    def _changed(self) -> tuple[int, Terms]:
        """When a change was taken last (0: never), and its terms."""
        done = [
            (act.at_ms, str(key), act.terms) for key, act in self.acts.items() if act.terms and _is_done(act)
        ]
        at_ms, _, terms = max(done, key=lambda one: one[:2], default=(0, "", self.terms))
        return at_ms, terms

    @property
    def _is_change_unseen(self) -> bool:
        """Whether all that was told of it is older than the last change that was taken: its row shows that later."""
        told = [part.told for part in self.parts.values() if part.told]
        is_over = any(part.end for part in self.parts.values())
        return not is_over and self._changed[0] > max((one.received_ms for one in told), default=0)

    @property
    def now(self) -> Terms:
        """Its terms as they are at the broker, of an iceberg those of the leg at work; a change that was taken and is
        not shown yet counts. What goes to the market stays so: Kite shows it as a limit order at the price that
        protects it."""
        told = max((part for part in self.parts.values() if part.told), key=_lastness, default=Part()).told
        own, quantity = self.wanted, self.quantity
        if told is None or self._is_change_unseen:
            return msgspec.structs.replace(own, quantity=quantity)
        is_plain = own.order_type not in AT_MARKET and told.order_type in _TYPES
        return msgspec.structs.replace(
            own,
            quantity=quantity,
            order_type=OrderType(told.order_type) if is_plain else own.order_type,
            limit_price_e4=told.limit_price_e4 or None,
            trigger_price_e4=told.trigger_price_e4 or None,
            validity=Validity(told.validity) if told.validity in _VALIDITIES else own.validity,
            disclosed_quantity=told.disclosed_quantity,
        )

    @property
    def status(self) -> OrderStatus:
        """What it is. An order whose end tells of trades that are not here yet still works."""
        if not self.parts:
            return OrderStatus.REJECTED if self.local.sending.is_in_vain else OrderStatus.PUT_RECEIVED
        if self.filled_quantity >= self.most:
            return OrderStatus.COMPLETE
        ends = {part.ended for part in self.parts.values()}
        is_between_legs = self._has_legs_to_come and ends == {OrderStatus.COMPLETE}
        if self.gone_ms and (None in ends or is_between_legs):
            return OrderStatus.EXPIRED
        if None in ends or is_between_legs:
            return OrderStatus.CANCEL_PENDING if self._is_leaving else _working_status(self.parts.values())
        return self._end(ends)

    @property
    def seen_ms(self) -> int:
        """When it was last shown at work; 0: never."""
        return max((part.latest.received_ms for part in self.parts.values() if part.latest), default=0)

    @property
    def _is_leaving(self) -> bool:
        """Whether a cancellation was taken, and the order was not seen to work on after that."""
        taken = [act.at_ms for act in self.acts.values() if act.is_cancel and _is_done(act)]
        return any(self.seen_ms <= at_ms + SECONDS_MS for at_ms in taken)

    def _end(self, ends: set[OrderStatus | None]) -> OrderStatus:
        if OrderStatus.CANCELLED not in ends:
            return OrderStatus.REJECTED if OrderStatus.REJECTED in ends else OrderStatus.COMPLETE
        is_cancelled = any(act.is_cancel and _is_done(act) for act in self.acts.values())
        ended_ms = max(part.end.at_ms for part in self.parts.values() if part.end)
        is_over = ended_ms + SECONDS_MS >= self.expires_at_ms
        return OrderStatus.EXPIRED if is_over and not is_cancelled else OrderStatus.CANCELLED

    @property
    def alarms(self) -> frozenset[Alarm]:
        return frozenset(alarm for alarm, is_so in self._alarms() if is_so)

    def _alarms(self) -> Iterator[tuple[Alarm, bool]]:
        """An iceberg order has parts, and trades beyond each, by its nature."""
        ended = [(part, part.end, part.first_end) for part in self.parts.values()]
        yield Alarm.DOUBLED, len(self.parts) > 1 and not self.is_iceberg
        yield Alarm.REVIVED, self.is_revived
        yield (
            Alarm.TRADED_AFTER_END,
            not self.is_iceberg
            and any(end is not None and part.traded > end.filled for part, end, _ in ended),
        )
        yield (
            Alarm.TOLD_TWO_ENDS,
            any(end and first and end.filled != first.filled for _, end, first in ended),
        )
        yield Alarm.OVERFILLED, self.filled_quantity > self.most
        yield Alarm.CONTRADICTED, bool(self.contradicted)

    @property
    def wants(self) -> frozenset[Want]:
        wants = set()
        if not self.gone_ms and any(part.told_filled > part.traded for part in self.parts.values()):
            wants.add(Want.FETCH_TRADES)
        if self.is_revived and not self.status.is_final:
            wants.add(Want.CANCEL)
        return frozenset(wants)


def _lastness(part: Part) -> tuple[bool, int, int, Told]:
    """What is greatest of the leg that was sent last: the one that works, then the one that was told of last."""
    told = part.told
    assert told is not None, "asked only of what was told"
    return part.end is None, told.at_ms, told.received_ms, told


def _is_done(act: LiveAct) -> bool:
    return act.stage is ActStage.DONE


_TYPES = frozenset(OrderType)
_VALIDITIES = frozenset(Validity)
_BY_TEXT = {status.value: status for status in OrderStatus if status is not OrderStatus.EXPIRED}
# Steps before the exchange has an order; of the others, those that rest count for more than those on the way there.
BEFORE_EXCHANGE = (
    OrderStatus.PUT_RECEIVED, OrderStatus.AMO_RECEIVED, OrderStatus.VALIDATION_PENDING, OrderStatus.OPEN_PENDING,
)  # fmt: skip
_LADDER = (
    *BEFORE_EXCHANGE, OrderStatus.MODIFY_VALIDATION_PENDING, OrderStatus.MODIFY_PENDING, OrderStatus.MODIFIED,
    OrderStatus.TRIGGER_PENDING, OrderStatus.OPEN, OrderStatus.CANCEL_PENDING, OrderStatus.REJECTED,
    OrderStatus.CANCELLED, OrderStatus.COMPLETE,
)  # fmt: skip
STEPS = {status: step for step, status in enumerate(_LADDER)}


def _working_status(parts: Collection[Part]) -> OrderStatus:
    """The last status that is known of what works; an end that waits for its trades counts as open."""
    working = [part for part in parts if part.ended is None]
    if any(part.end for part in working):
        return OrderStatus.OPEN
    named = [part.named for part in working if part.named]
    if named:
        return max(named).status or OrderStatus.OPEN
    return OrderStatus.OPEN if any(part.is_known for part in parts) else OrderStatus.PUT_RECEIVED
