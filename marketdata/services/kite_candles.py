"""Historical candles from Kite into files of bars, as the backtest reads them.

Kite's terms restrict permanent copies of its data. So the files are a working copy by default, gone at six the next
morning like the token that fetched them; ALPHAPANDA_KITE_ARCHIVE keeps them for who has Zerodha's consent."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path

from django.conf import settings

from alphapanda.core.clock import ist_date, next_ist_ms, to_ms
from alphapanda.core.refusals import BadRequest, Conflict
from alphapanda.kite.reading import Read
from marketdata.domain.kite_candles import Interval, Span, candles_of, line_of, spans
from marketdata.feeds.files import BAR_COLUMNS, recorded_file
from marketdata.models import Instrument

FORGOTTEN_AT = time(6)  # IST
WHY_NOT_KEPT = (
    "Kite's terms restrict permanent copies of its data. Ask Zerodha (kiteconnect@zerodha.com);"
    " with its consent set ALPHAPANDA_KITE_ARCHIVE=true"
)
Progress = Callable[[int, int], None]  # requests done, of all


class NotKept(Conflict):
    """Candles can be put elsewhere only where they may be kept."""


class DaysRefused(BadRequest):
    """Days that there are no candles of."""


def folder_of(wanted: Path | None) -> Path:
    """Where candles go: below RUN_DIR, or where the operator wants what may be kept. Raises NotKept."""
    if wanted is None:
        return Path(settings.RUN_DIR, "kite", "candles")
    if not settings.KITE_ARCHIVE:
        raise NotKept(f"Candles are not put into a folder of yours: {WHY_NOT_KEPT}.")
    return wanted


def candles_fetch(
    read: Read,
    instruments: Sequence[Instrument],
    *,
    interval: Interval,
    days: Span,
    folder: Path,
    now: datetime,
    progress: Progress = lambda _done, _all: None,
) -> list[str]:
    """Fetch what is missing of some days into files of the folder, one a request; what was fetched after its last day
    was over is not asked for again, so that a run that broke off goes on where it was. The files that hold candles,
    by instrument and time, as `backtest --data` takes them. Raises DaysRefused, KiteProblem, BadCandles, OSError."""
    today = ist_date(to_ms(now))
    if not days.first <= days.last <= today:
        raise DaysRefused(
            f"From {days.first} to {days.last}: expected a first day not after the last, which is {today} or before."
        )
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(one, span) for one in instruments for span in spans(days, interval)]
    found: list[str] = []
    for done, (instrument, span) in enumerate(wanted):
        progress(done, len(wanted))
        path = folder / _name(instrument, interval, span)
        if not _is_whole(path, span):
            _fetch(read, instrument, interval, span, path)
        if _holds_candles(path):
            found.append(_as_data(path, instrument))
    progress(len(wanted), len(wanted))
    return found


def _fetch(read: Read, instrument: Instrument, interval: Interval, span: Span, path: Path) -> None:
    answer = read(
        "market.historical",
        url={"instrument_token": instrument.instrument_token, "interval": interval.value},
        params={"from": f"{span.first} 00:00:00", "to": f"{span.last} 23:59:59", "continuous": 0, "oi": 0},
    )
    lines = [",".join(BAR_COLUMNS), *map(line_of, candles_of(answer, span))]
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))
    draft.replace(path)


def _name(instrument: Instrument, interval: Interval, span: Span) -> str:
    symbol = instrument.tradingsymbol.replace("/", "-")
    return f"kite_{interval}_{span.first}_{span.last}_{instrument.exchange}_{symbol}.csv.gz"


def _is_whole(path: Path, span: Span) -> bool:
    """Whether a file was fetched after the last of its days was over."""
    return path.exists() and ist_date(int(path.stat().st_mtime * 1_000)) > span.last


def _holds_candles(path: Path) -> bool:
    with gzip.open(path, "rt") as lines:
        return sum(1 for _ in zip(lines, range(2), strict=False)) == 2


def _as_data(path: Path, instrument: Instrument) -> str:
    """A file with its instrument, where its name does not tell it."""
    key = str(instrument)
    return str(path) if recorded_file(str(path)).key == key else f"{path}={key}"


def candles_forget(*, now: datetime) -> int:
    """Delete the working copies of the days before, unless they may be kept; how many."""
    if settings.KITE_ARCHIVE:
        return 0
    gone = list(_forgotten(folder_of(None), to_ms(now)))
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _forgotten(folder: Path, now_ms: int) -> Iterator[Path]:
    for path in folder.glob("*"):
        if now_ms >= next_ist_ms(int(path.stat().st_mtime * 1_000), FORGOTTEN_AT):
            yield path
