"""What a deployment's orders came to, as its machine may know it: execution writes it, the next step reads it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import msgspec

from alphapanda.core.money import to_rupees
from alphapanda.core.vocabulary import OrderStatus, OrderType, Product, Side, Validity
from strategies.domain.watches import Watch


class Working(msgspec.Struct, frozen=True, gc=False):
    """Unfilled units of working orders of one instrument, by side."""

    buy: int = 0
    sell: int = 0


class WorkingOrder(msgspec.Struct, frozen=True):
    """An order that works, as its strategy may see it. `quantity` is the total, `unfilled` what has not traded."""

    id: UUID
    token: int
    instrument: str
    side: Side
    quantity: int
    unfilled: int
    order_type: OrderType
    product: Product
    validity: Validity
    validity_minutes: int
    limit_price_e4: int | None
    trigger_price_e4: int | None
    disclosed_quantity: int
    status: OrderStatus
    tag: str
    placed_at_ms: int = 0

    @property
    def limit_price(self) -> Decimal | None:
        """Rupees; of a protected market order the price beyond which it does not go."""
        return None if self.limit_price_e4 is None else to_rupees(self.limit_price_e4)

    @property
    def trigger_price(self) -> Decimal | None:
        """Rupees."""
        return None if self.trigger_price_e4 is None else to_rupees(self.trigger_price_e4)


class SettledFill(msgspec.Struct, frozen=True):
    """A trade of one of the deployment's orders; the price in 1/10,000 rupee."""

    order_id: UUID
    token: int
    side: Side
    quantity: int
    price_e4: int
    at_ms: int

    @property
    def price(self) -> Decimal:
        """Rupees."""
        return to_rupees(self.price_e4)


Named = TypeVar("Named", Watch, SettledFill, WorkingOrder)


class Consequences(msgspec.Struct, frozen=True):
    """What a deployment's orders and books came to, by instrument token: units held (signed), working orders
    by side and one by one, and what wakes execution.

    `matched_step` is the step whose item has been matched against the working orders, `fills` what came of it."""

    positions: dict[int, int] = {}
    working: dict[int, Working] = {}
    watches: tuple[Watch, ...] = ()
    matched_step: int = 0
    fills: tuple[SettledFill, ...] = ()
    orders: tuple[WorkingOrder, ...] = ()
    is_laddered: bool = False  # losses are looked at once a minute
    rung: int = 0  # of the loss ladder: from 2 on entries are cancelled, from 3 on positions closed
    names: Mapping[int, str] = {}  # whose tokens these were when this was written

    def under(self, tokens: Mapping[str, int]) -> Consequences:
        """The same by the tokens that instruments have now, for lists give them others."""
        now = {token: tokens.get(name, token) for token, name in self.names.items()}
        if all(token == moved for token, moved in now.items()):
            return self
        return Consequences(
            positions={now.get(token, token): held for token, held in self.positions.items()},
            working={now.get(token, token): one for token, one in self.working.items()},
            watches=tuple(_of_token(watch, now) for watch in self.watches),
            matched_step=self.matched_step,
            fills=tuple(_of_token(fill, now) for fill in self.fills),
            orders=tuple(_of_token(order, now) for order in self.orders),
            is_laddered=self.is_laddered,
            rung=self.rung,
            names={now[token]: name for token, name in self.names.items()},
        )


def _of_token(one: Named, now: Mapping[int, int]) -> Named:
    return msgspec.structs.replace(one, token=now.get(one.token, one.token))
