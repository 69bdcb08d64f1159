"""The books of a live deployment against those of the simulated broker, and what its market told."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from alphapanda.core.money import ZERO, to_rupees
from alphapanda.kite_simulator.listing import load_listing
from alphapanda.kite_simulator.market import recorded_batches
from alphapanda.proof.twins import Twin
from execution.models import Fill
from marketdata.domain.ticks import Tick
from marketdata.feeds.files import recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import load_calendars
from strategies.models import Deployment


def against_the_broker(twin: Twin, deployment: Deployment, book: dict[str, Any]) -> list[str]:
    """What of the live books is not in the broker's, or the other way round, to the paisa."""
    ours = Counter(
        ((row.trade_key or "").split(":")[1], row.side, row.quantity, to_rupees(row.price_e4))
        for row in Fill.objects.filter(deployment=deployment)
    )
    rows = [trade for order in book["orders"] for trade in order["trades"]]
    theirs = Counter(
        (row["trade_id"], row["transaction_type"], row["quantity"], Decimal(str(row["average_price"])))
        for row in rows
    )
    faults = [f"trade not at the broker: {one}" for one in (ours - theirs)]
    faults += [f"trade not here: {one}" for one in (theirs - ours)]
    net = {f"{row['exchange']}:{row['tradingsymbol']}": row["quantity"] for row in book["positions"]["net"]}
    held = {key: units for key, units in twin.positions.items() if units}
    if held != {key: units for key, units in net.items() if units}:
        faults.append(f"positions {held}, at the broker {net}")
    paid = sum((_signed(row) for row in rows), ZERO) - Decimal(str(book["charges"]))
    if abs(paid - twin.cash) >= Decimal("0.01"):
        faults.append(f"cash moved by {twin.cash}, at the broker by {paid}")
    if abs(Decimal(str(book["charges"])) - twin.charges) >= Decimal("0.01"):
        faults.append(f"charges {twin.charges}, at the broker {book['charges']}")
    taken = Counter(book["posts"])
    taken.subtract(book["refused"])
    return faults + [f"tag {tag} was taken {count} times" for tag, count in taken.items() if count > 1]


def _signed(row: dict[str, Any]) -> Decimal:
    amount = Decimal(str(row["average_price"])) * row["quantity"]
    return amount if row["transaction_type"] == "SELL" else -amount


def keep(folder: Path | None, both: tuple[Twin, Twin], book: dict[str, Any]) -> None:
    """What is compared, as JSON where the operator wants it."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        compared = {"paper": both[0], "live": both[1], "broker": book}
        (folder / "compared.json").write_bytes(msgspec.json.encode(compared))


def recorded(path: Path) -> list[tuple[int, Tick]]:
    """The ticks of the recording, with the times at which the simulator tells them."""
    listing = load_listing([], [])
    source = RecordedSource([recorded_file(str(path))], instruments=listing.by_key, calendar=load_calendars())
    return [(at_ms, tick) for at_ms, ticks in recorded_batches(source) for tick in ticks]
