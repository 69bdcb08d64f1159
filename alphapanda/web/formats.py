"""How numbers, amounts and times are written, for people (Indian grouping, signs on profits, times in IST, ages in
words) and for programs (decimal text, ISO 8601)."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import format_compact_currency, format_currency, format_decimal

from alphapanda.core.clock import IST, ist_text, to_datetime
from alphapanda.core.money import to_rupees

LOCALE = "en_IN"
UNKNOWN = "–"  # noqa: RUF001 (an unknown number is a dash, never 0)
LAKH = Decimal(1_00_000)
COMPACT_FROM = Decimal(1_00_00_000)  # a crore: below it the full figure fits into a tile
READ_PLACES = 4
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400

Amount = Decimal | int | str | None


def _decimal(amount: Amount) -> Decimal | None:
    if amount is None or amount == "":
        return None
    try:
        return Decimal(amount)
    except InvalidOperation:
        return None


def rupees(amount: Amount) -> str:
    """An amount in full: ₹12,34,567.50; a dash where it is not known."""
    value = _decimal(amount)
    return UNKNOWN if value is None else format_currency(value, "INR", locale=LOCALE)


def rupees_exact(amount: Amount) -> str:
    """As `rupees`, with up to four places where the amount has them: ₹83.2575."""
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    return format_currency(value, "INR", format="¤#,##,##0.00##", locale=LOCALE, currency_digits=False)


def rupees_signed(amount: Amount) -> str:
    """A profit or loss, always with its sign but for nought: +₹1,200.00, -₹35.10, ₹0.00."""
    value = _decimal(amount)
    text = rupees(value)
    return f"+{text}" if value is not None and text.strip("₹0.,-") and value > 0 else text


def rupees_compact(amount: Amount) -> str:
    """An amount for a tile: in full below a crore, else ₹1.23Cr."""
    value = _decimal(amount)
    if value is None or abs(value) < COMPACT_FROM:
        return rupees(value)
    return format_compact_currency(value, "INR", locale=LOCALE, fraction_digits=2)


def rupees_short(amount: Amount) -> str:
    """A profit or loss for a narrow cell, without its currency: +1,250, -35, +3.40L, -1.23Cr."""
    value = _decimal(amount)
    if value is None:
        return UNKNOWN
    for unit, name in ((COMPACT_FROM, "Cr"), (LAKH, "L")):
        if abs(value) >= unit:
            return f"{value / unit:+.2f}{name}"
    whole = value.to_integral_value()
    text = format_decimal(whole, locale=LOCALE) if whole else "0"
    return f"+{text}" if whole > 0 else text


def price(price_e4: int | None) -> str:
    """A price with two places, with four where it needs them."""
    if price_e4 is None:
        return UNKNOWN
    pattern = "#,##,##0.00" if price_e4 % 100 == 0 else "#,##,##0.0000"
    return format_decimal(to_rupees(price_e4), format=pattern, locale=LOCALE)


def number(value: Amount) -> str:
    """A whole number in Indian grouping."""
    known = _decimal(value)
    return UNKNOWN if known is None else format_decimal(known.to_integral_value(), locale=LOCALE)


def exact(value: float | None) -> str:
    """A figure of a statistic in full: the shortest decimal text that is this very number."""
    return UNKNOWN if value is None else f"{Decimal(repr(value)):f}"


def reading(value: float | None) -> str:
    """A figure of a statistic to look at: four places, or four digits where it is less than one; `exact` tells all."""
    known = None if value is None else Decimal(repr(value))
    if known is None or not known.is_finite():
        return UNKNOWN
    places = max(READ_PLACES, READ_PLACES - 1 - known.adjusted()) if known else 0
    return format_decimal(round(known, places), format=f"#,##,##0.00{'#' * (places - 2)}", locale=LOCALE)


def bounded(figure: Any, unit: str) -> str:
    """A limit, or what of it is used, in what it is counted in: rupees, count, percent, ms (told in seconds), or
    nothing for what is no number."""
    if figure is None:
        return UNKNOWN
    match unit:
        case "rupees":
            return rupees(figure)
        case "count":
            return number(figure)
        case "percent":
            return f"{format_decimal(Decimal(figure), format='#,##,##0.00##', locale=LOCALE)} %"
        case "ms":
            return f"{format_decimal(Decimal(figure) / 1000, format='#,##,##0.###', locale=LOCALE)} s"
    return _worded(figure)


def _worded(figure: Any) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return ", ".join(map(str, figure)) if isinstance(figure, list) else str(figure)


def counted(count: int, noun: str) -> str:
    """So many of something: 1 trade, 2 trades."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def average(amount: Amount) -> str:
    """Rupees per unit, to the paisa."""
    value = _decimal(amount)
    return UNKNOWN if value is None else format_decimal(value, format="#,##,##0.00", locale=LOCALE)


def direction(amount: Amount) -> str:
    """The word for the colour of a profit: up, down or flat."""
    value = _decimal(amount) or Decimal(0)
    return "up" if value > 0 else "down" if value < 0 else "flat"


def ist_time(at_ms: int | None) -> str:
    """10:12:31, in India."""
    return f"{to_datetime(at_ms).astimezone(IST):%H:%M:%S}" if at_ms else UNKNOWN


def ist_past(at_ms: int) -> str:
    """9 Jul 15:20, in India: a time of another day than the one that is shown."""
    moment = to_datetime(at_ms).astimezone(IST)
    return f"{moment.day} {moment:%b %H:%M}"


def ist_stamp(at_ms: int | None) -> str:
    """2019-07-09 10:12:31, in India."""
    return f"{to_datetime(at_ms).astimezone(IST):%Y-%m-%d %H:%M:%S}" if at_ms else UNKNOWN


def ist_field(at_ms: int) -> str:
    """2019-07-09T10:12:31, in India: the value of a form's field."""
    return ist_text(at_ms)[:19]


def ist_exact(at_ms: int) -> str:
    """2019-07-09 09:15:00.000 IST; nothing for 0, which means never."""
    return f"{ist_stamp(at_ms)}.{at_ms % 1000:03d} IST" if at_ms else ""


def age(seconds: float | None) -> str:
    """How long ago: 0.4 s, 12 s, 3 min, 2 h 05 min, 4 d."""
    if seconds is None:
        return UNKNOWN
    whole = int(seconds)
    if whole < MINUTE_S:
        return f"{max(seconds, 0):.1f} s" if seconds < 10 else f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S:02d} min"
    return f"{whole // DAY_S} d"


def plain(amount: Decimal) -> str:
    """Rupees as decimal text without exponent, with two places at least."""
    text = format(amount, "f")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def pretty(value: Any) -> str:
    """JSON, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def presentable(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the read model as the API shows it: no scaled prices, no epoch times, no Decimal objects."""
    return dict(_presentable(name, value) for name, value in row.items())


def _presentable(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict):
        return name, presentable(value)
    if isinstance(value, list):
        return name, [presentable(item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, Decimal):
        return name, plain(value)
    if name.endswith("_e4") and value is not None:
        return name.removesuffix("_e4"), plain(to_rupees(int(value)))
    if name.endswith("at_ms") and value is not None:
        return name.removesuffix("_ms"), ist_text(int(value))
    return name, value
