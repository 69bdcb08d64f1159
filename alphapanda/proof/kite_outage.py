"""`manage.py kite_faults --outage`: no update comes for a minute in which much trades; soon after they come back the
books are right."""

from __future__ import annotations

import random

import msgspec
from django.db import transaction

from alphapanda.kite_simulator.listing import load_listing
from alphapanda.proof.kite_compared import Comparison
from alphapanda.proof.kite_parts import PRICE_E4, simulator
from alphapanda.proof.kite_served import serving
from alphapanda.proof.kite_world import World

RIGHT_WITHIN_MS = 10_000
ORDERS, LEVELS = 10, 5  # one unit at each of so many prices, so that an order trades in many parts


class Outage(msgspec.Struct, frozen=True):
    """`right_ms`: from the return of updates to books that equal the broker's; -1: they never did."""

    fills: int
    wanted: int
    right_ms: int
    wrong: list[str]

    @property
    def is_good(self) -> bool:
        return self.fills >= self.wanted and 0 <= self.right_ms <= RIGHT_WITHIN_MS


def run(seed: int, *, fills: int, cut_ms: int) -> Outage:
    """Orders that trade in so many parts while no update is heard; the database is afterwards as it was before."""
    chance = random.Random(f"kite outage {seed}")
    broker = simulator(load_listing(), chance, size=1, levels=LEVELS)
    with serving(broker) as served, transaction.atomic():
        try:
            with World(served, chance) as world:
                return _cut(world, fills, cut_ms)
        finally:
            transaction.set_rollback(True)


def _cut(world: World, fills: int, cut_ms: int) -> Outage:
    world.work(until=lambda: world.reconciled_at() is not None, ends_ms=60_000)
    for number in range(ORDERS):
        side, up = ("BUY", 400_000) if number % 2 else ("SELL", -400_000)
        price_e4 = PRICE_E4 + up
        world.want(side=side, quantity=fills, order_type="LIMIT", limit_price_e4=price_e4)
    world.work(until_ms=world.broker.clock.now_ms() + 3_000)
    before = _traded(world)
    world.is_pushed = False
    world.work(until_ms=world.broker.clock.now_ms() + cut_ms)
    world.broker.market.close()
    world.is_pushed = True
    world.desk.look_soon()
    back_ms = world.broker.clock.now_ms()
    is_right = world.work(until=lambda: not _wrong(world), ends_ms=2 * RIGHT_WITHIN_MS)
    right_ms = world.broker.clock.now_ms() - back_ms if is_right else -1
    return Outage(_traded(world) - before, fills, right_ms, _wrong(world))


def _traded(world: World) -> int:
    return sum(len(order.trades) for order in world.broker.book.orders.values())


def _wrong(world: World) -> list[str]:
    return list(Comparison(world).wrong())
