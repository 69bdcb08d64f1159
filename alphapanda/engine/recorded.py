"""Recorded sessions for backtests and proofs: the stream, its instruments, and deployments over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from uuid import UUID

import msgspec

from alphapanda import deploying
from alphapanda.core.money import ZERO
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.engine.backtest import Commands, Run, fold
from alphapanda.warming import from_stream
from execution.reference import charge_cards
from marketdata.domain.instruments import InstrumentSpec
from marketdata.domain.stretch import Stretch
from marketdata.domain.ticks import Item
from marketdata.feeds.files import recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import instrument_specs, load_calendars
from risk.domain.limits import Level
from risk.domain.oversight import Changes
from strategies.domain.base import DeploymentSpec


class Recording(msgspec.Struct, dict=True):
    """Files to play, instrument lists besides the one that ships, their rules by date, and what to deploy."""

    files: list[str]
    definitions: list[Definition]
    instruments: list[Path]
    warm_up: list[str] = []  # files that end before, whose bars strategies see first
    rules: list[Path] = []  # as `manage.py instrument_rules` writes them

    @cached_property
    def known(self) -> dict[str, InstrumentSpec]:
        """Every instrument of the lists by name. Raises OSError, NotAnInstrumentList, BadRules."""
        return instrument_specs(self.instruments, self.rules)

    def source(self) -> RecordedSource:
        """The numbered stream. Raises UnknownInstrument, UnknownFormat, OSError."""
        return self._stream(self.files)

    def _stream(self, files: Sequence[str]) -> RecordedSource:
        return RecordedSource(
            [recorded_file(name) for name in files],
            instruments=self.known,
            calendar=load_calendars(),
        )

    def specs(self) -> list[DeploymentSpec]:
        """The deployments. Raises BadDefinition."""
        history = from_stream(self.past) if self.past else None
        return [deploying.spec(definition, self.found, history=history) for definition in self.definitions]

    @cached_property
    def past(self) -> list[Item]:
        """The stream of the files for the warm-up. Raises as `source`."""
        return list(self._stream(self.warm_up).iter_from()) if self.warm_up else []

    def found(self, key: str) -> InstrumentSpec:
        """An instrument of the lists. Raises BadDefinition, and as `known`."""
        if key not in self.known:
            raise BadDefinition(f"no instrument {key} in the lists given; add its list with --instruments")
        return self.known[key]

    def backtest(
        self,
        source: RecordedSource,
        on_progress: Callable[[int], None] = lambda _items: None,
        *,
        starting_cash: Decimal = ZERO,
        commands: Commands | None = None,
        oversights: Mapping[UUID, Changes] | None = None,
        levels: Sequence[Level] = (),
    ) -> list[Run]:
        """The engine folded over the stream in this process."""
        return self.fold(
            source.stretches(),
            source=source.source,
            on_progress=on_progress,
            starting_cash=starting_cash,
            commands=commands,
            oversights=oversights,
            levels=levels,
        )

    def fold(
        self,
        stream: Iterable[Stretch],
        *,
        source: int,
        on_progress: Callable[[int], None] = lambda _items: None,
        starting_cash: Decimal = ZERO,
        commands: Commands | None = None,
        oversights: Mapping[UUID, Changes] | None = None,
        levels: Sequence[Level] = (),
    ) -> list[Run]:
        """The engine folded over any stream."""
        return fold(
            stream,
            self.specs(),
            source=source,
            calendar=load_calendars(),
            cards=charge_cards(),
            starting_cash=starting_cash,
            commands=commands,
            oversights=oversights,
            levels=levels,
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
