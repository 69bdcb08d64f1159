"""Made-up sessions in which a trend follower earns its keep: prices that rise and fall for an hour each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from alphapanda.core.vocabulary import Product
from alphapanda.deploying import Definition
from alphapanda.research.plan import Opened, Plan, opened
from marketdata.reference import load_calendar

KEY = "NSE:YESBANK"
HEADER = "timestamp,open,high,low,close,volume\n"
FIRST = date(2025, 7, 1)
MINUTES = 375
HOUR = 60


def up_and_down(minute: int) -> int:
    """Paise above 500 rupees: 20 rupees an hour, up and down in turn."""
    place = minute % (2 * HOUR)
    return 2_000 * min(place, 2 * HOUR - place) // HOUR


def waves(
    path: Path, *, days: int = 14, shape: Callable[[int], int] = up_and_down, volume: int = 10_000
) -> str:
    """A file of one-minute bars; each bar opens where the last one closed."""
    lines, minute = [HEADER], 0
    for day in sessions(days):
        for of_day in range(MINUTES):
            open_, close = shape(minute), shape(minute + 1)
            prices = (open_, max(open_, close), min(open_, close), close)
            stamp = f"{day}T{9 + (15 + of_day) // 60:02d}:{(15 + of_day) % 60:02d}:00+05:30"
            lines.append(f"{stamp},{','.join(f'{500 + price / 100:.2f}' for price in prices)},{volume}\n")
            minute += 1
    path.write_text("".join(lines))
    return f"{path}={KEY}"


def sessions(days: int) -> list[date]:
    calendar, found, day = load_calendar("NSE"), list[date](), FIRST
    while len(found) < days:
        if calendar.is_trading_day(day):
            found.append(day)
        day += timedelta(days=1)
    return found


def a_definition(strategy: str = "ema_cross", name: str = "wave", **facts: Any) -> Definition:
    """Long only, and delivered: what is held overnight."""
    params = {"quantity": 200, "short": False}
    values = {"params": params, "instruments": (KEY,), "product": Product.CNC} | facts
    return Definition(name=name, strategy=strategy, **values)


def a_plan(file: str, *definitions: Definition, **facts: Any) -> Plan:
    return Plan(files=(file,), definitions=definitions or (a_definition(),), **facts)


def read(file: str, *definitions: Definition, **facts: Any) -> Opened:
    return opened(a_plan(file, *definitions, **facts))
