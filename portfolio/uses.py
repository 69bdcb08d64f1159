"""Tells market data which instruments are held."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from marketdata.users import Use, UseKind, register
from portfolio.models import Position


@register
def of_positions(instrument_ids: Collection[int] | None) -> Iterator[Use]:
    """Every open position, by the name of its book."""
    held = Position.objects.exclude(quantity=0)
    if instrument_ids is not None:
        held = held.filter(instrument_id__in=instrument_ids)
    columns = ("id", "book__name", "quantity", "instrument_id")
    for one, book, quantity, instrument_id in held.order_by("book__name").values_list(*columns):
        yield Use(UseKind.POSITION, str(one), f"{book}: {quantity}", instrument_id, False)
