"""Where the shared data is, and what the tests of market data share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.conf import settings

from marketdata.domain.calendar import Calendar
from marketdata.reference import load_calendar

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared data; tests that need it skip where it is missing."""
    default = os.environ.get("ALPHAPANDA_DATA", ROOT.parent / "shared" / "data")
    folder = Path(getattr(settings, "DATA", default))
    if not folder.is_dir():
        pytest.skip("the shared data folder is missing: set ALPHAPANDA_DATA")
    return folder


@pytest.fixture(scope="session")
def nse() -> Calendar:
    return load_calendar("NSE")
