"""Orders that wait for a price, good till triggered: one trigger, or two of which one cancels the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alphapanda.core.clock import DAY_MS
from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import OrderType, Product, Side
from alphapanda.kite_simulator import parsing
from alphapanda.kite_simulator.book import Book
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.errors import GENERAL, KiteError, bad_input
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.parsing import Wanted
from alphapanda.kite_simulator.sessions import Account
from alphapanda.kite_simulator.wire import number, parsed, rupees
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Tick

ACTIVE_MAX = 500
VALID_DAYS = 365
SHOWN_DAYS = 7  # how long the list shows what is no longer active
LEGS = {"single": 1, "two-leg": 2}


@dataclass(slots=True)
class Gtt:
    """A trigger. `directions`: 1 fires at or above its value, -1 at or below."""

    id: int
    kind: str
    spec: InstrumentSpec
    last_e4: int
    triggers_e4: list[int]
    orders: list[Wanted]
    created_ms: int
    updated_ms: int
    status: str = "active"
    results: dict[int, Row] = field(default_factory=dict)

    @property
    def directions(self) -> list[int]:
        if self.kind == "two-leg":
            return [-1, 1]
        return [1 if self.triggers_e4[0] >= self.last_e4 else -1]


class Gtts:
    """All triggers of the account."""

    def __init__(
        self, account: Account, book: Book, clock: SimClock, by_key: Mapping[str, InstrumentSpec]
    ) -> None:
        self.all: dict[int, Gtt] = {}
        self._account = account
        self._book = book
        self._clock = clock
        self._by_key = by_key

    def place(self, fields: Mapping[str, str], at_ms: int) -> int:
        """Enter a trigger. Raises KiteError."""
        if sum(one.status == "active" for one in self.all.values()) >= ACTIVE_MAX:
            raise bad_input(f"Maximum of {ACTIVE_MAX} active triggers reached.")
        one = self._read(fields, len(self.all) + 1, at_ms)
        self.all[one.id] = one
        return one.id

    def modify(self, trigger_id: int, fields: Mapping[str, str], at_ms: int) -> int:
        """Replace an active trigger. Raises KiteError."""
        before = self._active(trigger_id)
        after = self._read(fields, trigger_id, at_ms)
        after.created_ms = before.created_ms
        self.all[trigger_id] = after
        return trigger_id

    def delete(self, trigger_id: int, at_ms: int) -> int:
        """Raises KiteError."""
        one = self._active(trigger_id)
        one.status, one.updated_ms = "deleted", at_ms
        return trigger_id

    def find(self, trigger_id: int) -> Gtt:
        if trigger_id not in self.all:
            raise KiteError(GENERAL, "Trigger not found.", http=404)
        return self.all[trigger_id]

    def _active(self, trigger_id: int) -> Gtt:
        one = self.find(trigger_id)
        if one.status != "active":
            raise bad_input(f"The trigger is {one.status}.")
        return one

    def on_ticks(self, ticks: Iterable[Tick], at_ms: int) -> None:
        """Fire what the last prices have reached; each trigger fires once."""
        active = [one for one in self.all.values() if one.status == "active"]
        for one in active:
            if at_ms >= one.created_ms + VALID_DAYS * DAY_MS:
                one.status, one.updated_ms = "expired", at_ms
        for tick in ticks if active else ():
            for one in active:
                if one.status == "active" and one.spec.token == tick.token:
                    self._look(one, tick, at_ms)

    def _look(self, one: Gtt, tick: Tick, at_ms: int) -> None:
        pairs = zip(one.triggers_e4, one.directions, strict=True)
        for number_, (trigger_e4, direction) in enumerate(pairs):
            if (tick.price_e4 - trigger_e4) * direction >= 0:
                one.status, one.updated_ms = "triggered", at_ms
                one.results[number_] = self._fired(one, one.orders[number_], tick, at_ms)
                return

    def _fired(self, one: Gtt, order: Wanted, tick: Tick, at_ms: int) -> Row:
        """A trigger that has fired is not an order that was taken: the result says which."""
        meta = {"app_id": self._account.app_id, "gtt": one.id}
        order = msgspec.structs.replace(order, meta=meta)
        try:
            placed = self._book.place(order, app=self._account.api_key, at_ms=at_ms)
            result = {"status": "success", "order_id": placed.order_id, "rejection_reason": ""}
        except KiteError as error:
            result = {"status": "failed", "order_id": "", "rejection_reason": error.message}
        return {
            "account_id": self._account.user_id,
            **_order_row(order),
            "validity": "DAY",
            "meta": json.dumps(meta, separators=(",", ":")),
            "timestamp": self._clock.text(at_ms),
            "triggered_at": rupees(tick.price_e4),
            "order_result": result,
        }

    def _read(self, fields: Mapping[str, str], trigger_id: int, at_ms: int) -> Gtt:
        kind = fields.get("type", "")
        if kind not in LEGS:
            raise bad_input(f"Invalid `type` {kind[:20]!r}; accepted are {', '.join(LEGS)}.")
        condition, orders = parsed(fields.get("condition", "")), parsed(fields.get("orders", ""))
        if not isinstance(condition, dict) or not isinstance(orders, list):
            raise bad_input("Invalid `condition` or `orders`.")
        texts = {name: str(value) for name, value in condition.items()}
        triggers = [_trigger(value) for value in condition.get("trigger_values") or []]
        if len(triggers) != LEGS[kind] or len(orders) != LEGS[kind] or triggers != sorted(set(triggers)):
            raise bad_input(f"Invalid trigger values: {kind} has {LEGS[kind]}, the lower one first.")
        return Gtt(
            id=trigger_id,
            kind=kind,
            spec=parsing.instrument(texts, self._by_key),
            last_e4=parsing.price_e4("last_price", texts) or 0,
            triggers_e4=triggers,
            orders=[self._order(order, kind) for order in orders],
            created_ms=at_ms,
            updated_ms=at_ms,
        )

    def _order(self, order: Any, kind: str) -> Wanted:
        if not isinstance(order, dict):
            raise bad_input("Invalid `orders`.")
        found = parsing.wanted("regular", {name: str(value) for name, value in order.items()}, self._by_key)
        if found.order_type is not OrderType.LIMIT or found.product is Product.MIS:
            raise bad_input("GTT orders are LIMIT orders of the products CNC or NRML.")
        if kind == "two-leg" and found.side is Side.BUY and found.spec.instrument_type == "EQ":
            raise bad_input("Two-leg GTT orders that buy are for derivatives only.")
        return found

    def rows(self, at_ms: int) -> list[Row]:
        """What is active, and what was until a week ago."""
        since_ms = at_ms - SHOWN_DAYS * DAY_MS
        shown = [one for one in self.all.values() if one.status == "active" or one.updated_ms >= since_ms]
        return [self.row(one) for one in shown]

    def row(self, one: Gtt) -> Row:
        return {
            "id": one.id,
            "user_id": self._account.user_id,
            "parent_trigger": None,
            "type": one.kind,
            "created_at": self._clock.text(one.created_ms),
            "updated_at": self._clock.text(one.updated_ms),
            "expires_at": self._clock.text(one.created_ms + VALID_DAYS * DAY_MS),
            "status": one.status,
            "condition": {
                "exchange": one.spec.exchange,
                "last_price": rupees(one.last_e4),
                "tradingsymbol": one.spec.tradingsymbol,
                "trigger_values": [number(to_rupees(value)) for value in one.triggers_e4],
                "instrument_token": one.spec.token,
            },
            "orders": [
                _order_row(order) | {"result": one.results.get(place)}
                for place, order in enumerate(one.orders)
            ],
            "meta": None,
        }


def _trigger(value: Any) -> int:
    price_e4 = parsing.price_e4("trigger_values", {"trigger_values": str(value)})
    if price_e4 is None:
        raise bad_input("Invalid `trigger_values`: prices above 0 are expected.")
    return price_e4


def _order_row(order: Wanted) -> Row:
    return {
        "exchange": order.spec.exchange,
        "tradingsymbol": order.spec.tradingsymbol,
        "product": order.product.value,
        "order_type": order.order_type.value,
        "transaction_type": order.side.value,
        "quantity": order.quantity,
        "price": rupees(order.price_e4),
    }
