"""Parity: the rows of the running pipeline equal those of the backtest, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.db import OperationalError, connection

from alphapanda.engine import rows, stored_rows
from alphapanda.engine.rows import KINDS, Row
from alphapanda.proof import quiet
from alphapanda.proof.private import private_stack
from alphapanda.stack import Stack
from portfolio.audit import books_differences
from strategies.models import Deployment
from strategies.services.runner import ACTIVE

# The row that caused a row: by which of its fields, and among the rows of which kind.
CAUSES = {
    "entries": ("fill", "fills"),
    "fills": ("order", "orders"),
    "order_events": ("order", "orders"),
    "orders": ("decision", "decisions"),
    "decisions": ("signal", "signals"),
}


class Side(msgspec.Struct, frozen=True):
    """A row as one side has it (None: it has none), and what caused it, back to the signal."""

    row: Row | None
    causes: list[Row]


class Difference(msgspec.Struct, frozen=True):
    """The first row of a deployment in which two runs differ."""

    deployment: str
    kind: str
    number: int
    expected: Side
    found: Side


class Outcome(msgspec.Struct):
    """One run of the pipeline against the expected rows."""

    label: str
    seconds: float
    rows: dict[str, int]
    differences: int
    first: list[Difference]
    books: int
    restarts: dict[str, int]

    @property
    def is_good(self) -> bool:
        return self.differences == 0 and self.books == 0 and sum(self.rows.values()) > 0


Rows = dict[str, dict[str, list[Row]]]


def of_accounts(accounts: Sequence[Any]) -> Rows:
    """Expected rows by deployment name."""
    return {account.spec.name: rows.of_account(account) for account in accounts}


def of_database() -> Rows:
    """Stored rows by deployment name."""
    return {row.name: stored_rows.of_deployment(row) for row in Deployment.objects.order_by("name")}


def compare(expected: Rows, found: Rows) -> tuple[int, list[Difference]]:
    """How many rows differ, and the first of each deployment and kind."""
    count = 0
    first: list[Difference] = []
    for name in sorted(expected.keys() | found.keys()):
        for kind in KINDS:
            numbers = _differing(expected.get(name, {}).get(kind, []), found.get(name, {}).get(kind, []))
            count += len(numbers)
            if numbers:
                first.append(_difference(name, kind, numbers[0], expected, found))
    return count, first


def _differing(expected: list[Row], found: list[Row]) -> list[int]:
    longest = max(len(expected), len(found))
    return [number for number in range(longest) if _at(expected, number) != _at(found, number)]


def _at(rows_: list[Row], number: int) -> Row | None:
    return rows_[number] if number < len(rows_) else None


def _difference(name: str, kind: str, number: int, expected: Rows, found: Rows) -> Difference:
    return Difference(
        deployment=name,
        kind=kind,
        number=number,
        expected=_side(expected.get(name, {}), kind, number),
        found=_side(found.get(name, {}), kind, number),
    )


def _side(by_kind: dict[str, list[Row]], kind: str, number: int) -> Side:
    row = _at(by_kind.get(kind, []), number)
    causes: list[Row] = []
    cause = row
    while cause is not None and kind in CAUSES:
        field, kind = CAUSES[kind]
        wanted = cause[field]
        cause = next((one for one in by_kind.get(kind, []) if one["id"] == wanted), None)
        causes += [cause] if cause else []
    return Side(row, causes)


def counted(found: Rows) -> dict[str, int]:
    """Rows by kind, over all deployments."""
    return {kind: sum(len(by_kind.get(kind, [])) for by_kind in found.values()) for kind in KINDS}


def unbalanced() -> int:
    """What does not add up in the stored books."""
    audit = books_differences()
    return len(audit.differences) + len(audit.unbalanced_fills) + sum(map(bool, audit.ledger_sums.values()))


def is_done(last_seq: int) -> bool:
    """Whether every deployment has folded the whole stream, booked all of it, and every event is published."""
    try:
        behind = Deployment.objects.filter(status__in=ACTIVE, seq__lt=last_seq)
        return not behind.exists() and not quiet.in_pipeline()
    except OperationalError:  # the proof may just have killed the database
        connection.close()
        return False


def run(
    *,
    label: str,
    environment: dict[str, str],
    last_seq: int,
    expected: Rows,
    timeout_s: float,
    during: Callable[[Stack], None] = lambda _stack: None,
    without: Sequence[str] = ("web", "beat"),
) -> Outcome:
    """Run the pipeline over its recorded feed to the end and compare. Raises StackFailed."""
    with private_stack(environment, without=without) as stack:
        started = time.monotonic()
        during(stack)
        stack.wait(lambda: is_done(last_seq), timeout_s=timeout_s, what="end of the whole stream")
        seconds = time.monotonic() - started
        found = of_database()
        count, first = compare(expected, found)
        return Outcome(
            label=label,
            seconds=round(seconds, 1),
            rows=counted(found),
            differences=count,
            first=first,
            books=unbalanced(),
            restarts=stack.restarts(),
        )
