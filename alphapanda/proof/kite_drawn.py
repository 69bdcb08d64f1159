"""What `manage.py kite_faults` plays: acts, faults and deaths of a scenario, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from alphapanda.kite_simulator.faults import AFTER_ACCEPT, OF_UPDATES, REFUSALS, Fault, Kind
from alphapanda.proof.kite_parts import PRICE_E4, TICK_E4
from execution.services.live.desk import BUSY_MS, IDLE_MS

DEATHS = (
    "execution.call.before_claim",
    "execution.call.after_claim",
    "execution.call.before_send",
    "execution.call.after_send",
    "execution.call.before_record",
    "execution.call.after_record",
)
CALL_KINDS = (*AFTER_ACCEPT, Kind.GARBAGE, Kind.LATE, Kind.STUCK, *REFUSALS)
WRITES = ("place", "modify", "cancel")
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"order_type": "MARKET"},
    {"order_type": "LIMIT"},
    {"validity": "IOC"},
)
STEPS = ("PAUSE", "CANCEL", "CANCEL", "FLATTEN")  # of a kill switch
LEVELS = ("GLOBAL", "BROKER", "DEPLOYMENT")
SKEWS_MS = (-90_000, 90_000)


class Act(msgspec.Struct, frozen=True):
    """Something that happens `at_ms` after the start: an order, an act on one of those before (`order`), a change of
    the newest that works, the kill switch and its end, what is held closed by a person, an exit beside the cancellation
    of one that rests, an order of another app, the end of the session, a new login."""

    at_ms: int
    kind: str
    order: int = 0
    fields: dict[str, Any] = {}


class Scenario(msgspec.Struct, frozen=True):
    number: int
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]
    deaths: tuple[tuple[str, int], ...]
    is_pushed: bool
    looks_ms: int  # between looks at the broker's book while something is in flight
    skew_ms: int = 0  # of the times that the broker states

    def told(self) -> str:
        """In words, so that a failure can be understood."""
        acts = ", ".join(f"{one.at_ms} ms {one.kind} {one.order} {one.fields}" for one in self.acts)
        faults = ", ".join(f"{one.kind} x{one.times} on {','.join(one.on) or 'all'}" for one in self.faults)
        deaths = ", ".join(f"{place} at {passing}" for place, passing in self.deaths)
        how = f"pushed: {self.is_pushed}; looks: {self.looks_ms} ms; skew: {self.skew_ms} ms"
        return f"acts: {acts}; faults: {faults}; deaths: {deaths}; {how}"


def scenario(seed: int, number: int) -> Scenario:
    """The same for the same seed and number."""
    chance = random.Random(f"kite faults {seed} {number}")
    leaves = chance.random() < 0.15
    acts = list(_leaving(chance)) if leaves else [_order(chance) for _ in range(chance.randint(1, 3))]
    acts += [_act(chance, len(acts)) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
    acts += _happenings(chance)
    faults = tuple(_fault(chance) for _ in range(chance.randint(1, 4)))
    if leaves and chance.random() < 0.7:  # an exchange takes its time
        faults += (Fault(kind=Kind.LATE, times=2, on=["cancel"], ms=(200, 6_000)),)
    deaths = tuple(
        (chance.choice(DEATHS), chance.randint(1, 3)) for _ in range(chance.choice((0, 0, 1, 1, 2)))
    )
    more = random.Random(f"kite faults, more {seed} {number}")  # so that what is drawn above stays as it was
    is_alone = "other" not in {
        act.kind for act in acts
    }  # what others closed, no exit closes until a person comes
    acts = [_widened(more, one, STEPS if is_alone else STEPS[:2]) for one in acts]
    acts += _changing(more) if more.random() < 0.2 else ()
    acts += _released(more, acts)
    acts += _by_people(more) if more.random() < 0.15 and is_alone else ()
    return Scenario(
        number,
        tuple(sorted(acts, key=lambda one: one.at_ms)),
        faults,
        deaths,
        is_pushed=chance.random() < 0.8,
        looks_ms=BUSY_MS if chance.random() < 0.15 else IDLE_MS,
        skew_ms=chance.choice((0, 0, 0, *SKEWS_MS)),
    )


def _order(chance: random.Random) -> Act:
    side, quantity = chance.choice(("BUY", "SELL")), chance.randint(1, 50)
    fields: dict[str, Any] = {"side": side, "quantity": quantity}
    kind = chance.choice(("MARKET", "MARKET", "LIMIT", "LIMIT", "SL", "ICEBERG"))
    away = TICK_E4 * chance.choice((2, 2, -4, -200)) * (1 if side == "BUY" else -1)
    if kind in ("LIMIT", "ICEBERG"):
        fields |= {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 + away}
    if kind == "ICEBERG":
        fields |= {"variety": "iceberg", "iceberg_legs": 2, "quantity": 2 * max(quantity, 400)}
    if kind == "SL":
        up = TICK_E4 * chance.choice((3, 300)) * (1 if side == "BUY" else -1)
        fields |= {
            "order_type": "SL",
            "trigger_price_e4": PRICE_E4 + up,
            "limit_price_e4": PRICE_E4 + 3 * up,
        }
    return Act(chance.randint(0, 6_000), "order", fields=fields)


def _act(chance: random.Random, orders: int) -> Act:
    kind = chance.choice(("cancel", "modify"))
    up = TICK_E4 * chance.randint(-6, 6)
    return Act(chance.randint(500, 20_000), kind, chance.randrange(orders), {"limit_price_e4": PRICE_E4 + up})


def _happenings(chance: random.Random) -> Iterator[Act]:
    if chance.random() < 0.12:
        yield Act(chance.randint(500, 15_000), "kill")
    if chance.random() < 0.2:
        fields = {"side": chance.choice(("BUY", "SELL")), "quantity": chance.randint(1, 30)}
        yield Act(chance.randint(0, 10_000), "other", fields=fields)
    if chance.random() < 0.12:
        at_ms = chance.randint(500, 10_000)
        yield Act(at_ms, "logged out")
        yield Act(at_ms + chance.randint(100, 30_000), "login")
    if chance.random() < 0.05:
        yield Act(chance.randint(500, 10_000), "login")


def _leaving(chance: random.Random) -> Iterator[Act]:
    """A position with an exit that rests far away, which is cancelled beside one that does not."""
    side, away = chance.choice((("SELL", 1), ("BUY", -1)))
    quantity, at_ms = chance.randint(1, 50), chance.randint(0, 2_000)
    price = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 + 200 * TICK_E4 * away}
    yield Act(at_ms, "order", fields={"side": "BUY" if side == "SELL" else "SELL", "quantity": quantity})
    at_ms += chance.randint(1_000, 4_000)
    yield Act(at_ms, "order", fields={"side": side, "quantity": quantity, **price})
    yield Act(at_ms + chance.randint(1_000, 9_000), "leave", fields={"side": side})


def _widened(chance: random.Random, act: Act, steps: Sequence[str]) -> Act:
    """The act, now and then of another type, validity or reach."""
    kind = act.fields.get("order_type", "MARKET") if "variety" not in act.fields else "ICEBERG"
    draw = chance.random()
    fields: dict[str, Any] = {}
    if act.kind == "order" and kind == "SL" and draw < 0.4:
        fields = {"order_type": "SL-M", "limit_price_e4": None}
    elif act.kind == "order" and kind in ("LIMIT", "MARKET") and draw < 0.2:
        fields = chance.choice(({"validity": "IOC"}, {"validity": "TTL", "validity_minutes": 1}))
    elif act.kind == "order" and kind == "LIMIT" and draw < 0.3:
        fields = {"disclosed_quantity": act.fields["quantity"] // 2 + 1}
    elif act.kind == "kill" and draw < 0.7:
        fields = {
            "level": chance.choice(LEVELS),
            "step": chance.choice(steps),
        }
    return msgspec.structs.replace(act, fields=act.fields | fields)


def _changing(chance: random.Random) -> Iterator[Act]:
    """An order that rests, and is changed in price, quantity, type or validity, up to three times."""
    side, at_ms = chance.choice(("BUY", "SELL")), chance.randint(0, 4_000)
    away = TICK_E4 * (1 if side == "BUY" else -1)
    rests = {"order_type": "LIMIT", "limit_price_e4": PRICE_E4 - 200 * away}
    waits = {
        "order_type": "SL",
        "trigger_price_e4": PRICE_E4 + 300 * away,
        "limit_price_e4": PRICE_E4 + 400 * away,
    }
    fields = chance.choice((rests, rests, waits)) | {"side": side, "quantity": chance.randint(1, 50)}
    yield Act(at_ms, "order", fields=fields)
    for _ in range(chance.randint(1, 3)):
        at_ms += chance.randint(200, 12_000)
        price_e4 = PRICE_E4 + away * chance.choice((-200, -100, -4, 2))
        more = {"more": chance.choice((0, 0, *range(-25, 26))), "limit_price_e4": price_e4}
        yield Act(at_ms, "change", fields=more | chance.choice(CHANGES))


def _released(chance: random.Random, acts: Sequence[Act]) -> Iterator[Act]:
    """The end of a kill switch, and an order after it."""
    kills = [act.at_ms for act in acts if act.kind == "kill"]
    if kills and chance.random() < 0.5:
        at_ms = max(kills) + chance.randint(100, 20_000)
        yield Act(at_ms, "release")
        yield msgspec.structs.replace(_order(chance), at_ms=at_ms + chance.randint(0, 3_000))


def _by_people(chance: random.Random) -> Iterator[Act]:
    """Somebody closes the position of the instrument, or all of the deployment, which is paused then."""
    yield Act(chance.randint(2_000, 20_000), chance.choice(("exit", "exit", "flatten")))


def _fault(chance: random.Random) -> Fault:
    if chance.random() < 0.3:
        return Fault(
            kind=chance.choice(OF_UPDATES), times=chance.randint(1, 4), share=chance.choice((0.5, 1))
        )
    kind = chance.choice(CALL_KINDS)
    on = [] if kind in (Kind.LATE, Kind.STUCK) else [chance.choice((*WRITES, "place", "place", "get"))]
    if kind in AFTER_ACCEPT and on == ["get"]:
        on = ["place"]
    return Fault(kind=kind, times=chance.randint(1, 3), share=chance.choice((0.5, 1)), on=on)
