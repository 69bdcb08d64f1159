"""A statement as tables, the same for the screen, CSV and PDF: titles, columns, cells. Cells are values; who
shows them decides how. None is what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from alphapanda.core.money import to_rupees
from alphapanda.web.formats import ist_stamp
from portfolio.domain.statement import Check, PositionLine, Statement

NOTE_ON_AMOUNTS = (
    "Amounts in rupees, here to the paisa, kept to eight places. Profit is before charges where nothing else is said."
    " Times are IST."
)
DIFFERS = "DIFFERS"
Cell = Decimal | int | str | date | None


class Column(msgspec.Struct, frozen=True):
    """A column and whether its cells are numbers."""

    name: str
    is_number: bool = False


class SheetTable(msgspec.Struct, frozen=True):
    """One part of a statement. `total`: a last row that adds up."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    total: tuple[Cell, ...] | None = None


def tables(statement: Statement) -> list[SheetTable]:
    """All parts in the order in which they are read; corporate actions only where there were any."""
    parts = [_summary(statement), _charges(statement), _positions(statement)]
    parts += [_actions(statement)] if statement.actions else []
    return [*parts, _trades(statement), _checks(statement)]


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, is_number=True) for name in names)


def _summary(statement: Statement) -> SheetTable:
    opening, closing = statement.opening, statement.closing
    rows: list[tuple[Cell, ...]] = [
        (name, before, after, None if before is None or after is None else after - before)
        for name, before, after in (
            ("cash", opening.cash, closing.cash),
            ("positions at cost", opening.cost, closing.cost),
            ("positions at the last mark", opening.value, closing.value),
            ("unrealised", opening.unrealised, closing.unrealised),
            ("equity", opening.equity, closing.equity),
        )
    ]
    return SheetTable("Balance", _texts("balance") + _numbers("opening", "closing", "change"), rows)


def _trades(statement: Statement) -> SheetTable:
    rows: list[tuple[Cell, ...]] = [
        (
            ist_stamp(trade.at_ms),
            trade.book,
            trade.instrument,
            trade.side.value,
            trade.quantity,
            to_rupees(trade.price_e4),
            trade.value,
            trade.realised,
            trade.charges,
        )
        for trade in statement.trades
    ]
    columns = _texts("time", "book", "instrument", "side")
    columns += _numbers("quantity", "price", "value", "realised", "charges")
    total = ("total", "", "", "", "", "", "", statement.realised, statement.charged)
    return SheetTable("Trades", columns, rows, total if rows else None)


def _charges(statement: Statement) -> SheetTable:
    rows: list[tuple[Cell, ...]] = [
        ("realised by trades, before charges", statement.realised),
        *([("dividends", statement.dividends)] if statement.dividends else []),
        *((f"charges: {line}", -amount) for line, amount in statement.charges.items()),
    ]
    return SheetTable(
        "Profit of the day", _texts("line") + _numbers("amount"), rows, ("net realised", statement.net)
    )


def _positions(statement: Statement) -> SheetTable:
    columns = _texts("book", "instrument")
    columns += _numbers("carried", "bought", "sold", "quantity", "average", "mark")
    columns += _texts("marked at")
    columns += _numbers("value", "realised", "unrealised", "day (m2m)")
    rows = [_position(line) for line in statement.positions]
    return SheetTable("Positions", columns, rows)


def _position(line: PositionLine) -> tuple[Cell, ...]:
    is_open = line.quantity != 0
    return (
        line.book,
        line.instrument,
        line.carried,
        line.bought,
        line.sold,
        line.quantity,
        line.average_price if is_open else "",
        _mark_of(line) if is_open else "",
        ist_stamp(line.mark.at_ms if line.mark else None) if is_open else "",
        line.value,
        line.realised,
        line.unrealised,
        line.m2m,
    )


def _mark_of(line: PositionLine) -> Decimal | None:
    return to_rupees(line.mark.price_e4) if line.mark else None


def _actions(statement: Statement) -> SheetTable:
    columns = _texts("book", "instrument", "action")
    columns += _numbers("quantity before", "quantity after", "received")
    rows: list[tuple[Cell, ...]] = [
        (one.book, one.instrument, one.kind.value, one.quantity_before, one.quantity_after, one.received)
        for one in statement.actions
    ]
    return SheetTable("Corporate actions", columns, rows)


def _checks(statement: Statement) -> SheetTable:
    columns = _texts("what must be equal") + _numbers("stated", "expected", "difference") + _texts("")
    rows = [_check(check) for check in statement.checks]
    title = "Checks: it adds up" if statement.adds_up else "Checks: IT DOES NOT ADD UP"
    return SheetTable(title, columns, rows)


def _check(check: Check) -> tuple[Cell, ...]:
    difference = check.difference
    verdict = "not known" if difference is None else DIFFERS if difference else "ok"
    return check.name, check.stated, check.expected, difference, verdict


def warnings(statement: Statement) -> Sequence[str]:
    """What a reader must be told before the figures."""
    told = []
    if statement.unmarked:
        told.append(
            "No price is known of "
            + ", ".join(statement.unmarked)
            + " at the end of the day: what needs one is shown as a dash."
        )
    if not statement.adds_up:
        told.append("THIS STATEMENT DOES NOT ADD UP: see the checks that differ.")
    return told
