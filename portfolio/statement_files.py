"""Statements for programs: CSV and JSON, exact; and how a cell is written for people."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from babel.numbers import format_decimal

from alphapanda.core.clock import ist_text
from alphapanda.core.money import quantized, to_rupees
from alphapanda.web.formats import LOCALE, UNKNOWN, plain
from portfolio.domain.statement import Statement
from portfolio.statement_tables import Cell, SheetTable, tables


def exact(cell: Cell) -> str:
    """A cell for a program: decimal text in full, a dash for what is not known."""
    if cell is None:
        return UNKNOWN
    return plain(quantized(cell)) if isinstance(cell, Decimal) else str(cell)


def shown(cell: Cell) -> str:
    """A cell for people: Indian grouping, to the paisa; a dash for what is not known. An amount that the paisa
    would make nothing of is shown in full."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, Decimal):
        if cell and not round(cell, 2):
            return exact(cell)
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
    """For JSON: amounts and prices as decimal text in rupees, null for what is not known, times as ISO 8601."""
    found: dict[str, Any] = _for_json(statement)
    checks = zip(found["checks"], statement.checks, strict=True)
    return found | {
        "charged": _for_json(statement.charged),
        "net": _for_json(statement.net),
        "adds_up": statement.adds_up,
        "unmarked": statement.unmarked,
        "checks": [one | {"difference": _for_json(check.difference)} for one, check in checks],
    }


def _for_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(quantized(value))
    if isinstance(value, msgspec.Struct):
        return dict(_field(name, one) for name, one in msgspec.structs.asdict(value).items())
    if isinstance(value, dict):
        return {name: _for_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_for_json(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def _field(name: str, value: Any) -> tuple[str, Any]:
    """Prices in rupees and times in India instead of integers."""
    if name == "price_e4":
        return "price", plain(to_rupees(value))
    if name == "at_ms":
        return "at", ist_text(value)
    return name, _for_json(value)
