"""Template filters over `alphapanda.formatting`."""

from __future__ import annotations

from django import template

from alphapanda import formatting

register = template.Library()
for function in (
    formatting.rupees,
    formatting.rupees_signed,
    formatting.rupees_compact,
    formatting.price,
    formatting.number,
    formatting.average,
    formatting.direction,
    formatting.ist_time,
    formatting.ist_stamp,
    formatting.age,
):
    register.filter(function.__name__, function)


@register.filter
def symbol(instrument: str) -> str:
    """INFY of NSE:INFY."""
    return instrument.partition(":")[2] or instrument


@register.filter
def exchange(instrument: str) -> str:
    """NSE of NSE:INFY."""
    return instrument.partition(":")[0] if ":" in instrument else ""
