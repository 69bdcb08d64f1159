"""Where the files of a backtest lie. A person at the shell may name any; over the network only those of the product
and of the data folder can be named, so that nobody reads the rest of the machine through a backtest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from django.conf import settings

from alphapanda.research.plan import BadPlan, Plan
from marketdata.domain.dated import COLUMNS
from marketdata.feeds.files import UnknownFormat, header_of, is_recording, recorded_file
from marketdata.reference import DATA_DIR

LISTED_MAX = 500
SUFFIXES = (".csv", ".csv.gz")


def roots() -> list[Path]:
    """The folders whose files may be named over the network."""
    folders = [DATA_DIR / "recorded", DATA_DIR, Path(settings.DATA)]
    return [folder.resolve() for folder in folders if folder.is_dir()]


def absolute(plan: Plan) -> Plan:
    """The plan with full paths, so that it can be run again from elsewhere."""
    return _moved(plan, lambda path: path.resolve())


def placed(plan: Plan) -> Plan:
    """The plan with each file found in a root. Raises BadPlan."""
    return _moved(plan, _found)


def _moved(plan: Plan, place: Callable[[Path], Path]) -> Plan:
    return msgspec.structs.replace(
        plan,
        files=tuple(_text(text, place) for text in plan.files),
        warm_up=tuple(_text(text, place) for text in plan.warm_up),
        instruments=tuple(str(place(Path(text))) for text in plan.instruments),
        rules=tuple(str(place(Path(text))) for text in plan.rules),
    )


def _text(text: str, place: Callable[[Path], Path]) -> str:
    path, mark, key = text.partition("=")
    return f"{place(Path(path))}{mark}{key}"


def _found(path: Path) -> Path:
    folders = roots()
    for folder in folders:
        candidate = (folder / path).resolve()
        if candidate.is_file() and any(candidate.is_relative_to(root) for root in folders):
            return candidate
    raise BadPlan(f"there is no file {path} in the data folders (GET /api/v1/backtests/files/ names them)")


def recorded_names() -> list[str]:
    """Recorded files that a backtest can name, relative to their folder."""
    return _names(lambda path: is_recording(header_of(path)) and _tells_symbol(path))


def list_names() -> list[str]:
    """Instrument lists that a backtest can name."""
    return _names(lambda path: path.name.startswith("kite_instruments"))


def rule_names() -> list[str]:
    """Files of instrument rules by date that a backtest can name."""
    return _names(lambda path: set(COLUMNS) <= set(header_of(path)))


def _names(is_wanted: Callable[[Path], bool]) -> list[str]:
    """Each file once, by its shortest name."""
    found: dict[Path, str] = {}
    for folder in roots():
        for path in sorted(folder.rglob("*.csv*")):
            if len(found) < LISTED_MAX and path.name.endswith(SUFFIXES) and is_wanted(path):
                found.setdefault(path.resolve(), str(path.relative_to(folder)))
    return list(dict.fromkeys(found.values()))


def _tells_symbol(path: Path) -> bool:
    try:
        recorded_file(str(path))
    except UnknownFormat:
        return False
    return True
