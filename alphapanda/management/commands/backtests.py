"""Stored backtests and searches: `backtests list`, `show NAME`, `compare A B [C D]`, `cancel NAME`, `again NAME`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from alphapanda.core.refusals import Refusal
from alphapanda.research import selectors
from alphapanda.research.stored import backtest_again, backtest_cancel
from alphapanda.web.console import ActCommand

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

LISTED = 50


class Command(ActCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        acts = ["list", "show", "compare", "cancel", "again"]
        parser.add_argument("act", nargs="?", default="list", choices=acts)
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--tear-sheet", type=Path, metavar="FILE", help="with show: write one HTML file")
        super().add_arguments(parser)

    def handle(self, *, act: str, names: list[str], as_json: bool, **options: Any) -> None:
        now = timezone.now()
        try:
            if act == "list":
                rows = [selectors.as_row(run, now) for run in selectors.backtests()[:LISTED]]
                self.show(
                    rows,
                    as_json=as_json,
                    nothing="No backtest is stored; `backtest --store NAME` and `optimise --store NAME` do.",
                )
            elif act == "compare":
                self._compare(names, as_json)
            else:
                self._one(act, self._only(act, names), as_json, options)
        except Refusal as error:
            raise CommandError(str(error)) from error

    def _only(self, act: str, names: list[str]) -> str:
        if len(names) != 1:
            raise CommandError(f"{act} wants one name, not {len(names)}")
        return names[0]

    def _one(self, act: str, name: str, as_json: bool, options: dict[str, Any]) -> None:
        run = selectors.backtest_named(name)
        if act == "show":
            self._show(run, as_json, options["tear_sheet"])
            return
        service = backtest_cancel if act == "cancel" else backtest_again
        facts = {"actor": options["actor"], "reason": options["reason"], "now": timezone.now()}
        run = service(run_id=run.pk, **facts)
        self.show([selectors.as_row(run, timezone.now())], as_json=as_json)

    def _show(self, run: Any, as_json: bool, sheet: Path | None) -> None:
        if sheet is not None:
            from alphapanda.research.sheets import sheet_of

            try:
                sheet.write_text(sheet_of(run), encoding="utf-8")
            except OSError as error:
                raise CommandError(f"--tear-sheet: cannot write: {error}") from None
        if as_json:
            self.stdout.write(json.dumps(selectors.result_of(run)))
            return
        row = selectors.as_row(run, timezone.now()) | {
            "data": run.data_sha256,
            "engine": run.code.get("engine_sha256"),
            "result": run.result_sha256,
            "error": run.error,
        }
        pairs = [{"what": name, "value": value} for name, value in row.items()]
        self.show(pairs + _figures(run.summary), as_json=False)

    def _compare(self, names: list[str], as_json: bool) -> None:
        found = selectors.compared([selectors.backtest_named(name) for name in names])
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        said = ", ".join(
            f"{what} {'equal' if is_same else 'different'}" for what, is_same in found["same"].items()
        )
        self.stdout.write(said)
        columns = found["differences"] | found["statistics"]
        columns["findings"] = [" ".join(codes) for codes in found["findings"]]
        headings = [f"{place}. {name}" for place, name in enumerate(names, 1)]
        rows = [{"": name} | dict(zip(headings, values, strict=True)) for name, values in columns.items()]
        self.show(rows, as_json=False)


def _figures(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"what": name, "value": value} for name, value in summary.items()]
