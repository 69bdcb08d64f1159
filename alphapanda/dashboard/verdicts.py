"""Every rule of risk beside a decision: which were asked, which objected, and the figures that were kept of what they
saw."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from alphapanda.core.clock import ist_text
from alphapanda.web import formats
from risk.domain.review import ASKED, CANCEL, EXIT, WITHIN
from risk.domain.wording import unit_of
from risk.models import Decision
from strategies.domain.signals import SignalRow

# The figure of a decision that a limit bounds.
FIGURES = {
    "position_quantity": "worst_position",
    "order_value": "order_value",
    "price_age_ms": "price_age_ms",
    "gross_exposure": "gross_exposure",
    "net_exposure": "net_exposure",
    "underlying_exposure": "underlying_exposure",
    "margin": "margin",
    "daily_loss": "day_pnl",
    "drawdown": "drawdown",
    "orders_per_second": "orders_last_second",
    "orders_per_minute": "orders_last_minute",
    "daily_orders": "orders_today",
}
# Limits that rules look at which are asked without any, too.
MORE_LIMITS = {
    "stale_price": ("price_age_ms",),
    "order_quantity": ("order_quantity",),
    "product_allowed": ("products",),
    "expiry_day": ("expiry_until",),
    "repeated_entries": ("repeated_ms",),
    "order_rate": ("exit_lane",),
}
# Of which limits an entry uses something up.
USED_UP = (
    "gross_exposure",
    "net_exposure",
    "underlying_exposure",
    "margin",
    "position_quantity",
    "order_value",
    "order_quantity",
)
OWN = "own"
UNKEPT = None
TIGHT_PERCENT, SPENT_PERCENT = 75, 100


class Seen(NamedTuple):
    """A figure that a rule saw: of which level, bounded by what, and the figure; None: it is not kept."""

    level: str
    limit: str
    bound: Any
    figure: Any

    @property
    def unit(self) -> str:
        return unit_of(self.limit)


class Asked(NamedTuple):
    """A rule beside a decision. `outcome`: passed, objected, not asked, or no limit."""

    rule: str
    words: str
    outcome: str
    seen: list[Seen]


def limits_then(numbers: dict[str, Any], signal: SignalRow) -> list[dict[str, Any]]:
    """The limits that an entry uses up, with what would be used once it is in, the tightest first. `percent`: None
    where the figure is not known."""
    found = [_then(one) for one in _bounds(numbers, dict.fromkeys(USED_UP), signal)]
    return sorted(found, key=_tightness, reverse=True)


def _tightness(one: dict[str, Any]) -> tuple[bool, float]:
    """What may not be used at all, and is, before what is used beyond its limit."""
    percent = -1.0 if one["percent"] is None else one["percent"]
    return not Decimal(one["bound"]) and percent > 0, percent


def _then(one: Seen) -> dict[str, Any]:
    bound, used = Decimal(str(one.bound)), None if one.figure is None else abs(Decimal(str(one.figure)))
    percent = None if used is None else _share(used, bound)
    return {
        "limit": one.limit,
        "level": "" if one.level == OWN else one.level,
        "unit": one.unit,
        "bound": str(bound),
        "used": None if used is None else str(used),
        "percent": percent,
        "state": state_of(percent),
    }


def _share(used: Decimal, bound: Decimal) -> float:
    """In percent; of nothing, all of it is used by whatever is."""
    if not bound:
        return 100.0 if used else 0.0
    return float(round(used / bound * 100, 1))


def state_of(percent: float | None) -> str:
    """How a limit stands of which so much is used: ok, warn, fail."""
    return "fail" if (percent or 0) >= SPENT_PERCENT else "warn" if (percent or 0) >= TIGHT_PERCENT else "ok"


def rules_of(decision: Decision, signal: SignalRow) -> list[Asked]:
    """All rules in the order in which they are asked."""
    names = [rule.__name__ for rule, _ in ASKED]
    place = names.index(decision.rule) if decision.rule in names else None
    found = []
    for number, (rule, limits) in enumerate(ASKED):
        name = rule.__name__
        wanted = dict.fromkeys((*limits, *MORE_LIMITS.get(name, ())))
        bounds = list(_bounds(decision.numbers, wanted, signal))
        outcome = _outcome(decision.rule, number, place, is_idle=bool(limits) and not bounds)
        if outcome != "no limit":
            bounds = [*_facts(name, decision.numbers, signal), *_of_guards(name, decision, signal), *bounds]
        words = (rule.__doc__ or "").strip().partition(".")[0]
        found.append(Asked(name, " ".join(words.split()), outcome, bounds))
    return found


def _outcome(decided: str, number: int, place: int | None, *, is_idle: bool) -> str:
    if decided in (EXIT, CANCEL):
        return "not asked"
    if is_idle:
        return "no limit"
    if place is None:
        return "passed" if decided == WITHIN else "unknown"
    return "passed" if number < place else "objected" if number == place else "not asked"


def _bounds(numbers: dict[str, Any], wanted: dict[str, None], signal: SignalRow) -> Iterator[Seen]:
    """The limits that a rule looks at, at each level that sets one, with the figure that it bounds."""
    for level, found in ((OWN, numbers), *numbers.get("sums", {}).items()):
        limits = found.get("limits") or {}
        for name in wanted:
            if name in limits:
                figure = (
                    signal.quantity if name == "order_quantity" else found.get(FIGURES.get(name, ""), UNKEPT)
                )
                yield Seen(level, name, limits[name], figure)


def _facts(rule: str, numbers: dict[str, Any], signal: SignalRow) -> Iterator[Seen]:
    """What a rule looks at besides limits, as far as decision and signal keep it."""
    mark = signal.marks.get(signal.token)
    price, before = (mark.price_e4, mark.before_e4) if mark else (None, None)
    match rule:
        case "kill_switch":
            yield _fact("halts", ", ".join(numbers.get("halts", [])) or "none")
        case "deployment_status":
            yield _fact("status", numbers.get("status"))
        case "session_phase":
            yield _fact("phase", numbers.get("phase"))
        case "restricted_instrument":
            yield _fact("instrument", signal.instrument)
        case "product_allowed":
            yield _fact("product", signal.product.value)
        case "tradable":
            yield _fact("quantity", signal.quantity)
        case "entry_hours" | "expiry_day":
            yield _fact("time", ist_text(signal.at_ms))
        case "stale_price" if mark is None or "price_age_ms" not in (numbers.get("limits") or {}):
            yield _fact("price_age_ms", numbers.get("price_age_ms"))
        case "price_jump":
            yield _fact("price", f"{formats.price(before or None)} to {formats.price(price)}")
        case "price_collar" | "circuit_limit":
            yield _fact("price", _market(signal))
        case "order_quantity" if "order_quantity" not in (numbers.get("limits") or {}):
            yield _fact("quantity", signal.quantity)


def _of_guards(rule: str, decision: Decision, signal: SignalRow) -> Iterator[Seen]:
    """What a guard saw besides the numbers; decisions of before it was kept have dashes."""
    seen = decision.guards.get(rule, {})
    match rule:
        case "start_of_day":
            yield _fact("checks of the day", _checks(seen))
        case "unacknowledged_alert":
            yield _fact("oldest critical alert", _waited(seen))
        case "repeated_entries":
            limit = (decision.numbers.get("limits") or {}).get("repeated_entries")
            yield Seen("", "entries in the window", limit, seen.get("entries"))
        case "approval":
            yield _fact("asks a person", _asks(seen, signal))


def _checks(seen: dict[str, Any]) -> str | None:
    if not seen:
        return UNKEPT
    if not seen["is_required"]:
        return "not asked for by the settings"
    return "passed" if seen["is_passed"] else "not passed"


def _waited(seen: dict[str, Any]) -> str | None:
    if not seen:
        return UNKEPT
    if not seen["minutes"]:
        return "not asked for by the settings"
    waits = f"waits for {formats.age(seen['waited_s'])}" if "alert" in seen else "none waits"
    return f"{waits}, {seen['minutes']} min at most"


def _asks(seen: dict[str, Any], signal: SignalRow) -> str | None:
    if signal.approves is not None:
        return "one has approved it"
    if not seen:
        return UNKEPT
    return f"for {formats.age(seen['wait_s'])}" if seen["wait_s"] else "no"


def _fact(name: str, figure: Any) -> Seen:
    return Seen("", name, UNKEPT, figure)


def _market(signal: SignalRow) -> str:
    """At what the order would trade, and where the market was."""
    mark = signal.marks.get(signal.token)
    stated = signal.limit_price_e4 or signal.trigger_price_e4
    wants = f"{formats.price(stated)}" if stated else "at the market"
    if mark is None:
        return wants
    around = f"{formats.price(mark.bid_e4 or None)} / {formats.price(mark.ask_e4 or None)}"
    return f"{wants}; last {formats.price(mark.price_e4)}, bid and offer {around}"
