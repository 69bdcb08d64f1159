"""Statements for programs: CSV and JSON, exact; and how a cell is written for people."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import msgspec
from babel.numbers import format_decimal

from alphapanda.core.clock import ist_text
from alphapanda.core.money import quantized
from alphapanda.web.formats import LOCALE, UNKNOWN, plain
from portfolio.domain.statement import Balance, Statement
from portfolio.statement_tables import Cell, SheetTable, tables


def exact(cell: Cell) -> str:
    """A cell for a program: decimal text in full, a dash for what is not known."""
    if cell is None:
        return UNKNOWN
    return plain(quantized(cell)) if isinstance(cell, Decimal) else str(cell)


def shown(cell: Cell) -> str:
    """A cell for people: Indian grouping, to the paisa; a dash for what is not known."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, Decimal):
        return str(format_decimal(cell, format="#,##,##0.00", locale=LOCALE))
    return str(format_decimal(cell, locale=LOCALE)) if isinstance(cell, int) else str(cell)


def as_csv(statement: Statement) -> str:
    """One part below the other, each under its title and its column names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["statement", statement.subject, statement.broker, statement.day.isoformat()])
    for part in tables(statement):
        writer.writerow([])
        writer.writerow([part.title])
        writer.writerow([column.name for column in part.columns])
        writer.writerows([_safe(exact(cell)) for cell in row] for row in all_rows(part))
    return out.getvalue()


def _safe(text: str) -> str:
    """No spreadsheet takes a name for a formula; a number may begin with its sign."""
    if text[:1] in ("=", "+", "@", "\t") or (text[:1] == "-" and not text[1:2].isdigit()):
        return f"'{text}"
    return text


def all_rows(part: SheetTable) -> list[tuple[Cell, ...]]:
    """The rows of a part, its total last."""
    return [*part.rows, part.total] if part.total else part.rows


def as_object(statement: Statement) -> dict[str, Any]:
    """For JSON: amounts as decimal text, null for what is not known, times as ISO 8601."""
    found: dict[str, Any] = msgspec.to_builtins(statement, enc_hook=None)
    checks = zip(found["checks"], statement.checks, strict=True)
    found |= {
        "opening": _balance(statement.opening),
        "closing": _balance(statement.closing),
        "charged": plain(statement.charged),
        "net": plain(statement.net),
        "adds_up": statement.adds_up,
        "unmarked": statement.unmarked,
        "checks": [one | {"difference": _amount(check.difference)} for one, check in checks],
    }
    for name in ("trades", "positions"):
        for row in found[name]:
            _readable(row)
    return found


def _balance(balance: Balance) -> dict[str, str | None]:
    return {name: _amount(amount) for name, amount in msgspec.structs.asdict(balance).items()}


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(quantized(amount))


def _readable(row: dict[str, Any]) -> None:
    """Prices in rupees and times in IST instead of integers."""
    if "price_e4" in row:
        row["price"] = plain(Decimal(row.pop("price_e4")).scaleb(-4))
        row["at"] = ist_text(row.pop("at_ms"))
    if mark := row.get("mark"):
        row["mark"] = plain(Decimal(mark["price_e4"]).scaleb(-4))
        row["marked_at"] = ist_text(mark["at_ms"])
