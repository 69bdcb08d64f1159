"""Recorded sessions for proofs and backtests: the stream, its instruments, and deployments over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from alphapanda import deploying
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.engine.backtest import Run, fold
from execution.reference import charge_cards
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.ticks import FIRST_SEQ
from marketdata.feeds.files import recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import instrument_specs, load_calendar
from strategies.domain.base import DeploymentSpec

# What `parity` deploys where no file says otherwise: each shipped strategy, a shorter one, and one with tight limits.
TEMPLATES = (
    ("Trend", "ema_cross", {"fast": 9, "slow": 21}, {}, {}),
    (
        "Reversion",
        "mean_reversion",
        {"length": 20, "enter_at": 1.5, "leave_at": 0.25},
        {"latency_ms": 250},
        {},
    ),
    ("Fast trend", "ema_cross", {"fast": 3, "slow": 8}, {"slippage_ticks": 2}, {"daily_orders": 20}),
)
QUANTITY = 100


class Recording(msgspec.Struct):
    """Files to play, instrument lists besides the one that ships, and what to deploy."""

    files: list[str]
    definitions: list[Definition]
    instruments: list[Path]

    def source(self) -> RecordedSource:
        """The numbered stream. Raises UnknownInstrument, UnknownFormat, OSError."""
        return RecordedSource(
            [recorded_file(name) for name in self.files],
            instruments=instrument_specs(self.instruments),
            calendar=load_calendar("NSE"),
        )

    def specs(self) -> list[DeploymentSpec]:
        """The deployments. Raises BadDefinition."""
        known = instrument_specs(self.instruments)

        def found(key: str) -> InstrumentSpec:
            if key not in known:
                raise BadDefinition(
                    f"no instrument {key} in the lists given; add its list with --instruments"
                )
            return known[key]

        return [deploying.spec(definition, found) for definition in self.definitions]

    def backtest(
        self, source: RecordedSource, on_progress: Callable[[int], None] = lambda _items: None
    ) -> list[Run]:
        """The engine folded over the stream in this process."""
        return fold(
            source.iter_from(),
            self.specs(),
            source=source.source,
            first_seq=FIRST_SEQ,
            calendar=load_calendar("NSE"),
            cards=charge_cards(),
            on_progress=on_progress,
        )

    def environment(self, definitions_file: Path) -> dict[str, str]:
        """What makes a private stack play this recording, as fast as it can."""
        definitions_file.write_text(deploying.to_json(self.definitions))
        return {
            "ALPHAPANDA_FEED_FILES": ",".join(self.files),
            "ALPHAPANDA_FEED_SPEED": "max",
            "ALPHAPANDA_INSTRUMENTS": ",".join(map(str, self.instruments)),
            "ALPHAPANDA_DEPLOYMENTS": str(definitions_file),
        }


def deployments_over(files: Sequence[str]) -> list[Definition]:
    """Three deployments over the instruments of the files, in turn, at least three in all."""
    keys = sorted({recorded_file(name).key for name in files})
    pairs = [(key, template) for template in TEMPLATES for key in keys]
    return [
        Definition(
            name=f"{title} on {key}",
            strategy=strategy,
            instruments=(key,),
            params={**params, "quantity": QUANTITY},
            execution=execution,
            limits=limits,
        )
        for key, (title, strategy, params, execution, limits) in pairs
    ]
