"""Template filters over `alphapanda.web.formats`."""

from __future__ import annotations

from django import template

from alphapanda.web import formats
from risk.domain.wording import named

register = template.Library()
for function in (
    formats.rupees,
    formats.rupees_signed,
    formats.rupees_compact,
    formats.rupees_short,
    formats.price,
    formats.number,
    formats.average,
    formats.exact,
    formats.reading,
    formats.bounded,
    formats.direction,
    formats.ist_time,
    formats.ist_past,
    formats.ist_stamp,
    formats.ist_exact,
    formats.ist_field,
    formats.rupees_exact,
    formats.pretty,
    formats.age,
    named,
):
    register.filter(function.__name__, function)


@register.filter
def span(ms: int | None) -> str:
    """How long something took, in words."""
    return formats.age(None if ms is None else ms / 1000)


@register.filter
def symbol(instrument: str) -> str:
    """INFY of NSE:INFY."""
    return instrument.partition(":")[2] or instrument


@register.filter
def exchange(instrument: str) -> str:
    """NSE of NSE:INFY."""
    return instrument.partition(":")[0] if ":" in instrument else ""
