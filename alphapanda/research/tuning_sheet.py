"""The page of an optimisation: one HTML file that needs nothing else, made from the documented object alone."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string

from alphapanda.research import charts
from alphapanda.research.heat_cells import binned
from alphapanda.research.tear_sheet import percent
from alphapanda.research.tuning import value_text
from alphapanda.web.formats import number

TOP = 20
Object = dict[str, Any]


def tuning_sheet(result: Object, *, name: str = "") -> str:
    """The page of a result of `docs/research.md`."""
    named = {"name": name or result["meta"]["strategy"], "heat_svg": _heat(result["heat_map"])}
    return render_to_string("research/tuning.html", result | told(result) | named)


def told(result: Object) -> Object:
    """What a page says of a result in words: tiles, parts out of sample, luck, and the best trials, the best first."""
    valued = [trial for trial in result["trials"] if trial["value"] is not None]
    return {
        "top": [
            trial | {"text": value_text(trial["value"])}
            for trial in sorted(valued, key=lambda trial: (-trial["value"], trial["number"]))[:TOP]
        ],
        "left": len(result["trials"]) - min(len(valued), TOP),
        "tiles": _tiles(result),
        "rows": _rows(result),
        "luck": _luck(result["significance"]),
        "no_doubt": _no_doubt(result),
    }


def _heat(heat_map: Object | None) -> str:
    if heat_map is None:
        return ""
    shown = binned(heat_map)
    return charts.heat_map(
        shown["columns"],
        shown["rows"],
        {(cell["x"], cell["y"]): cell["value"] for cell in shown["cells"]},
        value_text,
        names=(shown["x"], shown["y"]),
    )


def _tiles(result: Object) -> list[Object]:
    best, held = result["best"], result["hold_out"]
    significance = result["significance"]
    bars = significance["bars"]
    efficiency = result["walk_forward_efficiency"]
    return [
        {"label": f"{result['meta']['objective']}, tuned", "text": value_text(best["value"])},
        {
            "label": f"{result['meta']['objective']}, held out",
            "text": value_text(held["value"] if held else None),
        },
        {"label": "Kept in walk-forward", "text": percent(None if efficiency is None else 100 * efficiency)},
        {"label": "p on shuffled bars", "text": value_text(bars["p_value"] if bars else None)},
    ]


def _rows(result: Object) -> list[Object]:
    rows = [
        {
            "kind": f"window {place}",
            "params": one["params"],
            "trained": value_text(one["train_value"]),
            "test": one["test"],
        }
        for place, one in enumerate(result["walk_forward"], 1)
    ]
    if result["hold_out"]:
        best = result["best"]
        rows.append(
            {
                "kind": "held out",
                "params": best["params"],
                "trained": value_text(best["value"]),
                "test": result["hold_out"],
            }
        )
    return [row | {"tested": value_text(row["test"]["value"])} for row in rows]


def _no_doubt(result: Object) -> str:
    """What stands where no finding does: which looks were taken, and which were not."""
    looks = {
        "the hold-out": result["hold_out"],
        "walk-forward": result["walk_forward"],
        "trades with random signs": result["significance"]["trades"],
        "shuffled bars": result["significance"]["bars"],
    }
    taken = [name for name, found in looks.items() if found]
    left = [name for name, found in looks.items() if not found]
    return f"None found. Looked at: {', '.join(taken)}." + (f" Not run: {', '.join(left)}." if left else "")


def _luck(found: Object) -> list[str]:
    said = []
    if trades := found["trades"]:
        share = {name: percent(100 * trades[name]) for name in ("p_value", "deeper_share", "loss_share")}
        said.append(
            f"{trades['trades']} trades, {number(trades['runs'])} draws, seed {trades['seed']}: with random signs they "
            f"earn as much in {share['p_value']} of the draws; in {share['deeper_share']} of all orders the drawdown "
            f"is deeper than the one that was traded; drawn with replacement they lose in {share['loss_share']}."
        )
    if bars := found["bars"]:
        said.append(
            f"{bars['runs']} runs on shuffled bars, seeds from {bars['seed']}: as good as the recorded ones with "
            f"p {bars['p_value']:.4f}."
        )
    if found["bars_refused"]:
        said.append(f"Bars were not shuffled: {found['bars_refused']}.")
    return said or ["Not run."]
