"""Recorded sessions for proofs: the source, its instruments and deployments over them."""

from __future__ import annotations

import msgspec

from alphapanda import deploying
from alphapanda.deploying import Definition
from marketdata.feeds.files import RecordedFile, recorded_file
from marketdata.feeds.recorded import RecordedSource
from marketdata.reference import load_calendar, shipped_specs
from strategies.domain.base import DeploymentSpec


class Recording(msgspec.Struct):
    """Files to play and what to deploy on them."""

    files: list[str]
    definitions: list[Definition]

    def source(self) -> RecordedSource:
        """The numbered stream. Raises UnknownInstrument, UnknownFormat, OSError."""
        files: list[RecordedFile] = [recorded_file(name) for name in self.files]
        return RecordedSource(files, instruments=shipped_specs(), calendar=load_calendar("NSE"))

    def specs(self) -> list[DeploymentSpec]:
        known = shipped_specs()
        return [deploying.spec(definition, known.__getitem__) for definition in self.definitions]
