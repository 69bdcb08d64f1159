"""Kite's instrument lists, fetched and taken over as those of files are."""

from __future__ import annotations

import io
from datetime import datetime

from alphapanda.kite.reading import Read
from marketdata.domain.instruments import NotAnInstrumentList
from marketdata.services.instruments import LoadReport, load


def instruments_load(
    read: Read, *, exchange: str = "", now: datetime, lost_percent_max: int = 100
) -> LoadReport:
    """Take over Kite's list of one exchange, or of all. Kite makes a new one a day, about 08:30 IST.
    Raises KiteProblem, and as `load`."""
    route, url = (
        ("market.instruments", {"exchange": exchange}) if exchange else ("market.instruments.all", {})
    )
    body = read(route, url=url)
    if not isinstance(body, bytes):
        raise NotAnInstrumentList("Kite's answer is no CSV file")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotAnInstrumentList(f"Kite's list is no text: {error}") from None
    source = io.StringIO(text, newline="")
    return load(source, now=now, lost_percent_max=lost_percent_max, name=f"Kite {exchange or 'all'}")
