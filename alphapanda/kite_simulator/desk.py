"""The rules by which orders are taken and matched: the paper exchange's, for one account with several products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

import msgspec

from alphapanda.core.clock import ist_date
from alphapanda.core.money import ZERO
from alphapanda.core.vocabulary import Product, Side
from alphapanda.kite_simulator.ledger import Ledger
from alphapanda.kite_simulator.listing import Listing
from alphapanda.kite_simulator.rows import Funds
from execution.domain.orders import PaperOrder
from execution.domain.settings import CAPITAL_MAX, PaperSettings
from execution.domain.venue import Memory, Standing, Venue
from marketdata.domain.instruments import OPTION_TYPES, InstrumentSpec
from portfolio.domain.books import FLAT, Holding, net
from risk.domain.margins import Margins, available
from strategies.domain.signals import Mark


class Desk:
    """Venues and standings for the paper exchange's functions, and the account's funds."""

    def __init__(
        self, listing: Listing, ledger: Ledger, margins: Margins, *, cash: Decimal, settings: PaperSettings
    ) -> None:
        self.cash = cash
        self.memory = Memory()
        self._listing = listing
        self._ledger = ledger
        self._margins = margins
        self._settings = settings
        self._venues: dict[Decimal | None, Venue] = {}  # of the day, by protection
        self._day: tuple[date, Mapping[int, InstrumentSpec]] = (date.min, {})

    def instruments(self, at_ms: int) -> Mapping[int, InstrumentSpec]:
        """All instruments as the rules of the day of a time say."""
        day = ist_date(at_ms)
        if self._day[0] != day:
            self._day = (day, self._listing.on_day(day))
            self._venues.clear()
        return self._day[1]

    def venue(self, at_ms: int, protection: Decimal | None, *, capital: Decimal | None = None) -> Venue:
        """The rules at a time for an order with its protection; with capital, margin is asked for."""
        instruments = self.instruments(at_ms)
        if capital is None and protection in self._venues:
            return self._venues[protection]
        free = None if capital is None else min(max(capital, ZERO), Decimal(CAPITAL_MAX))
        settings = msgspec.structs.replace(self._settings, market_protection=protection, capital=free)
        venue = Venue(settings, instruments, self._listing.calendars, self._margins)
        if capital is None:
            self._venues[protection] = venue
        return venue

    def standing(self, product: Product, orders: Iterable[PaperOrder], marks: Mapping[int, Mark]) -> Standing:
        """Where the account stands in a product."""
        working = {order.id: order for order in orders if order.product is product}
        return Standing(working, self._ledger.holdings(product), self.memory, marks)

    def capital(
        self, product: Product, orders: list[PaperOrder], marks: Mapping[int, Mark], at_ms: int
    ) -> Decimal:
        """Rupees that are there for a product: what the others leave. Raises NoMarginRate."""
        free = self.cash + self._ledger.demat_cost
        for other in Product:
            if other is not product:
                free += self._gain(other, orders, marks, at_ms)
        return free

    def _gain(
        self, product: Product, orders: list[PaperOrder], marks: Mapping[int, Mark], at_ms: int
    ) -> Decimal:
        """What a product adds to free capital: its profit, less what its positions and orders block."""
        standing = self.standing(product, orders, marks)
        return available(
            capital=ZERO,
            holdings=standing.holdings,
            openings=standing.openings(),
            instruments=self.instruments(at_ms),
            product=product,
            margins=self._margins,
            day=ist_date(at_ms),
        )

    def funds(self, orders: list[PaperOrder], marks: Mapping[int, Mark], at_ms: int) -> Funds:
        """The account's rupees. Raises NoMarginRate."""
        realised = {product: self._realised(product) for product in Product}
        blocked = {
            product: realised[product] - self._gain(product, orders, marks, at_ms) for product in Product
        }
        premium = self._premium(at_ms)
        return Funds(
            opening=self.cash,
            premium=premium,
            span=blocked[Product.MIS] + blocked[Product.NRML] - premium,
            delivery=blocked[Product.CNC] - self._ledger.demat_cost,
            realised=sum(realised.values(), ZERO),
        )

    def _realised(self, product: Product) -> Decimal:
        return sum((net(holding) for holding in self._ledger.holdings(product).values()), ZERO)

    def _premium(self, at_ms: int) -> Decimal:
        """What bought options have cost."""
        instruments = self.instruments(at_ms)
        return sum(
            (
                holding.cost
                for product in (Product.MIS, Product.NRML)
                for token, holding in self._ledger.holdings(product).items()
                if instruments[token].instrument_type in OPTION_TYPES and holding.quantity > 0
            ),
            ZERO,
        )

    def unauthorised(self, order: PaperOrder, orders: Iterable[PaperOrder]) -> int:
        """Shares of a sale for delivery that are in the depository and not authorised yet; 0 for any other order."""
        shares = self._ledger.demat.get(order.token)
        if order.product is not Product.CNC or order.side is Side.BUY or shares is None:
            return 0
        working = sum(
            one.unfilled
            for one in orders
            if one.token == order.token and one.product is Product.CNC and one.side is Side.SELL
        )
        wanted = self._ledger.sold_today(order.token) + working + order.quantity
        return max(0, min(wanted, shares.quantity) - shares.authorised)

    def holding(self, token: int, product: Product) -> Holding:
        return self._ledger.holdings(product).get(token, FLAT)
