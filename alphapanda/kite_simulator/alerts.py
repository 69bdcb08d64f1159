"""Alerts on prices: simple ones, and those that place orders (ATO)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alphapanda.core import ids
from alphapanda.kite_simulator import parsing, quotes
from alphapanda.kite_simulator.book import Book
from alphapanda.kite_simulator.clock import SimClock
from alphapanda.kite_simulator.errors import GENERAL, KiteError, bad_input
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.market import Market
from alphapanda.kite_simulator.orders import Row
from alphapanda.kite_simulator.sessions import Account
from alphapanda.kite_simulator.wire import parsed, rupees
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import Tick

ACTIVE_MAX = 500
ATTRIBUTE = "LastTradedPrice"  # the one that the simulator knows
INDICES = "INDICES"  # under which alerts name indices
OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(slots=True)
class Alert:
    """A comparison of a last price with a price or another last price. It fires when it becomes true."""

    uuid: str
    kind: str
    name: str
    left: InstrumentSpec
    sign: str
    constant_e4: int
    right: InstrumentSpec | None
    basket: Row | None
    fields: Mapping[str, str]
    created_ms: int
    updated_ms: int
    status: str = "enabled"
    reason: str = ""
    was_true: bool = False
    history: list[Row] = field(default_factory=list)


class Alerts:
    """All alerts of the account."""

    def __init__(
        self, account: Account, book: Book, market: Market, clock: SimClock, listing: Listing
    ) -> None:
        self.all: dict[str, Alert] = {}
        self._account = account
        self._book = book
        self._market = market
        self._clock = clock
        self._listing = listing

    def create(self, fields: Mapping[str, str], at_ms: int) -> Row:
        """Raises KiteError."""
        if sum(one.status == "enabled" for one in self.all.values()) >= ACTIVE_MAX:
            raise bad_input(f"Maximum of {ACTIVE_MAX} active alerts reached.")
        one = self._read(fields, str(ids.derived("kite alert", at_ms, len(self.all))), at_ms)
        self.all[one.uuid] = one
        return self.row(one)

    def modify(self, uuid: str, fields: Mapping[str, str], at_ms: int) -> Row:
        """Raises KiteError."""
        before = self.find(uuid)
        one = self.all[uuid] = self._read(fields, uuid, at_ms)
        one.created_ms, one.history = before.created_ms, before.history
        return self.row(one)

    def delete(self, uuids: Iterable[str], at_ms: int) -> None:
        """Raises KiteError."""
        for one in [self.find(uuid) for uuid in uuids]:
            one.status, one.updated_ms = "deleted", at_ms

    def find(self, uuid: str) -> Alert:
        one = self.all.get(uuid)
        if one is None or one.status == "deleted":
            raise KiteError(GENERAL, "Alert not found.", http=404)
        return one

    def rows(self) -> list[Row]:
        return [self.row(one) for one in self.all.values() if one.status != "deleted"]

    def on_ticks(self, ticks: Iterable[Tick], at_ms: int) -> None:
        """Fire what the last prices make true that was not true before."""
        enabled = [one for one in self.all.values() if one.status == "enabled"]
        tokens = {tick.token for tick in ticks} if enabled else set()
        for one in enabled:
            if tokens & {one.left.token, one.right.token if one.right else 0}:
                is_true = self._is_true(one)
                if is_true and not one.was_true:
                    self._fire(one, at_ms)
                one.was_true = is_true

    def _is_true(self, one: Alert) -> bool:
        left = self._market.last(one.left.token)
        right = self._market.last(one.right.token) if one.right else None
        if left is None or (one.right and right is None):
            return False
        return OPERATORS[one.sign](left.price_e4, right.price_e4 if right else one.constant_e4)

    def _fire(self, one: Alert, at_ms: int) -> None:
        orders = [self._order(item, at_ms) for item in (one.basket or {}).get("items", ())]
        tick = self._market.last(one.left.token)
        assert tick is not None, "it was compared"
        quote = quotes.quote(tick, self._market, self._listing, self._clock, None)
        named = {"exchange": one.left.exchange, "tradingsymbol": one.left.tradingsymbol}
        one.history.append(
            {
                "uuid": one.uuid,
                "type": one.kind,
                "meta": [quote | named | {"volume_tick": 0}],
                "condition": _condition(one),
                "created_at": self._clock.text(at_ms),
                "order_meta": orders or None,
            }
        )
        one.updated_ms = at_ms
        if one.kind == "ato":
            one.status, one.reason = "disabled", "triggered"

    def _order(self, item: Row, at_ms: int) -> Row:
        """What placing one order of a basket comes to."""
        try:
            wanted = _wanted(item, self._listing)
            placed = self._book.place(wanted, app=self._account.api_key, at_ms=at_ms)
        except KiteError as error:
            return {"status": "failed", "order_id": "", "rejection_reason": error.message}
        return {"status": "success", "order_id": placed.order_id, "rejection_reason": ""}

    def _read(self, fields: Mapping[str, str], uuid: str, at_ms: int) -> Alert:
        kind, sign, against = (fields.get(name, "") for name in ("type", "operator", "rhs_type"))
        if (
            kind not in ("simple", "ato")
            or sign not in OPERATORS
            or against not in ("constant", "instrument")
        ):
            raise bad_input("Invalid `type`, `operator` or `rhs_type`.")
        is_constant = against == "constant"
        sides = ["lhs"] if is_constant else ["lhs", "rhs"]
        if any(fields.get(f"{side}_attribute") != ATTRIBUTE for side in sides):
            raise bad_input(f"Invalid attribute; the simulator knows {ATTRIBUTE}.")
        specs = [self._named(side, fields) for side in sides]
        return Alert(
            uuid=uuid,
            kind=kind,
            name=parsing.needed("name", fields),
            left=specs[0],
            sign=sign,
            constant_e4=(parsing.price_e4("rhs_constant", fields) or 0) if is_constant else 0,
            right=None if is_constant else specs[1],
            basket=self._basket(fields) if kind == "ato" else None,
            fields=dict(fields),
            created_ms=at_ms,
            updated_ms=at_ms,
        )

    def _named(self, side: str, fields: Mapping[str, str]) -> InstrumentSpec:
        exchange = parsing.needed(f"{side}_exchange", fields)
        names = {
            "exchange": "NSE" if exchange == INDICES else exchange,
            "tradingsymbol": parsing.needed(f"{side}_tradingsymbol", fields),
        }
        return parsing.instrument(names, self._listing.by_key)

    def _basket(self, fields: Mapping[str, str]) -> Row:
        basket = parsed(fields.get("basket", ""))
        if not isinstance(basket, dict) or not isinstance(basket.get("items"), list) or not basket["items"]:
            raise bad_input("Invalid `basket`: an object with `items` is expected.")
        for item in basket["items"]:
            _wanted(item, self._listing)
        return basket

    def row(self, one: Alert) -> Row:
        given = one.fields.get
        found = {
            "type": one.kind,
            "user_id": self._account.user_id,
            "uuid": one.uuid,
            "name": one.name,
            "status": one.status,
            "disabled_reason": one.reason,
            "lhs_attribute": ATTRIBUTE,
            "lhs_exchange": given("lhs_exchange", ""),
            "lhs_tradingsymbol": given("lhs_tradingsymbol", ""),
            "operator": one.sign,
            "rhs_type": given("rhs_type", ""),
            "rhs_attribute": given("rhs_attribute", ""),
            "rhs_exchange": given("rhs_exchange", ""),
            "rhs_tradingsymbol": given("rhs_tradingsymbol", ""),
            "rhs_constant": rupees(one.constant_e4),
            "alert_count": len(one.history),
            "created_at": self._clock.text(one.created_ms),
            "updated_at": self._clock.text(one.updated_ms),
        }
        return found | ({"basket": one.basket} if one.basket else {})


def _wanted(item: Any, listing: Listing) -> parsing.Wanted:
    """The order of an item of a basket. Raises KiteError."""
    if not isinstance(item, dict) or not isinstance(item.get("params"), dict):
        raise bad_input("Invalid `basket`: an item has `exchange`, `tradingsymbol` and `params`.")
    named = {name: item.get(name) for name in ("exchange", "tradingsymbol")}
    fields = {name: str(value) for name, value in (item["params"] | named).items() if value is not None}
    return parsing.wanted(fields.pop("variety", "regular"), fields, listing.by_key)


def _condition(one: Alert) -> str:
    right = one.right.key if one.right else str(rupees(one.constant_e4))
    return f'{ATTRIBUTE}("{one.left.key}") {one.sign} {right}'
